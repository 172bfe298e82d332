"""What operators know of their node, and of the run that they are part of."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from onnxino.errors import ConvertError
from onnxino_tools.train.graph import describe

if TYPE_CHECKING:
    from onnx import NodeProto

Tensors = Sequence[Tensor | None]


@dataclass(frozen=True)
class Run:
    """A pass through the network. batch: samples in it; declared: the batch that the model was written for."""

    batch: int
    declared: int
    training: bool


Step = Callable[[Tensors, Run], "Tensor | list[Tensor]"]
Make = Callable[["Node"], Step]


class Node:
    """An ONNX node: its attributes with defaults, and how to refuse it. varies: its result depends on the input."""

    def __init__(self, proto: NodeProto, opset: int, varies: bool) -> None:
        from onnx import helper

        self.proto = proto
        self.opset = opset
        self.varies = varies
        self._attributes = {item.name: helper.get_attribute_value(item) for item in proto.attribute}

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute's value; text as str."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def has_input(self, index: int) -> bool:
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def refusal(self, found: str, supported: str) -> ConvertError:
        """The error for what training does not support, to be raised."""
        return ConvertError(
            f"{describe(self.proto)}: {found}; supported for training: {supported}",
            "change it where the model is made; docs/training.md lists what can be trained",
        )


def need(tensor: Tensor | None) -> Tensor:
    """An input that the operator cannot do without."""
    if tensor is None:
        raise RuntimeError("an input is missing")
    return tensor


def at(inputs: Tensors, index: int) -> Tensor | None:
    """An optional input."""
    return inputs[index] if index < len(inputs) else None


def integers(tensor: Tensor) -> list[int]:
    """A tensor that holds axes, sizes or the like."""
    return [int(value) for value in tensor.detach().flatten().cpu().numpy()]
