"""MaxPool2D: the largest value of each window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _pool, _window
from onnxino.schema.model import MaxPool2D, Tensor


def check(kernel: MaxPool2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the shapes fit the window."""
    _pool.check(kernel.window, inputs, outputs)


def run(kernel: MaxPool2D, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[np.int8]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, C]. Padding is -128, which no maximum notices."""
    shape = shape_of(outputs[0])
    output, window = (shape[1], shape[2]), kernel.window
    images = _window.padded(arrays[0].reshape(-1, *arrays[0].shape[2:]), window, output, -128, np.int8)
    result = np.full((len(images), *shape[1:]), -128, np.int8)
    for row in range(window.kernel_h):
        for column in range(window.kernel_w):
            np.maximum(result, _window.tap(images, window, output, row, column), out=result)
    return [result.reshape(-1, *shape)]


def scratch(kernel: MaxPool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: MaxPool2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: windows may share pixels."""
    return None


def macs(kernel: MaxPool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
