"""Dense layers: Gemm, MatMul and MatMul + Add between DQ and Q."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, gemm_scale
from onnxino_converter.fuse.bias import float_bias, fused_bias
from onnxino_converter.fuse.conv import check_scale, largest_sum, weighted_exactness
from onnxino_converter.fuse.operands import Operand, Pattern
from onnxino_converter.ir import Graph, Node, Quantization, Value
from onnxino_converter.quantized import Clamp, DenseSpec, TransposeSpec
from onnxino_converter.refusal import QUANTIZE_HINT, refusal


def fuse_gemm(pattern: Pattern) -> list[Node]:
    node = pattern.head
    alpha, beta = float(node.attributes["alpha"]), float(node.attributes["beta"])
    x, weights = _operands(pattern, node)
    q = x.quantization(node)
    array, w_scale = weights.weights(node, 0 if node.attributes["trans_b"] else 1)
    bias_value = node.optional(2)
    exactness = weighted_exactness(pattern, x, weights, bias_value)
    count = array.shape[0 if node.attributes["trans_b"] else 1]
    if alpha == 1.0 and beta == 1.0:
        bias = fused_bias(pattern, bias_value, count, q.scale, w_scale)
    else:
        if alpha <= 0:
            raise refusal(node.describe(), f"alpha is {alpha}", "alpha above 0")
        bias = _scaled_bias(pattern, bias_value, count, alpha, beta, q.scale, w_scale)
        exactness = Exactness.Step if bias_value is not None else exactness
    reach = largest_sum(array, 0 if node.attributes["trans_b"] else 1, w_scale) * alpha
    pattern.check_reach(reach * q.scale / pattern.y.scale, exactness)
    return dense_nodes(
        pattern.graph,
        node,
        x.value,
        array,
        w_scale,
        bias,
        q,
        pattern.y,
        pattern.result,
        pattern.clamp,
        exactness,
        alpha,
    )


def _scaled_bias(
    pattern: Pattern,
    value: Value | None,
    count: int,
    alpha: float,
    beta: float,
    x_scale: float,
    w_scale: NDArray[np.float32],
) -> NDArray[np.int32]:
    """The bias times beta in steps of alpha * input scale * weight scale."""
    if value is None:
        return np.zeros(count, np.int32)
    real = value.constant
    if real is None:
        operand = pattern.operand(value)
        if operand is None or operand.constant is None:
            raise refusal(
                pattern.head.describe(), f"the bias ('{value.name}') is computed at run time", "a constant bias"
            )
        real = (operand.constant.astype(np.int64) - operand.zero_point).astype(F32) * operand.scale
    return float_bias(pattern.head, real * F32(beta), count, x_scale, F32(alpha) * w_scale)


def fuse_matmul(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x, weights = _operands(pattern, node)
    q = x.quantization(node)
    array, w_scale = weights.weights(node, 1)
    bias = np.zeros(array.shape[1], np.int32)
    exactness = weighted_exactness(pattern, x, weights, None)
    pattern.check_reach(largest_sum(array, 1, w_scale) * q.scale / pattern.y.scale, exactness)
    return dense_nodes(
        pattern.graph, node, x.value, array, w_scale, bias, q, pattern.y, pattern.result, pattern.clamp, exactness
    )


def is_matmul_add(pattern: Pattern) -> bool:
    """Whether the Add at the head adds a constant to a MatMul."""
    return _matmul_and_bias(pattern) is not None


def _matmul_and_bias(pattern: Pattern) -> tuple[Node, Value] | None:
    a, b = pattern.head.input(0), pattern.head.input(1)
    for product, bias in ((a, b), (b, a)):
        node = pattern.producers.get(product)
        if node is None or node.op != "MatMul":
            continue
        operand = pattern.operand(bias)
        if bias.constant is not None or (operand is not None and operand.constant is not None):
            return node, bias
    return None


def fuse_matmul_add(pattern: Pattern) -> list[Node]:
    found = _matmul_and_bias(pattern)
    assert found is not None
    node, bias_value = found
    x, weights = _operands(pattern, node)
    q = x.quantization(node)
    array, w_scale = weights.weights(node, 1)
    if len(bias_value.shape) > len(node.output.shape):
        raise refusal(pattern.head.describe(), f"the bias has shape {list(bias_value.shape)}", f"[{array.shape[1]}]")
    bias = fused_bias(pattern, bias_value, array.shape[1], q.scale, w_scale)
    exactness = weighted_exactness(pattern, x, weights, bias_value)
    if len(pattern.users.get(node.output, [])) != 1 or len(bias_value.shape) != 1:
        exactness = Exactness.Step
    pattern.check_reach(largest_sum(array, 1, w_scale) * q.scale / pattern.y.scale, exactness)
    return dense_nodes(
        pattern.graph, node, x.value, array, w_scale, bias, q, pattern.y, pattern.result, pattern.clamp, exactness
    )


def _operands(pattern: Pattern, node: Node) -> tuple[Operand, Operand]:
    x = pattern.operand(node.input(0))
    if x is None:
        raise pattern.float_input(node.input(0))
    weights = pattern.weight_operand(node.input(1)) if node.op == "Gemm" else pattern.operand(node.input(1))
    if weights is None or weights.constant is None:
        found = "are not quantized" if node.input(1).constant is not None else "are computed at run time"
        raise refusal(
            node.describe(),
            f"the weights ('{node.input(1).name}') {found}",
            "constant int8 weights as second input",
            QUANTIZE_HINT,
        )
    if x.constant is not None:
        raise refusal(
            node.describe(), f"the first input ('{x.value.name}') is constant", "constant weights as second input"
        )
    if weights.constant.ndim != 2:
        shape = list(weights.constant.shape)
        raise refusal(node.describe(), f"the weights have shape {shape}", "a matrix of weights as second input")
    return x, weights


def dense_nodes(
    graph: Graph,
    node: Node,
    x: Value,
    weights: NDArray[np.int8],
    w_scale: NDArray[np.float32],
    bias: NDArray[np.int32],
    x_quantization: Quantization,
    y_quantization: Quantization,
    result: Value,
    clamp: Clamp,
    exactness: Exactness,
    alpha: float = 1.0,
) -> list[Node]:
    """The fused node, after a Transpose of the input where transA is set. `weights` lie as in the ONNX node."""
    scale = gemm_scale(alpha, x_quantization.scale, w_scale, y_quantization.scale)
    check_scale(node, scale)
    result.quantization = y_quantization
    nodes: list[Node] = []
    if node.attributes.get("trans_a"):
        turned = graph.new_value(f"{x.name}_transposed", x.shape[::-1], x.dtype, x_quantization)
        nodes.append(Node("Transpose", node.name, [x], [turned], spec=TransposeSpec((1, 0))))
        x = turned
    packed = np.ascontiguousarray(weights if node.attributes.get("trans_b") else weights.T)
    spec = DenseSpec(packed, bias, scale, x_quantization, y_quantization, clamp, exactness)
    return [*nodes, Node("Dense", node.name, [x], [result], spec=spec)]
