"""Fold the multiplication and addition of a BatchNormalization into the weights and bias of the Conv before it.

Add(Mul(Conv(x, w, b), m), a) -> Conv(x, w * m, b * m + a); int8 weights stay int8, their scales change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.fuse.islands import dequantized
from onnxino_converter.fuse.operands import operand_of
from onnxino_converter.ir import Graph, Node, Value

Floats = NDArray[np.float32]


def fold_batch_norm(graph: Graph) -> bool:
    folding = _Folding(graph, graph.producers(), graph.users(), graph.output_values())
    changed = graph.rewrite(folding.rule)
    return changed and (graph.remove_dead() or True)


@dataclass
class _Folding:
    graph: Graph
    producers: dict[Value, Node]
    users: dict[Value, list[Node]]
    outputs: set[Value]
    made: list[Node] = field(default_factory=list[Node])

    def rule(self, node: Node) -> list[Node] | None:
        if node.op != "Add" or not node.attributes.get("affine"):
            return None
        product = self.producers[node.input(0)]
        conv = self.producers.get(product.input(0))
        if conv is None or conv.op != "Conv" or not self._private(conv.output) or not self._private(product.output):
            return None
        self.made = []
        factor, shift = _flat(product.input(1)), _flat(node.input(1))
        weights, bias = self._weights(conv.input(1), factor), self._bias(conv.optional(2))
        if weights is None or bias is None:
            return None
        total = self.graph.new_constant(f"{conv.output.name}_bias", (bias * factor + shift).astype(np.float32))
        return [*self.made, Node("Conv", conv.name, [conv.input(0), weights, total], node.outputs, conv.attributes)]

    def _private(self, value: Value) -> bool:
        return len(self.users.get(value, [])) == 1 and value not in self.outputs

    def _bias(self, value: Value | None) -> Floats | None:
        if value is None:
            return np.zeros(1, np.float32)
        if value.constant is not None:
            return value.constant.ravel().astype(np.float32)
        node = self.producers.get(value)
        if node is None or node.op != "DequantizeLinear" or node.input(0).constant is None:
            return None
        return dequantized(operand_of(node)).ravel()

    def _weights(self, value: Value, factor: Floats) -> Value | None:
        """Weights times a factor for each output channel; a negative one turns the sign of int8 weights."""
        along = (-1, *(1,) * (len(value.shape) - 1))
        if value.constant is not None:
            array = (value.constant * factor.reshape(along)).astype(np.float32)
            return self.graph.new_constant(f"{value.name}_normalized", array)
        node = self.producers.get(value)
        if node is None or node.op != "DequantizeLinear" or node.input(0).constant is None:
            return None
        operand = operand_of(node)
        stored = operand.value.constant
        if stored is None or operand.axis > 0 or stored.dtype != np.int8 or np.any(operand.zero_point):
            return None
        if np.any((stored == -128) & (factor < 0).reshape(along)):
            return None
        array = (stored * np.sign(factor).astype(np.int8).reshape(along)).astype(np.int8)
        scale = (operand.scale * np.where(factor == 0, 1, np.abs(factor))).astype(np.float32)
        if not np.all(np.isfinite(scale) & (scale > 0)):
            return None
        made = self.graph.new_constant(f"{operand.value.name}_normalized", array)
        output = self.graph.new_value(f"{value.name}_normalized", value.shape, np.float32)
        zeros = np.zeros(scale.size, np.int8)
        attributes = {"scale": scale, "zero_point": zeros, "axis": 0, "float_in_ort": True}  # which folds nothing there
        self.made.append(Node("DequantizeLinear", node.name, [made], [output], attributes))
        return output


def _flat(value: Value) -> Floats:
    assert value.constant is not None
    return value.constant.ravel().astype(np.float32)
