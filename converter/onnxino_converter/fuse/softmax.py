"""Softmax between DQ and Q, and QLinearSoftmax: over one axis, or (before opset 13) over all axes from one on."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import Exactness
from onnxino_converter.fuse.operands import Pattern
from onnxino_converter.fuse.tables import requantization
from onnxino_converter.ir import Graph, Node, Quantization, Value
from onnxino_converter.quantized import ReshapeSpec, SoftmaxSpec


def fuse_softmax(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x = pattern.activation(node.input(0))
    result, after = clamp_after(pattern)
    _, exactness = pattern.arithmetic([x], "any")
    nodes = softmax_nodes(pattern.graph, node, x.value, x.quantization(node), pattern.y, result, exactness)
    return [*nodes, *after]


def softmax_nodes(
    graph: Graph, node: Node, x: Value, xq: Quantization, yq: Quantization, result: Value, exactness: Exactness
) -> list[Node]:
    """The fused node, between two Reshapes where the old definition flattens."""
    result.quantization = yq
    axis: int = node.attributes["axis"]
    if not node.attributes["flatten"] or axis == len(x.shape) - 1:
        spec = SoftmaxSpec(axis, xq, yq, exactness)
        return [Node("Softmax", node.name, [x], [result], spec=spec)]
    outer = int(np.prod(x.shape[:axis], dtype=np.int64))
    flat = graph.new_value(f"{x.name}_flat", (outer, x.elements // outer), x.dtype, xq)
    made = graph.new_value(f"{result.name}_flat", flat.shape, result.dtype, yq)
    return [
        Node("Reshape", node.name, [x], [flat], spec=ReshapeSpec()),
        Node("Softmax", node.name, [flat], [made], spec=SoftmaxSpec(1, xq, yq, exactness)),
        Node("Reshape", node.name, [made], [result], spec=ReshapeSpec()),
    ]


def clamp_after(pattern: Pattern) -> tuple[Value, list[Node]]:
    """For kernels without a clamp of their own: where they write, and the Lookup that clamps afterwards (if needed)."""
    clamp = pattern.clamp
    if clamp.full:
        return pattern.result, []
    unclamped = pattern.graph.new_value(
        f"{pattern.head.output.name}_quantized", pattern.result.shape, pattern.result.dtype
    )
    pattern.result.quantization = pattern.y
    spec = requantization(pattern.y, pattern.y)
    table = np.clip(spec.table, clamp.minimum, clamp.maximum).astype(np.int8)
    node = Node(
        "Lookup", pattern.activations[0].name, [unclamped], [pattern.result], spec=type(spec)(table, spec.exactness)
    )
    return unclamped, [node]
