"""Mark the int8 tensors that ONNX Runtime on x86-64 turns into uint8 before it looks for integer kernels.

It does so for every QuantizeLinear whose one reader is a DequantizeLinear that has one reader in turn, where readers
count that lead to no output. A tensor that
two operators read (a skip connection), or that is an int8 graph input or output, stays int8; for such it has no
Conv, Gemm and MatMul kernels and runs them in float32.
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node


def mark_pairs(graph: Graph) -> bool:
    users, outputs = graph.users(), graph.output_values()
    changed = False
    for node in graph.nodes:
        if node.op != "QuantizeLinear" or node.output in outputs:
            continue
        readers = users.get(node.output, [])
        if len(readers) != 1 or readers[0].op != "DequantizeLinear" or node.output.read_by_dead:
            continue
        result = readers[0].output
        if result.read_by_dead:
            continue
        reads = _reads(users.get(result, [])) + sum(port.value is result for port in graph.outputs)
        if reads == 1 and not node.output.unsigned_in_ort:
            node.output.unsigned_in_ort = True
            changed = True
    return changed


def _reads(users: list[Node]) -> int:
    """How often the ONNX graph reads a tensor: once for each input (x * x: twice), whatever one node was split into."""
    origins = [user.attributes.get("origin") for user in users]
    return origins.count(None) + len({origin for origin in origins if origin is not None})
