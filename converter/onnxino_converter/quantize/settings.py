"""The options of quantize()."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal["minmax", "percentile", "mse", "entropy"]
Activations = Literal["int8", "uint8"]
METHODS: tuple[str, ...] = get_args(Method)
ACTIVATIONS: tuple[str, ...] = get_args(Activations)


@dataclass(frozen=True)
class Settings:
    """How to quantize.

    method: how an activation's range is chosen from its values (observers.py). per_channel: one weight scale for each
    output channel, or one for all. activations: their type; the device computes the same with both, but ONNX Runtime on
    x86-64 has no int8 kernels for tensors that several operators read, and runs such in float. Weights are int8,
    symmetric. equalize: balance channels between layers first. bias_correction: take the mean error that rounding
    causes out of the biases.
    """

    method: Method = "minmax"
    per_channel: bool = True
    activations: Activations = "uint8"
    equalize: bool = False
    bias_correction: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("method", self.method, METHODS),
            ("activations", self.activations, ACTIVATIONS),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; known: {', '.join(known)}")

    @property
    def unsigned(self) -> bool:
        return self.activations == "uint8"
