"""Remove what changes nothing: tables that map each value to itself, Transposes in order, Reshapes to the same shape.

Chains of Reshapes become one.
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.quantized import LookupSpec, TransposeSpec


def drop_identities(graph: Graph) -> bool:
    producers = graph.producers()
    outputs = graph.output_values()
    mapping: dict[Value, Value] = {}

    def rule(node: Node) -> list[Node] | None:
        node.inputs = [mapping.get(value, value) if value is not None else None for value in node.inputs]
        if _is_identity(node) and (node.output not in outputs or _same_mapping(node)):
            mapping[node.output] = node.input(0)
            node.input(0).quantization = node.input(0).quantization or node.output.quantization
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
        return node.input(0).shape == node.output.shape and _same_mapping(node)
    return False


def _same_mapping(node: Node) -> bool:
    """Whether a byte of the input means what it means in the output; an output's meaning is the user's."""
    x, y = node.input(0).quantization, node.output.quantization
    return x is None or y is None or x.same_mapping(y)
