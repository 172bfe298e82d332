"""Scales and zero points: zero exact, Clip redundant, biases that fit."""

from __future__ import annotations

import numpy as np
import pytest

from onnxino_converter.quantize.parameters import (
    bias_steps,
    for_range,
    quantize_weights,
    room_for_bias,
    weight_scales,
    within,
)

EPS = float(np.finfo(np.float32).eps)


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("ends", [(0, 1), (-1, 1), (-3.7, 0.2), (2, 5), (-5, -2), (0, 6), (-1e-3, 1e4)])
def test_a_range_is_covered(ends: tuple[float, float], unsigned: bool) -> None:
    p = for_range(*ends, unsigned)
    least = 0 if unsigned else -128
    assert least <= p.zero_point <= least + 255
    low, high = ((v - p.zero_point) * float(p.scale) for v in (least, least + 255))
    half = float(p.scale) * 0.501
    assert low <= min(ends[0], 0) + half
    assert high >= max(ends[1], 0) - half
    assert p.round(np.zeros(1, np.float32))[0] == 0
    if ends[0] >= 0:
        assert p.zero_point == least


@pytest.mark.parametrize("ends", [(0, 0), (1e-45, 0), (0, 1e-40)])
def test_nothing_but_zero(ends: tuple[float, float]) -> None:
    p = for_range(*ends, True)
    assert (p.scale, p.zero_point) == (1, 0)


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize(
    ("ends", "bounds"),
    [
        ((0, 6), (0, 6)),
        ((0, 4.2), (0, 6)),
        ((-1, 1), (-1, 1)),
        ((-1, 1.5), (-1, 1.5)),
        ((-0.3, 0.9), (-1, 1)),
        ((-3, 3), (-3, 3)),
        ((0, 5), (-np.inf, 5)),
        ((-2, 7), (-2, np.inf)),
    ],
)
def test_a_clip_is_redundant(ends: tuple[float, float], bounds: tuple[float, float], unsigned: bool) -> None:
    p = within(*ends, bounds, unsigned)
    least = 0 if unsigned else -128
    low, high = (float(np.float32(v - p.zero_point) * p.scale) for v in (least, least + 255))
    assert bounds[0] - low <= EPS
    assert high - bounds[1] <= EPS
    assert high - low >= (ends[1] - ends[0]) * 0.985  # next to nothing of the range is lost
    assert least <= p.zero_point <= least + 255


def test_weights_per_channel_and_per_tensor() -> None:
    weights = np.array([[[1.0, -2.0]], [[0.5, 0.25]], [[0.0, 0.0]]], np.float32)
    scale = weight_scales(weights, 0)
    assert scale == pytest.approx(np.array([2, 0.5, 2]) / 127)  # a channel of zeros has the scale of the whole
    assert quantize_weights(weights, scale, 0).tolist() == [[[64, -127]], [[127, 64]], [[0, 0]]]
    whole = weight_scales(weights, None)
    assert whole.shape == ()
    assert quantize_weights(weights, whole, None)[1].tolist() == [[32, 16]]


def test_a_bias_that_would_not_fit_gets_room() -> None:
    x, scale, bias = np.float32(1e-6), np.float32([1e-6, 1e-2]), np.float32([100.0, 1.0])
    roomy = room_for_bias(scale, bias, x)
    assert roomy[1] == scale[1]
    steps = bias_steps(bias, x, roomy)
    assert np.all(np.abs(steps.astype(np.int64)) <= 2**30 + 64)
    assert steps * (x * roomy).astype(np.float64) == pytest.approx(bias, rel=1e-4)
