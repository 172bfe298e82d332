"""Merge QuantizeLinear and DequantizeLinear nodes that do the same to the same tensor, as ONNX Runtime does.

Exporters write one pair for each reader; merged, a float has one reader again and its producer can be fused.
"""

from __future__ import annotations

from typing import Any

from onnxino_converter.ir import Graph, Node, Value


def merge_duplicates(graph: Graph) -> bool:
    seen: dict[Any, Value] = {}
    mapping: dict[Value, Value] = {}

    def rule(node: Node) -> list[Node] | None:
        node.inputs = [mapping.get(value, value) if value is not None else None for value in node.inputs]
        if node.op not in ("QuantizeLinear", "DequantizeLinear"):
            return None
        a = node.attributes
        key = (
            node.op,
            id(node.input(0)),
            a["axis"],
            a["scale"].tobytes(),
            a["zero_point"].tobytes(),
            str(a["zero_point"].dtype),
        )
        if key not in seen:
            seen[key] = node.output
            return None
        mapping[node.output] = seen[key]
        return []

    changed = graph.rewrite(rule)
    graph.replace(mapping)
    return changed
