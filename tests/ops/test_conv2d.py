"""Conv2D against ONNX Runtime's QLinearConv."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Conv2D, ElementType, WeightLayout

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """Image size, channels and everything else that a QLinearConv has."""

    size: tuple[int, int] = (7, 6)
    channels: int = 4
    out_channels: int = 5
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)
    group: int = 1
    x: tuple[int, int] = (-128, 127)
    w: tuple[int, int] = (-128, 127)
    zero_points: tuple[int, int] = (-3, 5)
    per_channel: bool = True
    bias: int | None = 3000
    scale: float = 0.0
    batch: int = 3


CASES = {
    "plain": Case(),
    "one image": Case(batch=1),
    "1x1": Case(kernel=(1, 1), pads=(0, 0, 0, 0)),
    "1x1 stride 2": Case(kernel=(1, 1), pads=(0, 0, 0, 0), strides=(2, 2)),
    "1x1 padded": Case(kernel=(1, 1), pads=(1, 0, 0, 2)),
    "single pixel, single channel": Case(size=(1, 1), channels=1, out_channels=1, kernel=(1, 1), pads=(0, 0, 0, 0)),
    "window is the image": Case(kernel=(7, 6), pads=(0, 0, 0, 0)),
    "pads of four sizes": Case(pads=(0, 1, 2, 3)),
    "more padding than window": Case(pads=(4, 5, 4, 5)),
    "stride beyond kernel": Case(strides=(4, 5)),
    "strides 2x1": Case(strides=(2, 1), pads=(0, 0, 1, 1)),
    "dilated": Case(size=(11, 9), dilations=(3, 2), pads=(2, 1, 2, 1)),
    "kernel 1x5": Case(kernel=(1, 5), pads=(0, 2, 0, 2)),
    "kernel 5x1": Case(kernel=(5, 1), pads=(2, 0, 2, 0)),
    "group 2": Case(group=2, out_channels=6),
    "group = channels": Case(group=4, out_channels=8),
    "one group per output": Case(group=2, out_channels=2),
    "zero point -128, post-ReLU": Case(zero_points=(-128, -128)),
    "zero points 127": Case(zero_points=(127, 127)),
    "no bias": Case(bias=None),
    "per-tensor scale": Case(per_channel=False),
    "all -128": Case(x=(-128, -128), w=(-128, -128), zero_points=(127, 0)),
    "all 127": Case(x=(127, 127), w=(127, 127), zero_points=(-128, 0)),
    "large scale saturates": Case(scale=3.7),
    "tiny scale": Case(scale=1e-9),
    "scale 1/2: many ties": Case(size=(9, 9), x=(-4, 3), w=(-2, 1), scale=0.5, per_channel=False, bias=3),
    "deep, one step of a sum is one of the output": Case(
        channels=16, out_channels=9, x=(-2, 2), w=(-2, 2), scale=1.0, per_channel=False, bias=3
    ),
    "beyond float32: 2^24": Case(size=(3, 3), channels=256, out_channels=3, x=(100, 127), w=(100, 127), scale=2e-6),
    "bias of 31 bits": Case(bias=2**31 - 1, scale=5e-8),
    "bias wraps around": Case(x=(127, 127), w=(127, 127), bias=2**31 - 1, zero_points=(0, 0), scale=5e-8),
}


def build(case: Case) -> tuple[Conv2D, np.ndarray, list[Any], tuple[int, ...]]:
    """The kernel with constants as the converter makes them, x in NCHW, QLinearConv's arguments, the output's shape."""
    rng = np.random.default_rng(7)
    x = oc.random_int8(1, (case.batch, case.channels, *case.size), *case.x)
    w = oc.random_int8(2, (case.out_channels, case.channels // case.group, *case.kernel), *case.w)
    depth = w[0].size
    x_zero, y_zero = case.zero_points
    x_scale, y_scale = f32(0.023), f32(0.071)
    target = case.scale or 40 / (60 * 60 * np.sqrt(depth))
    w_scale = (target * y_scale / x_scale * np.ones(case.out_channels)).astype(f32)
    if case.per_channel and not case.scale:
        w_scale *= rng.uniform(0.3, 2, case.out_channels).astype(f32)
    if not case.per_channel:
        w_scale = w_scale[:1]
    bias = None
    if case.bias is not None:
        bias = rng.integers(-case.bias - 1, case.bias, case.out_channels, endpoint=True).astype(np.int32)
        bias[0] = case.bias
    folded = (bias if bias is not None else 0) - x_zero * w.astype(np.int64).sum(axis=(1, 2, 3))
    kernel = Conv2D(
        window=oc.window(case.kernel, case.strides, case.pads, case.dilations),
        group=case.group,
        input_zero_point=x_zero,
        weights=oc.weights(WeightLayout.OHWI, w.transpose(0, 2, 3, 1)),
        bias=folded.astype(np.int32),
        requantization=oc.requantization((x_scale * w_scale) / y_scale, y_zero),
    )
    scale: Any = w_scale if case.per_channel else w_scale[0]
    w_zero = np.zeros(case.out_channels, np.int8) if case.per_channel else np.int8(0)
    arguments = [None, x_scale, np.int8(x_zero), w, scale, w_zero, y_scale, np.int8(y_zero), bias]
    sizes = [
        (case.size[i] + case.pads[i] + case.pads[i + 2] - (case.kernel[i] - 1) * case.dilations[i] - 1)
        // case.strides[i]
        + 1
        for i in (0, 1)
    ]
    return kernel, x, arguments, (1, *sizes, case.out_channels)


@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, backend: str) -> None:
    case = CASES[name]
    kernel, x, arguments, shape = build(case)
    arguments[2], arguments[7] = oc.to_uint8(arguments[2]), oc.to_uint8(arguments[7])
    expected = oc.ort(
        "QLinearConv",
        arguments,
        {0: oc.to_uint8(x)},
        strides=case.strides,
        pads=case.pads,
        dilations=case.dilations,
        group=case.group,
    )
    found = oc.run(backend, kernel, [oc.nhwc(x)], shape)
    assert np.count_nonzero(oc.to_uint8(oc.nchw(found)) != expected) == 0


@pytest.mark.parametrize("scales", [1, 6])
def test_writes_float32(scales: int, backend: str) -> None:
    """f32(accumulator) * scale: neither rounded nor limited, whatever the requantization says of int8."""
    rng = np.random.default_rng(1)
    x, w = oc.random_int8(2, (3, 5, 6, 4)), oc.random_int8(3, (6, 1, 1, 4))
    scale = rng.uniform(1e-3, 1e30, scales).astype(f32)
    kernel = Conv2D(
        window=oc.window((1, 1), pads=(1, 0, 1, 0)),
        input_zero_point=-9,
        weights=oc.weights(WeightLayout.OHWI, w),
        bias=np.array([0, -5, 2**31 - 1, 9, 0, 1], np.int32),
        requantization=oc.requantization(scale, 3, minimum=5, maximum=6),
    )
    padded = np.pad(x.astype(np.int64), ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=-9)
    accumulator = padded @ w[:, 0, 0].T.astype(np.int64) + kernel.bias
    with np.errstate(over="ignore"):
        expected = accumulator.astype(np.int32).astype(f32) * scale
    found = oc.run(backend, kernel, [x], (1, 7, 6, 6), ElementType.Float32)
    assert oc.same_bits(found, expected)
