"""FloatMaxPool2D: the largest float32 value of each window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _pool, _window
from onnxino.schema.model import ElementType, FloatMaxPool2D, Tensor


def check(kernel: FloatMaxPool2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the shapes fit the window."""
    _pool.check(kernel.window, inputs, outputs, ElementType.Float32)


def run(kernel: FloatMaxPool2D, arrays: list[NDArray[np.float32]], outputs: list[Tensor]) -> list[NDArray[np.float32]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, C]. Padding is -infinity, which no maximum notices.

    np.maximum would do but for zeros: which of +0 and -0 it gives depends on the processor.
    """
    shape = shape_of(outputs[0])
    output, window = (shape[1], shape[2]), kernel.window
    images = arrays[0].reshape(-1, *arrays[0].shape[2:])
    images = _window.padded(images, window, output, -np.inf, np.float32)
    result = np.full((len(images), *shape[1:]), -np.inf, np.float32)
    for row in range(window.kernel_h):
        for column in range(window.kernel_w):
            pixels = _window.tap(images, window, output, row, column)
            np.copyto(result, pixels, where=(pixels > result) | np.isnan(pixels))
    return [result.reshape(-1, *shape)]


def scratch(kernel: FloatMaxPool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatMaxPool2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: windows may share pixels."""
    return None


def macs(kernel: FloatMaxPool2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
