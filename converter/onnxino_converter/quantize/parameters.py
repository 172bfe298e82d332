"""Scales and zero points: of activations from their range, of weights from their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.quantize.graph import Array

F32 = np.float32
EPS = float(np.finfo(F32).eps)
STEPS = 255
WEIGHT_MAX = 127
BIAS_MAX = 2**30  # int32, with room for the products that are added


@dataclass(frozen=True)
class Parameters:
    """Of one activation tensor: real = (value - zero_point) * scale; zero_point in 0..255 or -128..127."""

    scale: np.float32
    zero_point: int
    unsigned: bool

    @property
    def dtype(self) -> Any:
        return np.uint8 if self.unsigned else np.int8

    def quantize(self, values: Array) -> Array:
        """As QuantizeLinear: saturate(rint(x / scale) + zero_point)."""
        info = np.iinfo(self.dtype)
        rounded = np.rint(values.astype(F32) / self.scale) + self.zero_point
        return np.clip(rounded, info.min, info.max).astype(self.dtype)

    def round(self, values: Array) -> Array:
        """The values that are left after quantizing."""
        return (self.quantize(values).astype(np.int32) - self.zero_point).astype(F32) * self.scale


def for_range(low: float, high: float, unsigned: bool) -> Parameters:
    """Asymmetric, 256 levels, zero exact. A range of nothing but zero gets scale 1."""
    least = 0 if unsigned else -128
    low, high = min(low, 0.0), max(high, 0.0)
    scale = F32((high - low) / STEPS)
    if not scale >= np.finfo(F32).tiny:
        return Parameters(F32(1.0), least, unsigned)
    zero = int(np.clip(np.rint(-low / float(scale)), 0, STEPS))
    return Parameters(scale, least + zero, unsigned)


def within(low: float, high: float, bounds: tuple[float, float], unsigned: bool) -> Parameters:
    """The same where a Clip to `bounds` comes before: no level lies outside of them, so that the Clip does nothing.

    ONNX Runtime keeps a Clip in float that is not redundant in this sense.
    """
    low, high = max(min(low, 0.0), bounds[0]), min(max(high, 0.0), bounds[1])
    found = for_range(low, high, unsigned)
    least = 0 if unsigned else -128
    if _is_redundant(found, least, bounds) or not bounds[0] <= 0.0 <= bounds[1]:
        return found
    zeros = np.arange(STEPS + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(zeros > 0, -bounds[0] / zeros, np.inf)
        above = np.where(zeros < STEPS, bounds[1] / (STEPS - zeros), np.inf)
    largest = np.minimum(below, above)
    near = abs(found.zero_point - least - zeros) <= 1  # the Clip's edge costs less than a step there
    zero = int(np.argmax(np.where(near, largest, -1.0)))
    scale = F32(min(float(largest[zero]), float(found.scale)))
    while not _is_redundant(Parameters(scale, least + zero, unsigned), least, bounds):
        scale = np.nextafter(scale, F32(0))
    return Parameters(scale, least + zero, unsigned)


def _is_redundant(p: Parameters, least: int, bounds: tuple[float, float]) -> bool:
    lowest, highest = (float(F32(v - p.zero_point) * p.scale) for v in (least, least + STEPS))
    return bounds[0] - lowest <= EPS and highest - bounds[1] <= EPS


def weight_scales(weights: Array, axis: int | None) -> NDArray[np.float32]:
    """Symmetric int8: one scale, or one for each index of `axis`. Channels of zeros get the scale of the whole."""
    magnitude = np.abs(weights.astype(np.float64))
    whole = float(magnitude.max(initial=0.0)) or 1.0
    if axis is None:
        return np.asarray(whole / WEIGHT_MAX, F32)
    largest = magnitude.max(axis=tuple(k for k in range(weights.ndim) if k != axis))
    smallest = whole * 1e-7  # below it a channel is noise, and its scale would leave the normal numbers
    return (np.where(largest > smallest, largest, whole) / WEIGHT_MAX).astype(F32)


def quantize_weights(weights: Array, scale: NDArray[np.float32], axis: int | None) -> NDArray[np.int8]:
    steps = weights.astype(F32) / broadcast(scale, weights.ndim, axis)
    return np.clip(np.rint(steps), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)


def broadcast(scale: Array, rank: int, axis: int | None) -> Array:
    """Scales along `axis` of an array of this rank."""
    return scale if axis is None else scale.reshape([-1 if k == axis else 1 for k in range(rank)])


def bias_steps(bias: Array, x: np.float32, weights: NDArray[np.float32]) -> NDArray[np.int32]:
    """Biases in steps of input scale * weight scale."""
    return np.rint(bias.astype(F32) / (x * weights)).astype(np.int32)


def room_for_bias(weights: NDArray[np.float32], bias: Array, x: np.float32) -> NDArray[np.float32]:
    """Weight scales, larger where the bias would not fit int32 otherwise."""
    needed = np.abs(bias.astype(np.float64)) / (float(x) * BIAS_MAX)
    if weights.ndim == 0:
        needed = needed.max(initial=0.0)
    return np.maximum(weights, needed).astype(F32)
