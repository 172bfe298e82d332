"""Give everything that is still float a float32 spec: what was not fused runs as ONNX Runtime runs it, in float32."""

from __future__ import annotations

from onnxino_converter.fuse import float_dense
from onnxino_converter.fuse.islands import LOWERINGS, Islands
from onnxino_converter.ir import Graph, Node
from onnxino_converter.refusal import refusal

ALL = {**LOWERINGS, **float_dense.LOWERINGS}


def float_islands(graph: Graph) -> bool:
    graph.remove_dead()
    islands = Islands(graph, graph.producers(), graph.users())

    def rule(node: Node) -> list[Node] | None:
        if node.spec is not None:
            return None
        if node.op == "DequantizeLinear" and node.input(0).constant is not None:
            return None  # its readers take the elements
        lower = ALL.get(node.op)
        if lower is None:
            raise refusal(
                node.describe(), f"it computes on {node.input(0).dtype}, which has no kernel", ", ".join(sorted(ALL))
            )
        made = lower(islands, node)
        islands.producers.update({value: one for one in made for value in one.outputs if one.op == "FakeQuantize"})
        return made

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)
