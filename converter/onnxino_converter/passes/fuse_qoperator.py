"""Give QOperator nodes the meaning of the same QDQ pattern; int8 stays int8 here (domain 0), as in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, all_device_values, dequantize, quantize
from onnxino_converter.fuse.bias import integer_bias
from onnxino_converter.fuse.binary import add_nodes, mul_nodes
from onnxino_converter.fuse.concat import concat_nodes
from onnxino_converter.fuse.conv import conv_node
from onnxino_converter.fuse.dense import dense_nodes
from onnxino_converter.fuse.operands import Operand
from onnxino_converter.fuse.pool import average_pool_node
from onnxino_converter.fuse.qoperands import qoperand, qresult
from onnxino_converter.fuse.softmax import softmax_nodes
from onnxino_converter.fuse.tables import UNARY, certain
from onnxino_converter.ir import Array, Graph, Node, Quantization
from onnxino_converter.quantized import Clamp, LookupSpec, MeanSpec
from onnxino_converter.refusal import refusal

Fuser = Callable[[Graph, Node], list[Node]]
EXACT = Exactness.Exact


def fuse_qoperator(graph: Graph) -> bool:
    def rule(node: Node) -> list[Node] | None:
        fuser = FUSERS.get(node.op) if node.spec is None else None
        return None if fuser is None else fuser(graph, _typed(node))

    return graph.rewrite(rule)


def _typed(node: Node) -> Node:
    """The output gets the type of its zero point, which the importer did not look at."""
    index = 1 if node.op == "QLinearConcat" else _Y_ZERO_POINT.get(node.op, 4)
    zero = node.optional(index)
    if zero is not None:
        node.output.dtype = zero.dtype
    return node


_Y_ZERO_POINT = {"QLinearConv": 7, "QLinearMatMul": 7, "QGemm": 8, "QLinearAdd": 7, "QLinearMul": 7}


def _domain(q: Quantization) -> int:
    return 128 if q.unsigned else 0


def _bias(node: Node, index: int, count: int) -> Any:
    value = node.optional(index)
    if value is None:
        return np.zeros(count, np.int32)
    if value.constant is None or value.constant.dtype != np.int32:
        found = "computed at run time" if value.constant is None else f"of type {value.dtype}"
        raise refusal(node.describe(), f"the bias '{value.name}' is {found}", "constant int32")
    return integer_bias(node, value.constant, count)


def _conv(graph: Graph, node: Node) -> list[Node]:
    x, w, y = qoperand(node, 0), qoperand(node, 3), qresult(node, 6)
    weights, w_scale = w.weights(node, 0)
    bias = _bias(node, 8, weights.shape[0])
    return [conv_node(node, x.value, weights, w_scale, bias, x.quantization(node), y, node.output, Clamp(), EXACT)]


def _dense(graph: Graph, node: Node, y: Quantization, bias: Array | None, alpha: float) -> list[Node]:
    x, w = qoperand(node, 0), qoperand(node, 3)
    channel_axis = 0 if node.attributes.get("trans_b") else 1
    weights, w_scale = w.weights(node, channel_axis)
    if alpha <= 0:
        raise refusal(node.describe(), f"alpha is {alpha}", "alpha above 0")
    full = np.zeros(weights.shape[channel_axis], np.int32) if bias is None else bias
    return dense_nodes(
        graph, node, x.value, weights, w_scale, full, x.quantization(node), y, node.output, Clamp(), EXACT, alpha
    )


def _matmul(graph: Graph, node: Node) -> list[Node]:
    return _dense(graph, node, qresult(node, 6), None, 1.0)


def _gemm(graph: Graph, node: Node) -> list[Node]:
    count = node.output.shape[1]
    return _dense(graph, node, qresult(node, 7), _bias(node, 6, count), float(node.attributes["alpha"]))


def _add(graph: Graph, node: Node) -> list[Node]:
    a, b, y = _pair(node)
    return add_nodes(graph, node, a, b, y, node.output, _domain(y), Clamp(), EXACT)


def _mul(graph: Graph, node: Node) -> list[Node]:
    a, b, y = _pair(node)
    return mul_nodes(graph, node, a, b, y, node.output, _domain(y), Clamp(), EXACT)


def _pair(node: Node) -> tuple[Operand, Operand, Quantization]:
    return qoperand(node, 0), qoperand(node, 3), qresult(node, 6)


def _average_pool(graph: Graph, node: Node) -> list[Node]:
    x, y = qoperand(node, 0), qresult(node, 3)
    return [average_pool_node(node, x.value, x.quantization(node), y, node.output, _domain(y), EXACT)]


def _global_average_pool(graph: Graph, node: Node) -> list[Node]:
    x, y = qoperand(node, 0), qresult(node, 3)
    node.output.quantization = y
    spec = MeanSpec((2, 3), x.quantization(node), y, EXACT)
    return [Node("Mean", node.name, [x.value], [node.output], spec=spec)]


def _unary(graph: Graph, node: Node) -> list[Node]:
    x, y = qoperand(node, 0), qresult(node, 3)
    function = UNARY[node.op.removeprefix("QLinear")]
    with np.errstate(all="ignore"):
        real = function(dequantize(all_device_values(), x.quantization(node)), node.attributes).astype(F32)
    node.output.quantization = y
    exactness = Exactness.Table if certain(real, {node.op.removeprefix("QLinear")}, y) else Exactness.Step
    return [Node("Lookup", node.name, [x.value], [node.output], spec=LookupSpec(quantize(real, y), exactness))]


def _softmax(graph: Graph, node: Node) -> list[Node]:
    x, y = qoperand(node, 0), qresult(node, 3)
    return softmax_nodes(graph, node, x.value, x.quantization(node), y, node.output, _domain(y), EXACT)


def _concat(graph: Graph, node: Node) -> list[Node]:
    operands = [qoperand(node, i) for i in range(2, len(node.inputs), 3)]
    parts = [(operand.value, operand.quantization(node)) for operand in operands]
    return concat_nodes(graph, node, parts, qresult(node, 0), node.output, EXACT)


FUSERS: dict[str, Fuser] = {
    "QGemm": _gemm,
    "QLinearAdd": _add,
    "QLinearAveragePool": _average_pool,
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _global_average_pool,
    "QLinearLeakyRelu": _unary,
    "QLinearMatMul": _matmul,
    "QLinearMul": _mul,
    "QLinearSigmoid": _unary,
    "QLinearSoftmax": _softmax,
}
