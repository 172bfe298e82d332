"""The operators of a model with the work and the weights of each, and how those weights are spread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.schema.model import ElementType, Weights
from onnxino_tools.inspect.device import kernel_name
from onnxino_tools.report.subject import Subject, weights_of

BINS = 51  # odd, so that zero is in the middle of one; the 255 values of int8 make 51 bins of five
_INT8_END = 127.5


@dataclass(frozen=True)
class Histogram:
    """How the weights that are not zero are spread over equal bins from -end to end.

    unit: "steps" (int8, as stored) or "value" (float32); not_finite: NaN and infinities, which are in no bin.
    """

    end: float
    counts: list[int]
    unit: str
    not_finite: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"from": -self.end, "to": self.end, "unit": self.unit, "counts": self.counts}


@dataclass(frozen=True)
class Layer:
    """One operator. shape: its first output, as on the device (images NHWC); cycles: estimated, None where unknown."""

    name: str
    kernel: str
    shape: list[int]
    macs: int
    parameters: int
    nonzero: int
    weight_bytes: int
    histogram: Histogram | None
    cycles: int | None = None

    @property
    def zero_share(self) -> float | None:
        """Of the weights; None without any."""
        return 1 - self.nonzero / self.parameters if self.parameters else None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "kernel": self.kernel,
            "shape": self.shape,
            "macs": self.macs,
            "parameters": self.parameters,
            "nonzero": self.nonzero,
            "weight_bytes": self.weight_bytes,
            "cycles": self.cycles,
            "histogram": None if self.histogram is None else self.histogram.as_dict(),
        }


def layers_of(subject: Subject) -> list[Layer]:
    """All operators in the order in which they run."""
    model, rows = subject.model, subject.facts["operators"]
    layers: list[Layer] = []
    for operator, row in zip(model.operators, rows, strict=True):
        weights = weights_of(operator.kernel)
        values = None if weights is None else values_of(weights)
        layers.append(
            Layer(
                name=operator.name,
                kernel=kernel_name(operator.kernel),
                shape=list(shape_of(model.tensors[int(operator.outputs[0])])),
                macs=int(row["macs"]),
                parameters=0 if values is None else int(values.size),
                nonzero=0 if values is None else int(np.count_nonzero(values)),
                weight_bytes=int(row["weight_bytes"]),
                histogram=None if values is None else histogram(values),
            )
        )
    return layers


def with_cycles(layers: list[Layer], cycles: list[int]) -> list[Layer]:
    """The layers with the cycles of each, or of the first ones."""
    known = [*cycles[: len(layers)], *[None] * (len(layers) - len(cycles))]
    return [replace(layer, cycles=count) for layer, count in zip(layers, known, strict=True)]


def values_of(weights: Weights) -> NDArray[Any]:
    """The weights as int8 or float32, [parameters]."""
    data = np.ascontiguousarray(weights.data)
    return data.view(np.float32 if weights.type == ElementType.Float32 else np.int8)


def histogram(values: NDArray[Any]) -> Histogram:
    """Of int8 over all its values, of float32 over what occurs."""
    if values.dtype == np.int8:
        counts = np.bincount((values[values != 0].astype(np.int64).clip(-127) + 127) // 5, minlength=BINS)
        return Histogram(_INT8_END, [int(n) for n in counts], "steps", 0)
    finite = values[np.isfinite(values)].astype(np.float64)
    end = float(np.abs(finite).max(initial=0.0)) or 1.0
    counts, _ = np.histogram(finite[finite != 0], BINS, (-end, end))
    return Histogram(end, [int(n) for n in counts], "value", int(values.size - finite.size))
