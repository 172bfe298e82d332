"""ReduceMean over all spatial axes is GlobalAveragePool, for which ONNX Runtime has an integer kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_converter.quantize.graph import FloatGraph, attribute

if TYPE_CHECKING:
    from onnx import NodeProto


def pool_means(graph: FloatGraph) -> None:
    """Replaces them; without keepdims, a Flatten follows."""
    from onnx import helper

    nodes: list[NodeProto] = []
    for node in graph.nodes:
        if node.op_type != "ReduceMean" or not _is_spatial(graph, node):
            nodes.append(node)
            continue
        x, y = node.input[0], node.output[0]
        kept = bool(attribute(node, "keepdims", 1))
        pooled = y if kept else graph.name(f"{y}_pooled")
        nodes.append(helper.make_node("GlobalAveragePool", [x], [pooled], name=node.name))
        if not kept:
            nodes.append(helper.make_node("Flatten", [pooled], [y], name=graph.name(f"{y}_flatten")))
    graph.nodes = nodes


def _is_spatial(graph: FloatGraph, node: NodeProto) -> bool:
    rank, given = graph.rank(node.input[0]), graph.constant(node, 1)
    axes = attribute(node, "axes", []) if given is None else given.reshape(-1)
    return rank is not None and rank >= 3 and sorted(int(a) % rank for a in axes) == list(range(2, rank))
