"""What a handler of one ONNX operator works with: the node as read, typed attributes, and the graph being built."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxino.errors import ConvertError
from onnxino_converter.ir import Array, Node, Shape, Value
from onnxino_converter.refusal import refusal

FLOAT = np.dtype(np.float32)
ELEMENTS_MAX = 2**31 - 1  # of a tensor, in the model file


@dataclass
class RawNode:
    """An ONNX node before normalization. `opset` is the version of its own domain."""

    op: str
    domain: str
    name: str
    opset: int
    inputs: list[Value | None]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def label(self) -> str:
        op = f"{self.domain}.{self.op}" if self.domain else self.op
        return f"node '{self.name}' ({op})" if self.name else f"node {op} that makes '{self.outputs[0]}'"

    def refuse(self, found: str, supported: str | None = None, hint: str | None = None) -> ConvertError:
        return refusal(self.label, found, supported, hint)

    def input(self, index: int) -> Value:
        value = self.optional(index)
        if value is None:
            raise self.refuse(f"input {index} is missing")
        return value

    def optional(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int, what: str) -> Array:
        """The elements of a required input that must be known at convert time, quantized or not."""
        value = self.input(index)
        array = value.constant if value.constant is not None else value.known
        if array is None:
            raise self.refuse(
                f"{what} ('{value.name}') is computed at run time", f"a constant {what.removeprefix('the ')}"
            )
        return array

    def optional_constant(self, index: int, what: str) -> Array | None:
        return None if self.optional(index) is None else self.constant(index, what)

    def int(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.refuse(f"attribute {name} is {value!r}", "an integer")
        return value

    def float(self, name: str, default: float) -> float:
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float):
            raise self.refuse(f"attribute {name} is {value!r}", "a number")
        if math.isnan(value):
            raise self.refuse(f"attribute {name} is nan, not a number", None, "export the model again, with a number")
        return float(value)

    def check_size(self, shape: Shape) -> None:
        """Raises ConvertError for a result that no model file can hold, before anything of its size is made."""
        if math.prod(shape) > ELEMENTS_MAX:
            raise self.refuse(*too_large(f"its output {list(shape)}", shape))

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def ints(self, name: str, default: list[int] | None = None) -> list[int]:
        value: Any = self.attributes.get(name, default)
        if value is None:
            raise self.refuse(f"attribute {name} is missing")
        if not isinstance(value, list | tuple):
            raise self.refuse(f"attribute {name} is {value!r}", "a list of integers")
        return [int(v) for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


@dataclass
class Context:
    """The graph under construction: nodes in order, values by ONNX name."""

    values: dict[str, Value] = field(default_factory=dict[str, Value])
    nodes: list[Node] = field(default_factory=list[Node])

    def define(self, raw: RawNode, value: Value, index: int = 0) -> None:
        """Make `value` what readers of the node's output `index` get (an alias, no new node)."""
        self.values[raw.outputs[index]] = value

    def emit(
        self,
        raw: RawNode,
        inputs: list[Value | None],
        shape: Shape,
        dtype: np.dtype[Any] | None = None,
        op: str | None = None,
        **attributes: Any,
    ) -> Value:
        """Append the normalized node; its output has `dtype`, or that of the first input."""
        if dtype is None:
            assert inputs[0] is not None
            dtype = inputs[0].dtype
        value = Value(raw.outputs[0], shape, dtype)
        self.nodes.append(Node(op or raw.op, raw.name, inputs, [value], attributes))
        self.define(raw, value)
        return value

    def unchanged(self, raw: RawNode, x: Value, index: int = 0) -> None:
        """A movement that moves nothing: a Reshape to the same shape, which the layout passes remove. Until then it
        counts as a reader and separates quantizations, as in ONNX Runtime, which does not see that nothing moves."""
        if x.constant is not None:
            self.define(raw, x, index)
            return
        value = Value(raw.outputs[index], x.shape, x.dtype)
        self.nodes.append(Node("Reshape", raw.name, [x], [value], {"origin": id(raw)}))
        self.define(raw, value, index)


def too_large(what: str, shape: Shape) -> tuple[str, str, str]:
    """Message, what is supported and hint for a tensor of too many elements."""
    found = f"{what} is too large: {math.prod(shape):,} elements"
    return found, f"up to {ELEMENTS_MAX:,}", "give the model smaller tensors: the board's RAM holds some 100,000 values"


def axis_of(raw: RawNode, axis: int, rank: int) -> int:
    """A normalized axis."""
    if not -rank <= axis < rank:
        raise raw.refuse(f"axis {axis} does not exist in a tensor of {rank} dimensions")
    return axis % rank


def broadcast(raw: RawNode, a: Value, b: Value) -> Shape:
    """The shape of an element-wise result."""
    try:
        return tuple(np.broadcast_shapes(a.shape, b.shape))
    except ValueError:
        raise raw.refuse(f"shapes {list(a.shape)} and {list(b.shape)} do not fit together") from None
