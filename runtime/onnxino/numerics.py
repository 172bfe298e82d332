"""The arithmetic that NumPy kernels share (docs/numerics.md): requantization, fused multiply-add, quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from onnxino.schema.model import Requantization

SINGLE_THREAD = 1 << 18  # multiplications up to which OpenBLAS computes a matrix product in the calling thread
FLOAT32_EXACT = 1 << 24  # integers up to here are float32 values, and so is every sum that stays below


def accumulator_type(weights: NDArray[Any], bias: NDArray[np.int32]) -> type[np.float32] | type[np.float64]:
    """The float type in which int8 inputs times `weights`, summed per row and added to `bias`, are exact integers.

    weights: [channels, K] integers. Every partial sum is at most 128 * sum(abs(w)), in whatever order BLAS adds;
    float64 is always enough, because K stays below 2^31 and 2^31 * 2^14 < 2^53.
    """
    largest = np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0)
    offset = np.abs(bias.astype(np.int64)).max(initial=0)
    return np.float32 if 128 * int(largest) + int(offset) < FLOAT32_EXACT else np.float64


def matrix_product(rows: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
    """rows [R, K] @ matrix [K, N] in blocks of rows that BLAS multiplies without threads.

    These products are small: threads gain little on an idle machine, and on a busy one OpenBLAS waits for each of them,
    which was seen to take ten times as long.
    """
    depth, columns = matrix.shape
    block = SINGLE_THREAD // (depth * columns)
    if block < 2 or block >= len(rows):
        return rows @ matrix
    whole = len(rows) // block * block
    result = np.empty((len(rows), columns), rows.dtype)
    np.matmul(rows[:whole].reshape(-1, block, depth), matrix, out=result[:whole].reshape(-1, block, columns))
    np.matmul(rows[whole:], matrix, out=result[whole:])
    return result


def wrap32(values: NDArray[Any]) -> NDArray[np.int32]:
    """Integers of any size (as float64 or int64) as int32 with wrap-around."""
    return values.astype(np.int64).astype(np.int32)


def rescale(accumulator: NDArray[Any], bias: NDArray[np.int32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """f32(accumulator + bias) * scale; channels are the last axis. accumulator: as in requantize, overwritten too."""
    accumulator += bias
    if accumulator.dtype != np.float32:
        accumulator = wrap32(accumulator).astype(np.float32)
    accumulator *= scale
    return accumulator


def requantize(accumulator: NDArray[Any], bias: NDArray[np.int32], to: Requantization) -> NDArray[np.int8]:
    """clamp(rint(f32(accumulator + bias) * scale) + zero_point, minimum, maximum) as int8; channels are the last axis.

    accumulator: exact integers as float32 (only where the sum with bias is exact too, see accumulator_type) or float64;
    it serves as the work buffer and is overwritten.
    """
    accumulator = rescale(accumulator, bias, to.scale)
    np.rint(accumulator, out=accumulator)
    accumulator += np.float32(to.zero_point)  # inexact only far outside of the clamp's range
    return saturate(accumulator, to.minimum, to.maximum)


def finish(
    accumulator: NDArray[Any], bias: NDArray[np.int32], to: Requantization, dtype: np.dtype[Any]
) -> NDArray[np.int8] | NDArray[np.float32]:
    """What a kernel with an int8 or float32 output does with its accumulator: requantize or rescale."""
    return requantize(accumulator, bias, to) if dtype == np.int8 else rescale(accumulator, bias, to.scale)


def saturate(values: NDArray[np.float32], minimum: int = -128, maximum: int = 127) -> NDArray[np.int8]:
    """Clamps whole numbers in place and returns them as int8."""
    np.maximum(values, np.float32(minimum), out=values)
    np.minimum(values, np.float32(maximum), out=values)
    return values.astype(np.int8)


def fma32(a: Any, b: Any, c: Any) -> NDArray[np.float32]:
    """a * b + c of float32 values with a single rounding, like fmaf; arguments broadcast.

    The product of two float32 is exact in float64. Their sum with c is rounded to odd (its error, which TwoSum gives
    exactly, decides the last bit), so that rounding it to float32 afterwards is as good as rounding once.
    """
    product = np.asarray(a, np.float32).astype(np.float64) * np.asarray(b, np.float32).astype(np.float64)
    addend = np.asarray(c, np.float32).astype(np.float64)
    total = np.atleast_1d(product + addend)
    part = total - product
    error = (product - (total - part)) + (addend - part)
    bits = total.view(np.int64)
    to_odd = ((error > 0) | (error < 0)) & (bits & 1 == 0)  # neither for an infinite sum
    bits[to_odd] += np.where((error > 0) == (total > 0), 1, -1)[to_odd]
    return total.astype(np.float32).reshape(np.broadcast_shapes(product.shape, addend.shape))


def quantize(
    values: NDArray[np.float32], scale: float, zero_point: int, dtype: DTypeLike = np.int8
) -> NDArray[np.int8] | NDArray[np.uint8]:
    """QuantizeLinear: clamp(rint(x / scale) + zero_point) as int8 or uint8.

    values: any shape; the result has the same. NaN becomes the minimum, as in ONNX Runtime.
    """
    limits = np.iinfo(dtype)
    quotient = values / np.float32(scale)
    np.fmax(quotient, np.float32(limits.min - zero_point), out=quotient)
    np.fmin(quotient, np.float32(limits.max - zero_point), out=quotient)
    np.rint(quotient, out=quotient)
    quotient += np.float32(zero_point)
    return quotient.astype(dtype)


def dequantize(values: NDArray[np.int8] | NDArray[np.uint8], scale: float, zero_point: int) -> NDArray[np.float32]:
    """DequantizeLinear: f32(q - zero_point) * scale."""
    return (values.astype(np.int32) - np.int32(zero_point)).astype(np.float32) * np.float32(scale)
