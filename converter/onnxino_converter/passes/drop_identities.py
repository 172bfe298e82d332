"""Remove what changes nothing: tables that map each value to itself, Transposes in order, Reshapes to the same shape.

Chains of Reshapes become one.
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.quantized import LookupSpec, TransposeSpec


def drop_identities(graph: Graph) -> bool:
    producers = graph.producers()
    mapping: dict[Value, Value] = {}

    def rule(node: Node) -> list[Node] | None:
        node.inputs = [mapping.get(value, value) if value is not None else None for value in node.inputs]
        if _is_identity(node):
            mapping[node.output] = node.input(0)
            return []
        source = producers.get(node.input(0)) if node.op == "Reshape" and node.present else None
        if source is not None and source.op == "Reshape":
            made = Node("Reshape", node.name, [source.input(0)], node.outputs, spec=node.spec)
            producers[node.output] = made
            return [made]
        return None

    changed = graph.rewrite(rule)
    graph.replace(mapping)
    return changed and (graph.remove_dead() or True)


def _is_identity(node: Node) -> bool:
    if isinstance(node.spec, LookupSpec):
        return node.spec.identity
    if isinstance(node.spec, TransposeSpec):
        return node.spec.perm == tuple(range(len(node.spec.perm)))
    if node.op == "Reshape":
        x, y = node.input(0), node.output
        same = x.quantization is None or y.quantization is None or x.quantization.same_mapping(y.quantization)
        return x.shape == y.shape and same
    return False
