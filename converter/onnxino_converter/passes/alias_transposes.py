"""A Transpose of which only 1-sized axes move is a Reshape: an alias, no bytes move.

Runs after absorb_into_ports, because a port's shape tells more as a permutation.
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node
from onnxino_converter.passes.push_transposes import moves_nothing
from onnxino_converter.quantized import ReshapeSpec, TransposeSpec


def alias_transposes(graph: Graph) -> bool:
    def rule(node: Node) -> list[Node] | None:
        if isinstance(node.spec, TransposeSpec) and moves_nothing(node.input(0).shape, node.spec.perm):
            return [Node("Reshape", node.name, [node.input(0)], node.outputs, spec=ReshapeSpec())]
        return None

    return graph.rewrite(rule)
