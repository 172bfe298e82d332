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
SCALE_TOLERANCE = 0.01  # relative; ONNX Runtime ignores the scale of an int32 bias altogether


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
        elements = _uses_elements(pattern)
        if elements:
            return integer_bias(node, operand.constant, count)
        if elements is False:
            real = operand.constant.astype(F32) * operand.scale
            return float_bias(node, real, count, x_scale, w_scale)
        found, wanted = operand.scale.ravel()[0], expected.ravel()[0]
        raise refusal(
            node.describe(),
            f"the bias scale {found:.6g} is not input scale * weight scale {wanted:.6g}",
            "int32 biases of that scale, float biases",
            final=True,
        )
    return integer_bias(node, operand.constant, count)


def _uses_elements(pattern: Pattern) -> bool | None:
    """Behind pairs that ONNX Runtime merges (passes/merge_pairs.py) the bias keeps its old scale: its integer kernels
    take the elements as they are, its float32 ones what they mean. None where nothing was merged."""
    source = pattern.producers.get(pattern.head.input(0))
    if source is None or not source.attributes.get("merged"):
        return None
    _, exactness = pattern.arithmetic([pattern.activation(pattern.head.input(0))], "uint8")
    return exactness == Exactness.Exact


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
