"""DepthwiseConv2D against ONNX Runtime's QLinearConv with one group for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import DepthwiseConv2D, ElementType, WeightLayout

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """Image size, channels and window."""

    size: tuple[int, int] = (7, 6)
    channels: int = 6
    multiplier: int = 1
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)
    x: tuple[int, int] = (-128, 127)
    w: tuple[int, int] = (-128, 127)
    zero_points: tuple[int, int] = (-3, 5)
    per_channel: bool = True
    bias: int | None = 3000
    scale: float = 0.0


CASES = {
    "plain": Case(),
    "one channel": Case(channels=1),
    "four channels": Case(channels=4),
    "five channels": Case(channels=5),
    "multiplier 2": Case(multiplier=2),
    "multiplier 3, one channel": Case(channels=1, multiplier=3),
    "1x1": Case(kernel=(1, 1), pads=(0, 0, 0, 0)),
    "10x4, stride 2, MLPerf's": Case(size=(13, 10), kernel=(10, 4), strides=(2, 2), pads=(4, 1, 5, 1)),
    "window is the image": Case(kernel=(7, 6), pads=(0, 0, 0, 0)),
    "pads of four sizes": Case(pads=(0, 1, 2, 3)),
    "more padding than window": Case(pads=(4, 5, 4, 5)),
    "stride beyond kernel": Case(strides=(4, 5)),
    "strides 2x1": Case(strides=(2, 1), pads=(0, 0, 1, 1)),
    "dilated": Case(size=(11, 9), dilations=(3, 2), pads=(2, 1, 2, 1)),
    "no bias": Case(bias=None),
    "per-tensor scale": Case(per_channel=False),
    "zero points -128": Case(zero_points=(-128, -128)),
    "zero points 127": Case(zero_points=(127, 127)),
    "all -128": Case(x=(-128, -128), w=(-128, -128), zero_points=(127, 0)),
    "scale 1/2: many ties": Case(size=(16, 16), x=(-4, 3), w=(-2, 1), scale=0.5, per_channel=False, bias=3),
    "beyond float32: 2^24": Case(
        size=(40, 40), kernel=(40, 40), pads=(0, 0, 0, 0), x=(90, 127), w=(90, 127), scale=5e-6
    ),
    "bias wraps around": Case(x=(127, 127), w=(127, 127), bias=2**31 - 1, zero_points=(0, 0), scale=5e-8),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, backend: str) -> None:
    case = CASES[name]
    rng = np.random.default_rng(7)
    outputs = case.channels * case.multiplier
    x = oc.random_int8(1, (3, case.channels, *case.size), *case.x)
    w = oc.random_int8(2, (outputs, 1, *case.kernel), *case.w)
    x_zero, y_zero = case.zero_points
    x_scale, y_scale = f32(0.023), f32(0.071)
    target = case.scale or 40 / (60 * 60 * np.sqrt(w[0].size))
    w_scale = np.full(outputs if case.per_channel else 1, target * y_scale / x_scale, f32)
    if case.per_channel and not case.scale:
        w_scale *= rng.uniform(0.3, 2, outputs).astype(f32)
    bias = None
    if case.bias is not None:
        bias = rng.integers(-case.bias - 1, case.bias, outputs, endpoint=True).astype(np.int32)
        bias[0] = case.bias
    folded = (bias if bias is not None else 0) - x_zero * w.astype(np.int64).sum(axis=(1, 2, 3))
    kernel = DepthwiseConv2D(
        window=oc.window(case.kernel, case.strides, case.pads, case.dilations),
        multiplier=case.multiplier,
        input_zero_point=x_zero,
        weights=oc.weights(WeightLayout.HWC, w[:, 0].transpose(1, 2, 0)),
        bias=folded.astype(np.int32),
        requantization=oc.requantization((x_scale * w_scale) / y_scale, y_zero),
    )
    scale: Any = w_scale if case.per_channel else w_scale[0]
    w_zero = np.zeros(outputs, np.int8) if case.per_channel else np.int8(0)
    zeros = [oc.to_uint8(np.int8(z)) for z in case.zero_points]
    expected = oc.ort(
        "QLinearConv",
        [None, x_scale, zeros[0], w, scale, w_zero, y_scale, zeros[1], bias],
        {0: oc.to_uint8(x)},
        strides=case.strides,
        pads=case.pads,
        dilations=case.dilations,
        group=case.channels,
    )
    found = oc.run(backend, kernel, [oc.nhwc(x)], (1, *expected.shape[2:], outputs))
    assert np.count_nonzero(oc.to_uint8(oc.nchw(found)) != expected) == 0


@pytest.mark.parametrize("scales", [1, 6])
def test_writes_float32(scales: int, backend: str) -> None:
    """f32(accumulator) * scale: neither rounded nor limited, whatever the requantization says of int8."""
    rng = np.random.default_rng(1)
    x, w = oc.random_int8(2, (3, 5, 6, 6)), oc.random_int8(3, (1, 1, 6))
    scale = rng.uniform(1e-3, 1e30, scales).astype(f32)
    kernel = DepthwiseConv2D(
        window=oc.window((1, 1), pads=(1, 0, 1, 0)),
        input_zero_point=-9,
        weights=oc.weights(WeightLayout.HWC, w),
        bias=np.array([0, -5, 2**31 - 1, 9, 0, 1], np.int32),
        requantization=oc.requantization(scale, 3, minimum=5, maximum=6),
    )
    padded = np.pad(x.astype(np.int64), ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=-9)
    accumulator = padded * w.astype(np.int64) + kernel.bias
    with np.errstate(over="ignore"):
        expected = accumulator.astype(np.int32).astype(f32) * scale
    found = oc.run(backend, kernel, [x], (1, 7, 6, 6), ElementType.Float32)
    assert oc.same_bits(found, expected)
