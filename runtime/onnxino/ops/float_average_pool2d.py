"""FloatAveragePool2D: the mean of each window in float32, summed by rows, then columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _pool, _window
from onnxino.schema.model import ElementType, FloatAveragePool2D, Tensor


def check(kernel: FloatAveragePool2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the shapes fit the window."""
    _pool.check(kernel.window, inputs, outputs, ElementType.Float32)


@np.errstate(all="ignore")  # infinity and NaN are results like any other
def run(
    kernel: FloatAveragePool2D, arrays: list[NDArray[np.float32]], outputs: list[Tensor]
) -> list[NDArray[np.float32]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, C]. Padding is 0.0, which changes no sum that begins with 0.0."""
    shape = shape_of(outputs[0])
    output, window = (shape[1], shape[2]), kernel.window
    images = arrays[0].reshape(-1, *arrays[0].shape[2:])
    size = (images.shape[1], images.shape[2])
    images = _window.padded(images, window, output, 0.0, np.float32)
    total = np.zeros((len(images), *shape[1:]), np.float32)
    for row in range(window.kernel_h):
        for column in range(window.kernel_w):
            total += _window.tap(images, window, output, row, column)
    total /= _pool.counts(window, size, output, include_pad=kernel.count_include_pad)[..., None]
    return [total.reshape(-1, *shape)]


def scratch(kernel: FloatAveragePool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatAveragePool2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: windows may share pixels."""
    return None


def macs(kernel: FloatAveragePool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
