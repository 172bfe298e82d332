"""Concat between DQ and Q, and QLinearConcat: each input is brought to the output's quantization by a table first."""

from __future__ import annotations

from onnxino.schema.model import Exactness
from onnxino_converter.fuse.operands import Pattern, device_bytes
from onnxino_converter.fuse.softmax import clamp_after
from onnxino_converter.fuse.tables import requantization
from onnxino_converter.ir import Graph, Node, Quantization, Value
from onnxino_converter.quantized import ConcatSpec


def fuse_concat(pattern: Pattern) -> list[Node]:
    node = pattern.head
    operands = [pattern.activation(value) for value in node.present]
    parts = [(operand.value, operand.quantization(node)) for operand in operands]
    result, after = clamp_after(pattern)
    _, exactness = pattern.arithmetic(operands, "any")
    return [*concat_nodes(pattern.graph, node, parts, pattern.y, result, exactness), *after]


def concat_nodes(
    graph: Graph,
    node: Node,
    parts: list[tuple[Value, Quantization]],
    y: Quantization,
    result: Value,
    exactness: Exactness,
) -> list[Node]:
    nodes: list[Node] = []
    inputs: list[Value | None] = []
    for value, q in parts:
        spec = requantization(q, y)
        if value.constant is not None:
            table = spec.table[device_bytes(value.constant).astype(int) + 128]
            inputs.append(graph.new_constant(f"{value.name}_requantized", table, y))
        elif spec.identity:
            inputs.append(value)
        else:
            moved = graph.new_value(f"{value.name}_requantized", value.shape, result.dtype, y)
            nodes.append(Node("Lookup", node.name, [value], [moved], spec=spec))
            inputs.append(moved)
    result.quantization = y
    return [*nodes, Node("Concat", node.name, inputs, [result], spec=ConcatSpec(node.attributes["axis"], exactness))]
