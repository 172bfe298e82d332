"""Biases of convolutions and dense layers as int32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, quantize_bias
from onnxino_converter.fuse.operands import Pattern
from onnxino_converter.ir import Array, Node, Value
from onnxino_converter.refusal import refusal

Int32s = NDArray[np.int32]
SCALE_TOLERANCE, ABSOLUTE_TOLERANCE = 0.01, 1e-6  # of ONNX Runtime's convolutions; its QGemm ignores a bias's scale


def fused_bias(
    pattern: Pattern, value: Value | None, count: int, x_scale: float, w_scale: NDArray[np.float32]
) -> Int32s:
    """The int32 bias of `count` channels: none, float, or an int32 constant behind a DequantizeLinear."""
    node = pattern.head
    if value is None:
        return np.zeros(count, np.int32)
    if value.constant is not None:
        return float_bias(node, value.constant, count, x_scale, w_scale)
    operand = pattern.operand(value)
    if operand is None or operand.constant is None:
        raise refusal(node.describe(), f"the bias ('{value.name}') is computed at run time", "a constant bias")
    if operand.constant.dtype != np.int32 or np.any(operand.zero_point != 0):
        real = (operand.constant.astype(np.int64) - operand.zero_point).astype(F32) * operand.scale
        return float_bias(node, real, count, x_scale, w_scale)
    expected = F32(x_scale) * w_scale
    if np.any(np.abs(operand.scale - expected) > SCALE_TOLERANCE * expected):
        merged = _merged_bias(pattern, value, count, x_scale, w_scale)
        if merged is not None:
            return merged
        found, wanted = operand.scale.ravel()[0], expected.ravel()[0]
        raise refusal(
            node.describe(),
            f"the bias scale {found:.6g} is not input scale * weight scale {wanted:.6g}",
            "int32 biases of that scale, float biases",
            final=True,
        )
    return integer_bias(node, operand.constant, count)


def other_scale(pattern: Pattern, value: Value | None, x_scale: float, w_scale: NDArray[np.float32]) -> bool:
    """Whether an int32 bias has a scale with which ONNX Runtime has no integer convolution."""
    operand = None if value is None else pattern.operand(value)
    if operand is None or operand.value.dtype != np.int32:
        return False
    expected = F32(x_scale) * w_scale
    return bool(np.any(np.abs(operand.scale - expected) > ABSOLUTE_TOLERANCE + SCALE_TOLERANCE * expected))


def _merged_bias(
    pattern: Pattern, value: Value, count: int, x_scale: float, w_scale: NDArray[np.float32]
) -> Int32s | None:
    """Behind pairs that ONNX Runtime merges (passes/merge_pairs.py) the input has another scale than the bias was made
    for: its integer kernels take the elements as they are, its float32 ones what they mean. None where nothing was
    merged."""
    node, operand = pattern.head, pattern.operand(value)
    sources = [pattern.producers.get(v) for v in node.present]
    sources += [pattern.producers.get(s.input(0)) for s in sources if s is not None and s.op == "MatMul"]
    merged = next((s for s in sources if s is not None and s.attributes.get("merged")), None)
    if merged is None or operand is None or operand.constant is None:
        return None
    _, exactness = pattern.arithmetic([pattern.activation(merged.output)], "uint8")
    if exactness == Exactness.Exact and not (node.op == "Conv" and other_scale(pattern, value, x_scale, w_scale)):
        return integer_bias(node, operand.constant, count)
    return float_bias(node, operand.constant.astype(F32) * operand.scale, count, x_scale, w_scale)


def integer_bias(node: Node, array: Array, count: int) -> Int32s:
    flat = _rows(node, array, count)
    return flat.astype(np.int32)


def float_bias(node: Node, array: Array, count: int, x_scale: float, w_scale: NDArray[np.float32]) -> Int32s:
    flat = _rows(node, array, count)
    rounded = quantize_bias(flat, x_scale, w_scale).astype(np.float64)
    if not np.all(np.abs(rounded) < 2**31):
        raise refusal(
            node.describe(), "a bias is not finite or does not fit int32 in steps of input scale * weight scale"
        )
    return rounded.astype(np.int32)


def _rows(node: Node, array: Array, count: int) -> Array:
    """A bias of any shape that broadcasts to [rows, count] with equal rows, as [count]."""
    if array.ndim and array.shape[-1] not in (1, count):
        raise refusal(node.describe(), f"the bias has shape {list(array.shape)}", f"[{count}]")
    flat = np.broadcast_to(array, (*array.shape[:-1], count)).reshape(-1, count)
    if np.any(flat != flat[0]):
        raise refusal(node.describe(), f"the bias has shape {list(array.shape)} and differs between rows", f"[{count}]")
    return flat[0]
