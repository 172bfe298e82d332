"""Convolution and pooling in NumPy for any number of spatial axes: fast, in no exact order of sums."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from onnxino_converter.quantize.graph import Array


def convolve(x: Array, w: Array, b: Array | None, group: int, **window: Any) -> Array:
    """Conv: x [N, C, ...], w [O, C / group, ...] -> [N, O, ...] float32."""
    views = _windows(x, list(w.shape[2:]), 0.0, **window)  # [N, C, *out, *kernel]
    spatial = w.ndim - 2
    y = _depthwise(views, w, spatial) if w.shape[1] == 1 else _dense(views, w, group, spatial)
    return y if b is None else y + b.reshape(-1, *[1] * spatial)


def _dense(views: Array, w: Array, group: int, spatial: int) -> Array:
    """One matrix product for each group, over all samples: threads of BLAS pay for themselves on large ones only."""
    count, channels = views.shape[:2]
    out = views.shape[2 : 2 + spatial]
    axes = (1, *range(2 + spatial, 2 + 2 * spatial), 0, *range(2, 2 + spatial))
    columns = views.transpose(axes).reshape(group, channels // group * math.prod(w.shape[2:]), -1)
    y = w.reshape(group, len(w) // group, -1) @ columns
    return np.ascontiguousarray(y.reshape(len(w), count, *out).swapaxes(0, 1))


def _depthwise(views: Array, w: Array, spatial: int) -> Array:
    """One input channel for each output channel: a sum over the kernel's positions."""
    repeats = len(w) // views.shape[1]
    total: Array = np.zeros((1,), np.float32)
    for position in product(*map(range, w.shape[2:])):
        tap = views[(..., *position)]
        tap = np.repeat(tap, repeats, axis=1) if repeats > 1 else tap
        total = total + tap * w[(slice(None), 0, *position)].reshape(-1, *[1] * spatial)
    return total


def max_pool(x: Array, kernel_shape: list[int], **window: Any) -> Array:
    """MaxPool without indices."""
    views = _windows(x, kernel_shape, -np.inf, **window)
    return views.max(axis=tuple(range(x.ndim, views.ndim)))


def average_pool(x: Array, kernel_shape: list[int], count_include_pad: int, **window: Any) -> Array:
    """AveragePool."""
    views = _windows(x, kernel_shape, 0.0, **window)
    axes = tuple(range(x.ndim, views.ndim))
    if count_include_pad:
        return views.mean(axis=axes)
    return views.sum(axis=axes) / _windows(np.ones_like(x[:1, :1]), kernel_shape, 0.0, **window).sum(axis=axes)


def _windows(
    x: Array,
    kernel: list[int],
    fill: float,
    auto_pad: str | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    ceil_mode: int | None = 0,
    **_: Any,
) -> Array:
    """What the kernel sees at each position: a view [N, C, *out, *kernel] of the padded input."""
    rank = len(kernel)
    strides, dilations = list(strides or [1] * rank), list(dilations or [1] * rank)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, after = _pads(list(x.shape[2:]), reach, strides, auto_pad or "NOTSET", list(pads or [0] * 2 * rank))
    if ceil_mode:
        after = [
            a + (-(n + b + a - r) % s) for n, b, a, r, s in zip(x.shape[2:], before, after, reach, strides, strict=True)
        ]
    padding = [(0, 0), (0, 0), *zip(before, after, strict=True)]
    if any(p != (0, 0) for p in padding):
        x = np.pad(x, padding, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(2, 2 + rank)))
    steps = [slice(None), slice(None), *(slice(None, None, s) for s in (*strides, *dilations))]
    return views[tuple(steps)]


def _pads(
    size: list[int], reach: list[int], strides: list[int], auto_pad: str, pads: list[int]
) -> tuple[list[int], list[int]]:
    if auto_pad == "VALID":
        return [0] * len(size), [0] * len(size)
    if auto_pad == "NOTSET":
        return pads[: len(size)], pads[len(size) :]
    total = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(size, strides, reach, strict=True)]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, more) if auto_pad == "SAME_UPPER" else (more, less)
