"""Mean2D: the mean of each channel over the whole image, in integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.numerics import requantize
from onnxino.ops import _checks
from onnxino.schema.model import Mean2D, Tensor


def check(kernel: Mean2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless [N, H, W, C] becomes [N, 1, 1, C] with a single scale."""
    _checks.require_tensors(inputs, outputs)
    n, _, _, channels = _checks.require_image(inputs[0])
    _checks.require_shape(outputs[0], (n, 1, 1, channels))
    _checks.require_requantization(kernel.requantization, 1)


def run(kernel: Mean2D, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[np.int8]]:
    """[B, N, H, W, C] -> [B, N, 1, 1, C]."""
    _, _, height, width, channels = arrays[0].shape
    total = np.add.reduce(arrays[0], axis=(2, 3), dtype=np.float64, keepdims=True)  # exact below 2^53
    total -= kernel.input_zero_point * height * width
    return [requantize(total, np.zeros(int(channels), np.int32), kernel.requantization)]


def scratch(kernel: Mean2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Mean2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input."""
    return None


def macs(kernel: Mean2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
