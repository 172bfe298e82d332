"""Sliding windows over NHWC images: output sizes, padding and im2col for convolutions and pools."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

from onnxino.ops._checks import require
from onnxino.schema.model import Window2D

GREATEST_IMAGE = 0x7FF00000  # along one axis, padding included: C computes positions in int32


def axes(window: Window2D) -> tuple[tuple[int, int, int, int, int], tuple[int, int, int, int, int]]:
    """(kernel, stride, dilation, pad before, pad after) of the rows, and of the columns."""
    w = window
    return (
        (w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
        (w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right),
    )


def require_window(window: Window2D, size: tuple[int, int], output: tuple[int, int], *, ceil: bool) -> None:
    """Kernel, stride and dilation are 1 or more and the output size is what the window gives.

    That is floor((size + pads - extent) / stride) + 1 with extent = (kernel - 1) * dilation + 1; where `ceil`
    (pools) it may be rounded up instead, and every window must reach at least one pixel of the image.
    """
    for name, axis, length, found in zip("hw", axes(window), size, output, strict=True):
        kernel, stride, dilation, before, after = axis
        for what, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
            require(value >= 1, f"window.{what}_{name} is {value}, expected 1 or more")
        require(
            length + before + after <= GREATEST_IMAGE,
            f"the padded image has size {length + before + after} along {name}, expected {GREATEST_IMAGE} or less",
        )
        room = length + before + after - ((kernel - 1) * dilation + 1)
        require(room >= 0, f"the window is larger than the padded image ({length + before + after}) along {name}")
        expected = room // stride + 1
        largest = expected + 1 if ceil and room % stride else expected
        require(
            expected <= found <= largest,
            f"the output has size {found} along {name}, expected {expected}"
            + (f" or {largest}" if largest > expected else ""),
        )
        if ceil:
            _require_inside(name, axis, length, found)


def _require_inside(name: str, axis: tuple[int, int, int, int, int], length: int, output: int) -> None:
    """Every window has a tap inside of the image: those that begin in the padding, and the last."""
    kernel, stride, dilation, before, _ = axis
    starts = np.arange(min(output, -(-before // stride)), dtype=np.int64) * stride - before
    number = -(starts // dilation)  # of the first tap at or after the image's first pixel
    inside = (number < kernel) & (starts + number * dilation < length)
    last = (output - 1) * stride - before
    require(bool(inside.all()) and last < length, f"a window along {name} lies outside of the image")


def taps(axis: tuple[int, int, int, int, int], output: int, low: int, high: int) -> NDArray[np.int64]:
    """[output]: how many taps of each window lie at low <= position < high (0 is the image's first pixel)."""
    kernel, stride, dilation, before, _ = axis
    positions = np.arange(output)[:, None] * stride - before + np.arange(kernel) * dilation
    return ((positions >= low) & (positions < high)).sum(axis=1)


def padded(
    images: NDArray[Any], window: Window2D, output: tuple[int, int], value: float, dtype: DTypeLike
) -> NDArray[Any]:
    """[n, H, W, C] as `dtype`, surrounded by `value` so far that each of the output's windows lies inside."""
    n, height, width, channels = images.shape
    size = [
        max(before + length, (count - 1) * stride + (kernel - 1) * dilation + 1)
        for (kernel, stride, dilation, before, _), count, length in zip(
            axes(window), output, (height, width), strict=True
        )
    ]
    if size == [height, width]:
        return images.astype(dtype, copy=False)
    result = np.full((n, *size, channels), value, dtype)
    result[:, window.pad_top : window.pad_top + height, window.pad_left : window.pad_left + width] = images
    return result


def windows(images: NDArray[Any], window: Window2D, output: tuple[int, int]) -> NDArray[Any]:
    """A view [n, OH, OW, kernel_h, kernel_w, C] of padded images."""
    n, _, _, channels = images.shape
    sn, sh, sw, sc = images.strides
    w = window
    return as_strided(
        images,
        (n, *output, w.kernel_h, w.kernel_w, channels),
        (sn, sh * w.stride_h, sw * w.stride_w, sh * w.dilation_h, sw * w.dilation_w, sc),
        writeable=False,
    )


def tap(images: NDArray[Any], window: Window2D, output: tuple[int, int], row: int, column: int) -> NDArray[Any]:
    """A view [n, OH, OW, C]: what tap (row, column) of each window sees of padded images."""
    w = window
    top, left = row * w.dilation_h, column * w.dilation_w
    bottom, right = top + (output[0] - 1) * w.stride_h + 1, left + (output[1] - 1) * w.stride_w + 1
    return images[:, top : bottom : w.stride_h, left : right : w.stride_w]
