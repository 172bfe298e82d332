"""Convolutions: DQ -> Conv -> (Relu, Clip) -> Q, and QLinearConv."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import conv_scale
from onnxino_converter.fuse.bias import fused_bias, other_scale
from onnxino_converter.fuse.operands import Operand, Pattern
from onnxino_converter.ir import Node, Quantization, Value
from onnxino_converter.quantized import Clamp, ConvSpec
from onnxino_converter.refusal import QUANTIZE_HINT, refusal


def fuse_conv(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x = pattern.activation(node.input(0))
    weights = pattern.weight_operand(node.input(1))
    if weights is None:
        raise refusal(
            node.describe(), f"the weights ('{node.input(1).name}') are not quantized", "int8 weights", QUANTIZE_HINT
        )
    q = x.quantization(node)
    array, w_scale = weights.weights(node, 0)
    bias = fused_bias(pattern, node.optional(2), array.shape[0], q.scale, w_scale)
    exactness = weighted_exactness(pattern, x, weights, node.optional(2))
    if other_scale(pattern, node.optional(2), q.scale, w_scale):
        exactness = Exactness.Step
    if node.attributes.get("rescaled"):  # per channel, which ONNX Runtime computes in float32 (passes/even_channels.py)
        exactness = Exactness.Step
    pattern.check_reach(largest_sum(array, 0, w_scale) * q.scale / pattern.y.scale, exactness)
    return [conv_node(node, x.value, array, w_scale, bias, q, pattern.y, pattern.result, pattern.clamp, exactness)]


def largest_sum(weights: NDArray[np.integer[Any]], channel_axis: int, w_scale: NDArray[np.float32]) -> float:
    """The largest sum of magnitudes that 8-bit inputs can reach, in units of the input's scale."""
    others = tuple(axis for axis in range(weights.ndim) if axis != channel_axis)
    return float((255.0 * np.abs(weights.astype(np.float64)).sum(axis=others) * w_scale).max())


def weighted_exactness(pattern: Pattern, x: Operand, weights: Operand, bias: Value | None) -> Exactness:
    """Integer in ONNX Runtime on x86-64: uint8 activations, plain weights, a bias that is int32 or float."""
    _, exactness = pattern.arithmetic([x], "uint8")
    operand = None if bias is None else pattern.operand(bias)
    plain_bias = operand is None or (operand.value.dtype == np.int32 and not operand.float_in_ort)
    return exactness if plain_bias and not weights.float_in_ort else Exactness.Step


def conv_node(
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
) -> Node:
    """The fused node; attributes window and group come from the ONNX node."""
    scale = conv_scale(x_quantization.scale, w_scale, y_quantization.scale)
    check_scale(node, scale)
    result.quantization = y_quantization
    spec = ConvSpec(
        node.attributes["window"],
        node.attributes["group"],
        weights,
        bias,
        scale,
        x_quantization,
        y_quantization,
        clamp,
        exactness,
    )
    return Node("Conv", node.name, [x], [result], spec=spec)


def check_scale(node: Node, scale: NDArray[np.float32]) -> None:
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise refusal(
            node.describe(),
            "input scale * weight scale / output scale is not a finite float32 above 0",
            None,
            "quantize again: a scale is extremely large or small",
            final=True,
        )
