"""Convolutions and dense layers of float islands.

1. A per-tensor int8 input, int8 weights: the integer kernel with a float32 result, as ONNX Runtime's QGemm and
   MatMulIntegerToFloat; a float bias is added afterwards.
2. A float input: the float kernel. Weights that were int8 stay int8 in flash, with their scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ConvertError
from onnxino.schema.model import BinaryFunction, Exactness
from onnxino_converter import floats
from onnxino_converter.arithmetic import F32, collapse
from onnxino_converter.fuse.islands import Islands
from onnxino_converter.fuse.operands import Operand, held
from onnxino_converter.ir import Array, Node, Quantization, Value
from onnxino_converter.quantized import Clamp, ConvSpec, DenseSpec, TransposeSpec
from onnxino_converter.refusal import refusal

Floats = NDArray[np.float32]
BIAS_TOLERANCE = 1e-6  # relative; of the scale of an int32 bias


def lower_conv(islands: Islands, node: Node) -> list[Node]:
    window, group = node.attributes["window"], node.attributes["group"]
    count: int = node.input(1).shape[0]
    small = _int8_weights(islands, node, node.input(1), 0)
    x = _int8_input(islands, node.input(0))
    bias_value = node.optional(2)
    if x is not None and small is not None:
        weights, w_scale = small
        q = _parameters(x)
        scale = collapse(F32(q.scale) * w_scale)
        bias, rest = _bias(islands, node, bias_value, count, F32(q.scale) * w_scale)
        spec = ConvSpec(window, group, weights, bias, scale, q, None, Clamp(), Exactness.Float)
        return _with_bias(islands, node, [x.value], "Conv", spec, rest, 1)
    weights, w_scale = _weights(islands, node, node.input(1), 0)
    spec = floats.FloatConvSpec(window, group, weights, w_scale, _float_bias(islands, node, bias_value, count))
    return [Node("Conv", node.name, [islands.read(node.input(0))], node.outputs, spec=spec)]


def lower_gemm(islands: Islands, node: Node) -> list[Node]:
    a = node.attributes
    channel = 0 if a["trans_b"] else 1
    return _dense(islands, node, channel, node.optional(2), float(a["alpha"]), float(a["beta"]), bool(a["trans_a"]))


def lower_matmul(islands: Islands, node: Node) -> list[Node]:
    if len(node.input(1).shape) == 2 and islands.constant(node.input(1)) is not None:
        return _dense(islands, node, 1, None, 1.0, 1.0, False)
    inputs: list[Value | None] = [islands.read(node.input(0)), islands.read(node.input(1))]
    return [Node("FloatMatMul", node.name, inputs, node.outputs, spec=floats.FloatMatMulSpec())]


def _dense(
    islands: Islands, node: Node, channel: int, bias_value: Value | None, alpha: float, beta: float, trans_a: bool
) -> list[Node]:
    if islands.constant(node.input(1)) is None:
        return _product(islands, node, channel, bias_value, alpha, beta, trans_a)
    count = node.input(1).shape[channel]
    nodes: list[Node] = []
    x = _int8_input(islands, node.input(0))
    small = _int8_weights(islands, node, node.input(1), channel)
    if x is not None and small is not None and alpha > 0:
        q, (weights, w_scale) = _parameters(x), small
        step = (F32(alpha) * F32(q.scale)) * w_scale
        bias, rest = _bias(islands, node, bias_value if beta == 1.0 else None, count, step)
        if beta != 1.0:
            rest = _scaled(islands, bias_value, beta)
        value = _turned(islands, node, x.value, q, nodes) if trans_a else x.value
        packed = np.ascontiguousarray(weights if channel == 0 else weights.T)
        spec = DenseSpec(packed, bias, collapse(step), q, None, Clamp(), Exactness.Float)
        return [*nodes, *_with_bias(islands, node, [value], "Dense", spec, rest, -1)]
    weights, w_scale = _weights(islands, node, node.input(1), channel)
    if alpha != 1.0:
        weights, w_scale = (weights * F32(alpha), None) if w_scale is None else (weights, w_scale * F32(alpha))
        if w_scale is not None and alpha <= 0:
            weights, w_scale = _full(islands, node.input(1)) * F32(alpha), None
    value = islands.read(node.input(0))
    value = _turned(islands, node, value, None, nodes) if trans_a else value
    bias, rest = _split_bias(islands, node, bias_value, count, beta)
    packed = np.ascontiguousarray(weights if channel == 0 else weights.T)
    spec = floats.FloatDenseSpec(packed, w_scale, bias)
    return [*nodes, *_with_bias(islands, node, [value], "Dense", spec, rest, -1)]


def _product(
    islands: Islands, node: Node, channel: int, bias: Value | None, alpha: float, beta: float, trans_a: bool
) -> list[Node]:
    """A Gemm of two activations."""
    if alpha != 1.0 or (beta != 1.0 and bias is not None and islands.constant(bias) is None):
        raise refusal(node.describe(), f"alpha is {alpha}, beta {beta}", "1 where both matrices are computed")
    nodes: list[Node] = []
    a, b = islands.read(node.input(0)), islands.read(node.input(1))
    a = _turned(islands, node, a, None, nodes) if trans_a else a
    b = _turned(islands, node, b, None, nodes) if channel == 0 else b
    return [
        *nodes,
        *_with_bias(islands, node, [a, b], "FloatMatMul", floats.FloatMatMulSpec(), _scaled(islands, bias, beta), -1),
    ]


def _turned(islands: Islands, node: Node, x: Value, q: Quantization | None, nodes: list[Node]) -> Value:
    turned = islands.graph.new_value(f"{x.name}_transposed", x.shape[::-1], x.dtype, q)
    nodes.append(Node("Transpose", node.name, [x], [turned], spec=TransposeSpec((1, 0))))
    return turned


def _with_bias(
    islands: Islands, node: Node, inputs: list[Value], op: str, spec: Any, bias: Value | None, axis: int
) -> list[Node]:
    """The node, and an Add of what its own bias cannot hold. axis: of the output that a [M] bias belongs to."""
    listed: list[Value | None] = list(inputs)
    if bias is None:
        return [Node(op, node.name, listed, node.outputs, spec=spec)]
    if axis == 1:
        shape = (1, -1, *(1,) * (len(node.output.shape) - 2))
        assert bias.constant is not None
        bias = islands.graph.new_constant(f"{bias.name}_channels", bias.constant.reshape(shape))
    product = islands.new(node.output, "product")
    added = floats.FloatBinarySpec(BinaryFunction.Add)
    return [
        Node(op, node.name, listed, [product], spec=spec),
        Node("FloatBinary", node.name, [product, bias], node.outputs, spec=added),
    ]


def _int8_input(islands: Islands, value: Value) -> Operand | None:
    operand = islands.operand(value)
    if operand is None or operand.constant is not None or not held(operand.scale, operand.zero_point):
        return None
    return operand


def _parameters(x: Operand) -> Quantization:
    q = Quantization(float(x.scale[0]), int(x.zero_point[0]), x.zero_point.dtype == np.uint8)
    if x.value.quantization is None:
        x.value.quantization = q
    return q


def _int8_weights(islands: Islands, node: Node, value: Value, channel: int) -> tuple[NDArray[np.int8], Floats] | None:
    operand = islands.operand(value)
    if operand is None or operand.constant is None:
        return None
    try:
        return operand.weights(node, channel)
    except ConvertError:  # of other types, or along other axes
        return None


def _full(islands: Islands, value: Value) -> Array:
    array = islands.constant(value)
    assert array is not None
    return array


def _weights(islands: Islands, node: Node, value: Value, channel: int) -> tuple[Array, Floats | None]:
    small = _int8_weights(islands, node, value, channel)
    if small is not None and small[0].dtype == np.int8:
        return small[0], collapse(small[1])
    array = islands.constant(value)
    if array is None:
        raise refusal(node.describe(), f"the weights ('{value.name}') are computed at run time", "constant weights")
    if not np.all(np.isfinite(array)):
        raise refusal(node.describe(), "a weight is not finite", "finite weights")
    return array, None


def _bias(
    islands: Islands, node: Node, value: Value | None, count: int, step: Floats
) -> tuple[NDArray[np.int32], Value | None]:
    """The bias in int32 steps, where it is an int32 constant of that scale; else zeros, and what is to be added."""
    zeros = np.zeros(count, np.int32)
    if value is None:
        return zeros, None
    operand = islands.operand(value)
    if operand is not None and operand.constant is not None and operand.constant.dtype == np.int32:
        near = bool(np.all(np.abs(operand.scale - step) <= BIAS_TOLERANCE * step)) if _fits(operand, step) else False
        if near and not np.any(operand.zero_point) and operand.constant.size in (1, count):
            return np.broadcast_to(operand.constant.ravel(), (count,)).astype(np.int32), None
    return zeros, islands.read(value)


def _fits(operand: Operand, step: Floats) -> bool:
    return operand.scale.size in (1, step.size) or step.size == 1


def _float_bias(islands: Islands, node: Node, value: Value | None, count: int) -> Floats:
    array = np.zeros(count, F32) if value is None else islands.constant(value)
    if array is None:
        raise refusal(node.describe(), "the bias is computed at run time", "a constant bias")
    if array.size not in (1, count):
        raise refusal(node.describe(), f"the bias has shape {list(array.shape)}", f"[{count}]")
    return np.broadcast_to(array.ravel(), (count,)).astype(F32)


def _split_bias(
    islands: Islands, node: Node, value: Value | None, count: int, beta: float
) -> tuple[Floats, Value | None]:
    """A bias of one value for each output as such; any other is to be added."""
    zeros = np.zeros(count, F32)
    if value is None:
        return zeros, None
    array = islands.constant(value)
    if array is not None and array.size in (1, count) and array.shape[-1:] in ((), (1,), (count,)):
        return np.broadcast_to(array.ravel(), (count,)).astype(F32) * F32(beta), None
    return zeros, _scaled(islands, value, beta)


def _scaled(islands: Islands, value: Value | None, beta: float) -> Value | None:
    """beta * value, as an input of an Add."""
    if value is None:
        return None
    if beta == 1.0:
        return islands.read(value)
    array = islands.constant(value)
    if array is None:
        raise refusal(f"tensor '{value.name}'", f"a bias computed at run time has beta {beta}", "beta 1")
    return islands.graph.new_constant(f"{value.name}_scaled", (array * F32(beta)).reshape(value.shape or (1,)))


LOWERINGS = {"Conv": lower_conv, "Gemm": lower_gemm, "MatMul": lower_matmul}
