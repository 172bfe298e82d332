"""The float32 formulas of ONNX Runtime that the converter computes ahead: scales, biases, tables (docs/numerics.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.ir import Array, Quantization

F32 = np.float32
Floats = NDArray[np.float32]


def conv_scale(x: float, weights: Floats, y: float) -> Floats:
    """(x_scale * weight_scale[c]) / y_scale, collapsed to one value when all are equal."""
    with np.errstate(over="ignore", under="ignore"):
        return collapse((F32(x) * weights) / F32(y))


def gemm_scale(alpha: float, a: float, b: Floats, y: float) -> Floats:
    """((alpha * a_scale) * b_scale[n]) / y_scale, collapsed to one value when all are equal."""
    with np.errstate(over="ignore", under="ignore"):
        return collapse(((F32(alpha) * F32(a)) * b) / F32(y))


def collapse(scale: Floats) -> Floats:
    scale = np.asarray(scale, F32).ravel()
    return scale[:1].copy() if np.all(scale == scale[0]) else scale


def quantize_bias(bias: Array, x: float, weights: Floats) -> NDArray[np.float32]:
    """rint(b / (x_scale * weight_scale)) as ONNX Runtime quantizes a float bias; still float32, unbounded."""
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        return np.rint(bias.astype(F32) / (F32(x) * weights))


def quantize(values: Floats, q: Quantization) -> NDArray[np.int8]:
    """Device values of real numbers: sat(rint(x / scale) + zero_point). Not-a-number becomes the smallest value."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled = values.astype(F32) / F32(q.scale)
    zero = q.device_zero_point
    limited = np.minimum(np.maximum(np.nan_to_num(scaled, nan=-np.inf), F32(-128 - zero)), F32(127 - zero))
    return (np.rint(limited).astype(np.int32) + zero).astype(np.int8)


def quantize_array(x: Array, scale: Array, zero_point: Array, axis: int) -> Array:
    """sat(rint(x / scale) + zero_point) of a float array, per tensor or along `axis`, in the zero point's type."""
    shape = [1] * x.ndim
    if axis >= 0:
        shape[axis] = scale.size
    limits = np.iinfo(zero_point.dtype)
    zero = zero_point.astype(np.int32).reshape(shape)
    with np.errstate(over="ignore", under="ignore"):
        scaled = x.astype(F32) / scale.reshape(shape)
    limited = np.clip(np.nan_to_num(scaled, nan=0.0), limits.min - zero, limits.max - zero)
    return (np.rint(limited).astype(np.int32) + zero).astype(zero_point.dtype)


def dequantize(values: Array, q: Quantization) -> Floats:
    """f32(q - zero_point) * scale of device values."""
    return (values.astype(np.int32) - q.device_zero_point).astype(F32) * F32(q.scale)


def all_device_values() -> NDArray[np.int8]:
    return np.arange(-128, 128).astype(np.int8)


def fma(a: Any, b: Any, c: Any) -> Floats:
    """Exact float32 fused multiply-add: exact product in float64, sum rounded to odd there, then to float32."""
    product = np.asarray(a, F32).astype(np.float64) * np.asarray(b, F32).astype(np.float64)
    addend = np.asarray(c, F32).astype(np.float64)
    total = np.atleast_1d(product + addend)
    virtual = total - product
    error = (product - (total - virtual)) + (addend - virtual)
    bits = total.view(np.int64)
    inexact = (error != 0) & ((bits & 1) == 0)
    towards = np.where((error > 0) == (total > 0), 1, -1)
    rounded = np.where(inexact, bits + towards, bits).view(np.float64)
    return rounded.astype(F32).reshape(np.shape(product + addend))


def softmax_table(x_scale: float, length: int, factor: float = 1.0) -> Floats:
    """t[i] = exp((i - 255 + B) * x_scale), B = max(0, f32(ln(FLT_MAX / length)) - 5) / x_scale.

    With a factor, B is lowered where the largest exponential times that factor would overflow; 1 leaves B alone.
    """
    largest = np.finfo(F32).max
    scale = float(F32(x_scale))
    room = float(F32(math.log(float(F32(largest / F32(length)))))) - 5.0
    room = max(0.0, min(room, math.log(float(largest) / factor) - 0.01))
    # math.exp, because NumPy's own differs in the last bit between processors
    with np.errstate(under="ignore"):
        return np.asarray([math.exp((i - 255 + room / scale) * scale) for i in range(256)], np.float64).astype(F32)


def softmax_factor(y_scale: float, whole: bool) -> float:
    """1 / y_scale, at most the largest float32; ONNX Runtime's integer kernel takes the next smaller integer of it."""
    with np.errstate(over="ignore"):
        factor = np.minimum(F32(1.0) / F32(y_scale), np.finfo(F32).max)
    return float(np.floor(factor) if whole else factor)
