"""AveragePool2D: the mean of each window, in float32 in ONNX Runtime's order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.numerics import saturate
from onnxino.ops import _checks, _pool, _window
from onnxino.schema.model import AveragePool2D, Tensor


def check(kernel: AveragePool2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the shapes fit the window and both scales are positive numbers."""
    _pool.check(kernel.window, inputs, outputs)
    _checks.require_positive("input_scale", kernel.input_scale)
    _checks.require_positive("output_scale", kernel.output_scale)
    _checks.require_domain(kernel.domain_offset)


def run(kernel: AveragePool2D, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[np.int8]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, C]. Padding is 0.0, which changes no float32 sum."""
    shape = shape_of(outputs[0])
    output, window = (shape[1], shape[2]), kernel.window
    images = arrays[0].reshape(-1, *arrays[0].shape[2:])
    real = (images.astype(np.float32) - np.float32(kernel.input_zero_point)) * np.float32(kernel.input_scale)
    real = _window.padded(real, window, output, 0.0, np.float32)
    total = np.zeros((len(images), *shape[1:]), np.float32)
    for row in range(window.kernel_h):
        for column in range(window.kernel_w):
            total += _window.tap(real, window, output, row, column)
    size = (images.shape[1], images.shape[2])
    total /= _pool.counts(window, size, output, include_pad=kernel.count_include_pad)[..., None]
    total /= np.float32(kernel.output_scale)
    total += np.float32(kernel.output_zero_point + kernel.domain_offset)
    np.rint(total, out=total)
    total -= np.float32(kernel.domain_offset)
    return [saturate(total).reshape(-1, *shape)]


def scratch(kernel: AveragePool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: AveragePool2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: windows may share pixels."""
    return None


def macs(kernel: AveragePool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
