"""Give each graph output the quantization that its port was resolved with, whatever the layout passes have removed.

1. the output's tensor has none               -> it takes the port's
2. the output's tensor has another (an input that several outputs read, a table or Transpose that fell away)
                                              -> a Reshape to the same shape: an alias with the port's
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node, PortInfo, Quantization, Value
from onnxino_converter.quantized import ReshapeSpec


def keep_quantization(graph: Graph) -> bool:
    changed = False
    for port in graph.outputs:
        q = port.quantization
        if q is None or (port.value.quantization is not None and port.value.quantization.same_mapping(q)):
            continue
        changed = True
        if port.value.quantization is None:
            port.value.quantization = q
        else:
            _view(graph, port, q)
    return changed


def _view(graph: Graph, port: PortInfo, q: Quantization) -> None:
    x = port.value
    view = Value(graph.unique_name(f"{x.name}_view"), x.shape, x.dtype, quantization=q, perm=x.perm)
    graph.nodes.append(Node("Reshape", "", [x], [view], spec=ReshapeSpec()))
    port.value = view
