"""Turn every DQ -> operator -> (Relu, Clip) -> Q pattern into one fused node; what cannot be fused stays float.

Works backwards from each QuantizeLinear, so a float that two of them read is computed once for each (Exactness.Step).
"""

from __future__ import annotations

from collections.abc import Callable

from onnxino.errors import ConvertError
from onnxino_converter.fuse.affine import affine_nodes
from onnxino_converter.fuse.binary import fuse_add, fuse_mul
from onnxino_converter.fuse.concat import fuse_concat
from onnxino_converter.fuse.conv import fuse_conv
from onnxino_converter.fuse.dense import fuse_gemm, fuse_matmul, fuse_matmul_add, is_matmul_add
from onnxino_converter.fuse.operands import Pattern, held, per_tensor
from onnxino_converter.fuse.pool import fuse_average_pool, fuse_global_average_pool, fuse_reduce_mean, scaled_mean
from onnxino_converter.fuse.softmax import fuse_softmax
from onnxino_converter.fuse.tables import BINARY, UNARY, fuse_table
from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.refusal import FinalRefusal, refusal

Fuser = Callable[[Pattern], list[Node]]


def _fuse_sum(pattern: Pattern) -> list[Node]:
    return fuse_matmul_add(pattern) if is_matmul_add(pattern) else fuse_add(pattern)


def _fuse_product(pattern: Pattern) -> list[Node]:
    return scaled_mean(pattern) or fuse_mul(pattern)


def _fuse_affine(pattern: Pattern) -> list[Node]:
    nodes = affine_nodes(pattern)
    if nodes is None:
        raise _float_refusal(pattern.head, pattern.head.output)
    return nodes


FUSERS: dict[str, Fuser] = {
    "Add": _fuse_sum,
    "AveragePool": fuse_average_pool,
    "Concat": fuse_concat,
    "Conv": fuse_conv,
    "Gemm": fuse_gemm,
    "GlobalAveragePool": fuse_global_average_pool,
    "MatMul": fuse_matmul,
    "Mul": _fuse_product,
    "ReduceMean": fuse_reduce_mean,
    "Softmax": fuse_softmax,
    "Sub": _fuse_affine,
    "Div": _fuse_affine,
}


def fuse_qdq(graph: Graph) -> bool:
    producers, users, outputs = graph.producers(), graph.users(), graph.output_values()

    def rule(node: Node) -> list[Node] | None:
        if node.op != "QuantizeLinear":
            return None
        head, activations = _head(node, producers)
        if head is None or not held(node.attributes["scale"], node.attributes["zero_point"]):
            return None  # a graph input, or a tensor that the device does not hold
        y = per_tensor(node, node.attributes["scale"], node.attributes["zero_point"], f"'{node.output.name}'")
        try:
            return _fuse(Pattern(graph, producers, users, outputs, node, y, head, activations))
        except FinalRefusal:
            raise
        except ConvertError:
            return None  # a float island

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _head(quantize: Node, producers: dict[Value, Node]) -> tuple[Node | None, list[Node]]:
    """The operator whose result is quantized, and the activations between, last one first."""
    activations: list[Node] = []
    node = producers.get(quantize.input(0))
    while node is not None and node.op in ("Relu", "Clip"):
        activations.append(node)
        node = producers.get(node.input(0))
    return node, activations


def _fuse(pattern: Pattern) -> list[Node]:
    if pattern.head.op == "DequantizeLinear" or pattern.head.op in UNARY or pattern.head.op in BINARY:
        table = fuse_table(pattern) if not _both_quantized(pattern) else None
        if table is not None:
            return table
    fuser = FUSERS.get(pattern.head.op)
    if fuser is None:
        raise _float_refusal(pattern.head, pattern.head.output)
    return fuser(pattern)


def _both_quantized(pattern: Pattern) -> bool:
    """Add and Mul of two quantized tensors have integer kernels, even where a table could do the same."""
    if pattern.head.op not in ("Add", "Mul"):
        return False
    return all(pattern.operand(value) is not None for value in pattern.head.present)


def _float_refusal(node: Node, value: Value) -> Exception:
    return refusal(node.describe(), f"it computes '{value.name}' in float")
