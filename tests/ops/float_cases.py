"""Values, weights and bounds for the tests of float32 operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxino.errors import ModelError
from onnxino.model import load_model
from onnxino.schema.codec import encode
from onnxino.schema.model import ElementType, Model, WeightLayout, Weights

Floats = NDArray[np.float32]
f32 = np.float32

EXTREMES = [0.0, -0.0, np.inf, -np.inf, np.nan, 3.4028235e38, -3.4028235e38, 1e-45, -1e-45, 1.1754944e-38, 1.0, -1.0]


def values(seed: int, shape: Sequence[int], kind: str = "normal") -> Floats:
    """Random float32: normal, or mixed with extremes, zeros of both signs alone, subnormal numbers, ties."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(0, 2, shape).astype(f32)
    if kind == "normal":
        return normal
    if kind == "zeros":
        return rng.choice(np.array([0.0, -0.0], f32), shape)
    if kind == "subnormal":
        return (normal * f32(1e-39)).astype(f32)
    if kind == "ties":
        return rng.choice(np.array([-1.0, -0.0, 0.0, 1.0], f32), shape)
    assert kind == "extremes"
    return np.where(rng.random(shape) < 0.2, rng.choice(np.array(EXTREMES, f32), shape), normal)


def patterns(seed: int, count: int) -> Floats:
    """[count + some]: random bit patterns, every exponent among them, and extremes with their neighbours."""
    bits = np.random.default_rng(seed).integers(0, 1 << 32, count, np.uint32).view(f32)
    edges = np.array([*EXTREMES, 0.5, -0.5, 1.5, 2.5, -2.5, 8388607.5, 16777216.0, 88.72284, -103.97208], f32)
    with np.errstate(over="ignore"):
        near = [np.nextafter(edges, f32(-np.inf)), edges, np.nextafter(edges, f32(np.inf))]
    return np.concatenate([bits, *near])


def weights(
    seed: int, layout: WeightLayout, shape: Sequence[int], scales: int
) -> tuple[Floats, Weights, Floats | None]:
    """The weights as float32 [outputs, ...], as stored, and their scales: float32 where `scales` is 0, else int8."""
    if not scales:
        real = values(seed, shape)
        return real, Weights(layout=layout, type=ElementType.Float32, data=real.view(np.uint8).reshape(-1)), None
    rng = np.random.default_rng(seed)
    stored = rng.integers(-128, 128, shape, np.int8)
    scale = rng.uniform(0.001, 0.1, scales).astype(f32)
    real = stored.astype(f32) * scale.reshape(-1, *(1,) * (len(shape) - 1))
    return real, Weights(layout=layout, data=stored.view(np.uint8).reshape(-1)), scale


def limited(x: Floats, minimum: float, maximum: float) -> Floats:
    """min(max(x + 0.0, minimum), maximum), where NaN stays and no zero is negative."""
    x = x + f32(0)
    x = np.where(x < f32(minimum), f32(minimum) + f32(0), x)
    return np.where(x > f32(maximum), f32(maximum) + f32(0), x)


def bound(terms: int, size: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far apart two float32 sums of so many terms can be; size: the sum of the terms' magnitudes.

    Each order differs from the exact sum by at most (terms + 1) * 2^-24 * size (Higham, Accuracy and Stability).
    """
    return 2 * (terms + 2) * 2.0**-24 * size


def ulps(found: Floats, expected: NDArray[Any], floor: float = 0) -> NDArray[np.float64]:
    """How far apart, in the distance of float32 values at max(abs(expected), floor).

    Zeros and NaN equal each other, infinity equals itself; everything else is infinitely far from them.
    """
    with np.errstate(all="ignore"):
        exact = expected.astype(np.float64)
        rounded = expected.astype(f32)
        distance = np.abs(found - exact) / np.spacing(np.maximum(np.abs(rounded), f32(floor))).astype(np.float64)
    same = (found == rounded) & ~np.isfinite(rounded) | np.isnan(found) & np.isnan(rounded)
    usual = np.isfinite(found) & np.isfinite(rounded)
    return np.where(same, 0.0, np.where(usual, distance, np.inf))


def assert_refused(model: Model, message: str, c_backend_missing: str | None) -> None:
    """Python refuses the model with this message (a pattern), and so does the C runtime, where it is."""
    data = encode(model)
    with pytest.raises(ModelError, match=message):
        load_model(data)
    if not c_backend_missing:
        from onnxino.backends.c import CBackend

        with pytest.raises(ModelError, match="the C runtime refuses the model"):
            CBackend(model, data)
