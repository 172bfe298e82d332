"""DepthwiseConv2D: each output channel reads one input channel; one multiply-add over whole images for each tap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import dtype_of, shape_of
from onnxino.numerics import accumulator_type, finish
from onnxino.ops import _checks, _window
from onnxino.schema.model import DepthwiseConv2D, Tensor, WeightLayout

CHUNK_BYTES = 1 << 18  # of one accumulator: it and its operands stay in the cache over all taps


def check(kernel: DepthwiseConv2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless shapes, window, weights, bias and requantization fit together."""
    _checks.require_sums(inputs, outputs)
    n, height, width, channels = _checks.require_image(inputs[0])
    out_n, out_height, out_width, out_channels = _checks.require_image(outputs[0])
    _checks.require(n == out_n, f"the output has {out_n} images, the input {n}")
    _checks.require(
        kernel.multiplier >= 1 and channels * kernel.multiplier == out_channels,
        f"the output has {out_channels} channels, expected {channels} x multiplier {kernel.multiplier}",
    )
    _window.require_window(kernel.window, (height, width), (out_height, out_width), ceil=False)
    taps = kernel.window.kernel_h * kernel.window.kernel_w
    _checks.require_weights(kernel.weights, WeightLayout.HWC, taps * out_channels)
    _checks.require_length("bias", kernel.bias, out_channels)
    _checks.require_requantization(kernel.requantization, out_channels)


def run(kernel: DepthwiseConv2D, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, M]."""
    shape = shape_of(outputs[0])
    output, channels = (shape[1], shape[2]), shape[3]
    images = arrays[0].reshape(-1, *arrays[0].shape[2:])
    result = np.empty((len(images), *shape[1:]), dtype_of(outputs[0]))
    window = kernel.window
    weights = kernel.weights.data.view(np.int8).reshape(window.kernel_h, window.kernel_w, channels)
    dtype = accumulator_type(weights.reshape(-1, channels).T, kernel.bias)
    # each tap's weights repeated along a row: NumPy then runs over whole rows, not over one pixel's channels
    factors = np.repeat(weights.astype(dtype)[:, :, None], output[1], axis=2)
    step = max(1, CHUNK_BYTES // (output[0] * output[1] * channels * factors.itemsize))
    for start in range(0, len(images), step):
        chunk = np.repeat(images[start : start + step], kernel.multiplier, axis=3)
        chunk = _window.padded(chunk, window, output, kernel.input_zero_point, dtype)
        total = np.zeros((len(chunk), *output, channels), dtype)
        product = np.empty_like(total)
        for row in range(window.kernel_h):
            for column in range(window.kernel_w):
                np.multiply(_window.tap(chunk, window, output, row, column), factors[row, column], out=product)
                total += product
        result[start : start + step] = finish(total, kernel.bias, kernel.requantization, result.dtype)
    return [result.reshape(-1, *shape)]


def scratch(kernel: DepthwiseConv2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: DepthwiseConv2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: each pixel is read for several outputs."""
    return None


def macs(kernel: DepthwiseConv2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """One for each weight of an output's window, padding included."""
    n, height, width, _ = shape_of(outputs[0])
    return n * height * width * len(kernel.weights.data)
