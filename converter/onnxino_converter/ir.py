"""The converter's graph IR: values with shape, type and quantization, nodes in topological order, printable.

Two kinds of nodes live in it. Imported nodes carry the ONNX operator name and normalized attributes. Fused nodes
carry a `spec` (onnxino_converter.quantized): one dataclass per operator of the device, all that lowering needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Quantization:
    """Per-tensor parameters: real = (value - zero_point) * scale.

    `scale` is exactly a float32. `zero_point` is of the ONNX type: 0..255 when `unsigned`, else -128..127.
    """

    scale: float
    zero_point: int
    unsigned: bool

    @property
    def device_zero_point(self) -> int:
        """The zero point on the device, where every value is int8 (ONNX uint8 less 128)."""
        return self.zero_point - 128 if self.unsigned else self.zero_point

    def same_mapping(self, other: Quantization) -> bool:
        """Whether a device byte means the same real number under both."""
        return self.scale == other.scale and self.device_zero_point == other.device_zero_point

    def __str__(self) -> str:
        return f"{'u8' if self.unsigned else 's8'}(scale {self.scale:.6g}, zero point {self.zero_point})"


@dataclass(eq=False)
class Value:
    """A tensor of the graph. `constant` holds its elements where they are known; identity is equality."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    constant: Array | None = None
    quantization: Quantization | None = None
    unsigned_in_ort: bool = False  # int8, but ONNX Runtime on x86-64 computes it as uint8 (passes/mark_pairs.py)
    read_by_dead: bool = False  # by a node that leads to no output; ONNX Runtime counts it among the readers
    perm: tuple[int, ...] | None = None  # axis i is axis perm[i] of the ONNX tensor of this name; None: the same order
    known: Array | None = None  # elements of a constant behind QuantizeLinear or DequantizeLinear, for the importer

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        kind = "const " if self.constant is not None else ""
        quantization = f" {self.quantization}" if self.quantization else ""
        return f"%{self.name}: {kind}{self.dtype}{list(self.shape)}{quantization}"


@dataclass(eq=False)
class Node:
    """One operator. Optional inputs that are absent are None."""

    op: str
    name: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    spec: Any = None

    @property
    def output(self) -> Value:
        return self.outputs[0]

    def input(self, index: int) -> Value:
        """A required input; the importer has checked that it is there."""
        value = self.inputs[index]
        assert value is not None, f"{self.name}: input {index} is absent"
        return value

    def optional(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    @property
    def present(self) -> list[Value]:
        return [value for value in self.inputs if value is not None]

    def describe(self) -> str:
        """How error messages name this node."""
        return f"node '{self.name}' ({self.op})" if self.name else f"node {self.op} that makes '{self.output.name}'"

    def __str__(self) -> str:
        inputs = ", ".join("-" if value is None else f"%{value.name}" for value in self.inputs)
        extra = f" {self.spec}" if self.spec is not None else (f" {self.attributes}" if self.attributes else "")
        return f"{'; '.join(map(str, self.outputs))} = {self.op}({inputs}){extra}  # {self.name}"


@dataclass(eq=False)
class PortInfo:
    """A graph input or output as the user of the ONNX model sees it. Dimensions are -1 where symbolic."""

    name: str
    value: Value
    dtype: np.dtype[Any]
    shape: Shape
    dimension_names: list[str]
    perm: tuple[int, ...] | None = None  # device axis i is port axis perm[i]
    quantization: Quantization | None = None


@dataclass(eq=False)
class Graph:
    """Nodes in topological order between the ports."""

    name: str
    inputs: list[PortInfo]
    outputs: list[PortInfo]
    nodes: list[Node]
    _names: set[str] = field(default_factory=set[str])

    def producers(self) -> dict[Value, Node]:
        return {value: node for node in self.nodes for value in node.outputs}

    def users(self) -> dict[Value, list[Node]]:
        """Value -> the nodes that read it (a node that reads it twice is listed twice)."""
        users: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.present:
                users.setdefault(value, []).append(node)
        return users

    def output_values(self) -> set[Value]:
        return {port.value for port in self.outputs}

    def replace(self, mapping: dict[Value, Value]) -> None:
        """Make every reader of a key read its value instead (chains are followed)."""
        if not mapping:
            return

        def final(value: Value) -> Value:
            while value in mapping:
                value = mapping[value]
            return value

        for node in self.nodes:
            node.inputs = [None if value is None else final(value) for value in node.inputs]
        for port in self.outputs:
            port.value = final(port.value)

    def unique_name(self, wanted: str) -> str:
        """A tensor name that nothing else has."""
        if not self._names:
            self._names = {port.name for port in self.inputs} | {value.name for n in self.nodes for value in n.outputs}
            self._names |= {value.name for node in self.nodes for value in node.present}
        name, number = wanted, 2
        while name in self._names:
            name, number = f"{wanted}_{number}", number + 1
        self._names.add(name)
        return name

    def new_value(self, wanted: str, shape: Shape, dtype: Any, quantization: Quantization | None = None) -> Value:
        return Value(self.unique_name(wanted), shape, np.dtype(dtype), quantization=quantization)

    def new_constant(self, wanted: str, array: Array, quantization: Quantization | None = None) -> Value:
        return Value(self.unique_name(wanted), array.shape, array.dtype, array, quantization)

    def remove_dead(self, remember: bool = False) -> bool:
        """Drop nodes of which no output is read. With `remember`, what they read is marked `read_by_dead`."""
        alive = self.output_values()
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if any(value in alive for value in node.outputs):
                kept.append(node)
                alive.update(node.present)
            elif remember:
                for value in node.present:
                    value.read_by_dead = True
        changed = len(kept) != len(self.nodes)
        self.nodes = kept[::-1]
        return changed

    def rewrite(self, rule: Callable[[Node], Iterable[Node] | None]) -> bool:
        """Replace each node for which `rule` returns nodes by those, in place; whether any was."""
        changed = False
        nodes: list[Node] = []
        for node in self.nodes:
            new = rule(node)
            if new is None:
                nodes.append(node)
            else:
                nodes.extend(new)
                changed = True
        self.nodes = nodes
        return changed

    def __str__(self) -> str:
        lines = [f"graph {self.name}"]
        lines += [f"  input {port.name} -> {port.value} perm {port.perm}" for port in self.inputs]
        lines += [f"  {node}" for node in self.nodes]
        lines += [f"  output {port.name} <- {port.value} perm {port.perm}" for port in self.outputs]
        return "\n".join(lines)
