"""FullyConnected against ONNX Runtime's QGemm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import ElementType, FullyConnected, WeightLayout

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """rows x depth times depth x units."""

    rows: int = 3
    depth: int = 20
    units: int = 7
    x: tuple[int, int] = (-128, 127)
    w: tuple[int, int] = (-128, 127)
    zero_points: tuple[int, int] = (-3, 5)
    per_channel: bool = False
    bias: int | None = 3000
    alpha: float = 1.0
    scale: float = 0.0


CASES = {
    "plain": Case(),
    "one row": Case(rows=1),
    "one value": Case(rows=1, depth=1, units=1),
    "one unit": Case(units=1),
    "depth 1": Case(depth=1),
    "per channel": Case(per_channel=True),
    "no bias": Case(bias=None),
    "alpha": Case(alpha=0.37),
    "zero points -128": Case(zero_points=(-128, -128)),
    "zero points 127": Case(zero_points=(127, 127)),
    "scale 1/2: many ties": Case(rows=64, depth=3, x=(-9, 9), w=(-5, 5), scale=0.5, bias=3),
    "deep, one step of a sum is one of the output": Case(depth=60, units=9, x=(-2, 2), w=(-2, 2), scale=1.0, bias=3),
    "all -128": Case(x=(-128, -128), w=(-128, -128)),
    "beyond float32: 2^24": Case(depth=4000, x=(100, 127), w=(100, 127), scale=2e-6),
    "beyond float32, rounding": Case(rows=64, depth=4000, x=(100, 127), w=(100, 127), scale=1e-6, zero_points=(0, -60)),
    "bias of 31 bits": Case(bias=2**31 - 1, scale=5e-8),
    "sum wraps around": Case(x=(127, 127), w=(127, 127), bias=2**31 - 1, zero_points=(0, 0), scale=5e-8),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, backend: str) -> None:
    case = CASES[name]
    rng = np.random.default_rng(11)
    x = oc.random_int8(1, (case.rows, case.depth), *case.x)
    w = oc.random_int8(2, (case.units, case.depth), *case.w)
    x_zero, y_zero = case.zero_points
    x_scale, y_scale = f32(0.023), f32(0.071)
    target = case.scale or 40 / (60 * 60 * np.sqrt(case.depth))
    w_scale = np.full(case.units if case.per_channel else 1, target * y_scale / x_scale, f32)
    if case.per_channel:
        w_scale *= rng.uniform(0.3, 2, case.units).astype(f32)
    bias = None
    if case.bias is not None:
        bias = rng.integers(-case.bias - 1, case.bias, case.units, endpoint=True).astype(np.int32)
        bias[0] = case.bias
    folded = (bias if bias is not None else 0) - x_zero * w.astype(np.int64).sum(axis=1)
    kernel = FullyConnected(
        weights=oc.weights(WeightLayout.OHWI, w),
        bias=folded.astype(np.int32),
        requantization=oc.requantization((f32(case.alpha) * x_scale * w_scale) / y_scale, y_zero),
    )
    expected = oc.ort(
        "QGemm",
        [
            None,
            x_scale,
            oc.to_uint8(np.int8(x_zero)),
            w,
            w_scale if case.per_channel else w_scale[0],
            np.zeros(case.units, np.int8) if case.per_channel else np.int8(0),
            bias,
            y_scale,
            oc.to_uint8(np.int8(y_zero)),
        ],
        {0: oc.to_uint8(x)},
        oc.MICROSOFT,
        transB=1,
        alpha=case.alpha,
    )
    found = oc.run(backend, kernel, [x], (1, case.units))
    assert np.count_nonzero(oc.to_uint8(found) != expected) == 0


def test_rows_of_a_larger_tensor(backend: str) -> None:
    """Dense layers act on the last axis of any shape: [1, 2, 3, 4] viewed as 6 rows of 4."""
    x, w = oc.random_int8(3, (2, 2, 3, 4)), oc.random_int8(4, (5, 4))
    kernel = FullyConnected(
        weights=oc.weights(WeightLayout.OHWI, w),
        bias=np.arange(5, dtype=np.int32) * 1000,
        requantization=oc.requantization(0.003, 2),
    )
    accumulator = x.astype(np.int64) @ w.T.astype(np.int64) + kernel.bias
    expected = np.clip(np.rint(accumulator.astype(f32) * f32(0.003)) + 2, -128, 127)
    assert np.array_equal(oc.run(backend, kernel, [x], (1, 2, 3, 5)), expected)


@pytest.mark.parametrize("scales", [1, 7])
def test_writes_float32(scales: int, backend: str) -> None:
    """f32(accumulator) * scale: neither rounded nor limited, whatever the requantization says of int8."""
    rng = np.random.default_rng(1)
    x, w = oc.random_int8(2, (40, 20)), oc.random_int8(3, (7, 20))
    scale = rng.uniform(1e-3, 1e30, scales).astype(f32)
    kernel = FullyConnected(
        weights=oc.weights(WeightLayout.OHWI, w),
        bias=np.array([0, -5, 2**31 - 1, 9, 0, 1, 2], np.int32),
        requantization=oc.requantization(scale, 3, minimum=5, maximum=6),
    )
    accumulator = x.astype(np.int64) @ w.T.astype(np.int64) + kernel.bias
    with np.errstate(over="ignore"):
        expected = accumulator.astype(np.int32).astype(f32) * scale
    found = oc.run(backend, kernel, [x], (1, 7), ElementType.Float32)
    assert oc.same_bits(found, expected)
