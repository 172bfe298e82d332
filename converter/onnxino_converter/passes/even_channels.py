"""Turn activations quantized per channel into ones with a single scale, where only a depthwise Conv reads them.

Conv(w) -> Relu -> Q(s[c]) -> DQ(s[c]) -> depthwise Conv(v)
becomes Conv(w * t / s[c]) -> Relu -> Q(t) -> DQ(t) -> depthwise Conv(v * s[c] / t): the quantized values stay the same,
int8 weights too, only their scales change. Relu and Q commute with positive factors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.fuse.islands import dequantized
from onnxino_converter.fuse.operands import operand_of
from onnxino_converter.ir import Graph, Node, Value

Floats = NDArray[np.float32]
KEYS = ("scale", "zero_point", "axis")


def even_channels(graph: Graph) -> bool:
    changed = False
    for node in [n for n in graph.nodes if n.op == "QuantizeLinear"]:
        changed |= _Evening(graph, graph.producers(), graph.users(), graph.output_values()).even(node)
    return changed and (graph.remove_dead() or True)


@dataclass
class _Evening:
    graph: Graph
    producers: dict[Value, Node]
    users: dict[Value, list[Node]]
    outputs: set[Value]
    made: dict[Node, list[Node]] = field(default_factory=dict[Node, list[Node]])

    def even(self, quantize: Node) -> bool:
        scale, zero, axis = (quantize.attributes[key] for key in KEYS)
        if axis != 1 or zero.dtype.itemsize > 1 or np.any(zero != zero[0]):
            return False
        conv, readers = self._producer(quantize), self._readers(quantize)
        if conv is None or not readers:
            return False
        one = np.float32(scale.max())
        factor = (one / scale).astype(np.float32)
        changes = [self._scaled(conv, factor, with_bias=True)]
        depthwise = [node for dq in readers for node in self.users[dq.output]]
        changes += [self._scaled(node, self._spread(node, 1 / factor), with_bias=False) for node in depthwise]
        if any(change is None for change in changes):
            return False
        for change in changes:
            assert change is not None
            conv_node, inputs, before = change
            conv_node.inputs = inputs
            conv_node.attributes = {**conv_node.attributes, "rescaled": True}
            at = self.graph.nodes.index(conv_node)
            self.graph.nodes[at:at] = before
        for node in (quantize, *readers):
            node.attributes = {**node.attributes, "scale": one.reshape(1), "zero_point": zero[:1], "axis": -1}
        return True

    def _producer(self, quantize: Node) -> Node | None:
        """The Conv whose result, perhaps behind Relu, nothing but `quantize` reads."""
        value = quantize.input(0)
        while True:
            node = self.producers.get(value)
            if node is None or len(self.users[value]) != 1 or value in self.outputs:
                return None
            if node.op != "Relu":
                return node if node.op == "Conv" else None
            value = node.input(0)

    def _readers(self, quantize: Node) -> list[Node]:
        """The DequantizeLinear nodes with the same parameters, read by depthwise Convs alone; else none."""
        readers = self.users.get(quantize.output, [])
        if quantize.output in self.outputs:
            return []
        for dq in readers:
            if dq.op != "DequantizeLinear" or dq.output in self.outputs:
                return []
            if any(not np.array_equal(dq.attributes[key], quantize.attributes[key]) for key in KEYS):
                return []
            for node in self.users.get(dq.output, []):
                channels = node.input(0).shape[1] if len(node.input(0).shape) > 1 else 0
                if node.op != "Conv" or node.attributes["group"] != channels or node.input(0) is not dq.output:
                    return []
        return readers

    def _spread(self, node: Node, factor: Floats) -> Floats:
        """One factor for each output channel of a depthwise Conv."""
        return np.repeat(factor, node.input(1).shape[0] // factor.size)

    def _scaled(
        self, node: Node, factor: Floats, *, with_bias: bool
    ) -> tuple[Node, list[Value | None], list[Node]] | None:
        """A Conv's inputs with weights, and perhaps bias, times a factor for each output channel; and new nodes."""
        source = self.producers.get(node.input(1))
        if source is None or source.op != "DequantizeLinear" or source.input(0).constant is None:
            return None
        operand = operand_of(source)
        if operand.axis > 0:
            return None
        scale = (operand.scale * factor).astype(np.float32)
        zero = np.broadcast_to(operand.zero_point, scale.shape)
        made = self.graph.new_value(f"{node.input(1).name}_even", node.input(1).shape, np.float32)
        attributes = {"scale": scale, "zero_point": zero, "axis": 0}
        before = [Node("DequantizeLinear", source.name, [source.input(0)], [made], attributes)]
        inputs = [node.input(0), made, node.optional(2)]
        if with_bias and inputs[2] is not None:
            bias = self._known(inputs[2])
            if bias is None:
                return None
            inputs[2] = self.graph.new_constant(f"{inputs[2].name}_even", (bias.ravel() * factor).astype(np.float32))
        return node, inputs, before

    def _known(self, value: Value) -> Floats | None:
        if value.constant is not None:
            return value.constant.astype(np.float32)
        node = self.producers.get(value)
        if node is None or node.op != "DequantizeLinear" or node.input(0).constant is None:
            return None
        return dequantized(operand_of(node))
