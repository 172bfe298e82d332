"""What the pools share: their shape rule, and how many pixels a window averages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.ops import _checks, _window
from onnxino.schema.model import ElementType, Tensor, Window2D


def check(
    window: Window2D, inputs: list[Tensor], outputs: list[Tensor], element: ElementType = ElementType.Int8
) -> None:
    """The same images and channels in and out; the output size is what the window gives, rounded down or up."""
    _checks.require_tensors(inputs, outputs, 1, element, element)
    n, height, width, channels = _checks.require_image(inputs[0])
    out_n, out_height, out_width, out_channels = _checks.require_image(outputs[0])
    _checks.require(n == out_n, f"the output has {out_n} images, the input {n}")
    _checks.require(channels == out_channels, f"the output has {out_channels} channels, the input {channels}")
    _window.require_window(window, (height, width), (out_height, out_width), ceil=True)


def counts(
    window: Window2D, size: tuple[int, int], output: tuple[int, int], *, include_pad: bool
) -> NDArray[np.float32]:
    """[OH, OW]: how many pixels each window averages, of the image or with `include_pad` of the padded one."""
    along: list[NDArray[np.int64]] = []
    for axis, length, count in zip(_window.axes(window), size, output, strict=True):
        before, after = axis[3:] if include_pad else (0, 0)
        along.append(_window.taps(axis, count, -before, length + after))
    return np.multiply.outer(along[0], along[1]).astype(np.float32)
