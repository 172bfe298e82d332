"""Conv2D: convolution in NHWC as im2col and one matrix product per group."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import dtype_of, shape_of
from onnxino.numerics import accumulator_type, finish, matrix_product
from onnxino.ops import _checks, _window
from onnxino.schema.model import Conv2D, Requantization, Tensor, WeightLayout

CHUNK_BYTES = 1 << 19  # of one im2col matrix: small enough to stay in the cache until BLAS has read it


def check(kernel: Conv2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless shapes, window, weights, bias and requantization fit together."""
    _checks.require_sums(inputs, outputs)
    n, height, width, channels = _checks.require_image(inputs[0])
    out_n, out_height, out_width, out_channels = _checks.require_image(outputs[0])
    _checks.require(n == out_n, f"the output has {out_n} images, the input {n}")
    group = kernel.group
    _checks.require(
        group >= 1 and channels % group == 0 and out_channels % group == 0,
        f"group is {group}, expected a divisor of {channels} input and {out_channels} output channels",
    )
    _window.require_window(kernel.window, (height, width), (out_height, out_width), ceil=False)
    taps = kernel.window.kernel_h * kernel.window.kernel_w
    _checks.require_weights(kernel.weights, WeightLayout.OHWI, out_channels * taps * (channels // group))
    _checks.require_length("bias", kernel.bias, out_channels)
    _checks.require_requantization(kernel.requantization, out_channels)


def run(kernel: Conv2D, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, M]."""
    batch = arrays[0].shape[0]
    shape = shape_of(outputs[0])
    images = arrays[0].reshape(-1, *arrays[0].shape[2:])
    result = np.empty((len(images), *shape[1:]), dtype_of(outputs[0]))
    channels, out_channels = images.shape[3] // kernel.group, shape[3] // kernel.group
    for g in range(kernel.group):
        read = slice(g * channels, (g + 1) * channels)
        write = slice(g * out_channels, (g + 1) * out_channels)
        _run_group(kernel, images[..., read], result[..., write], write)
    return [result.reshape(batch, *shape)]


def _run_group(kernel: Conv2D, images: NDArray[np.int8], result: NDArray[Any], channels: slice) -> None:
    """[n, H, W, C / group] -> result [n, OH, OW, M / group], the output channels `channels`."""
    window, output = kernel.window, (result.shape[1], result.shape[2])
    depth = window.kernel_h * window.kernel_w * images.shape[3]
    weights = kernel.weights.data.view(np.int8).reshape(-1, depth)[channels]
    bias = kernel.bias[channels]
    scale = kernel.requantization.scale
    to = Requantization(
        scale=scale if len(scale) == 1 else scale[channels],
        zero_point=kernel.requantization.zero_point,
        minimum=kernel.requantization.minimum,
        maximum=kernel.requantization.maximum,
    )
    dtype = accumulator_type(weights, bias)
    matrix = np.ascontiguousarray(weights.T, dtype)  # [depth, M / group]
    pixels = output[0] * output[1]
    step = max(1, CHUNK_BYTES // (pixels * depth * matrix.itemsize))
    for start in range(0, len(images), step):
        chunk = _window.padded(images[start : start + step], window, output, kernel.input_zero_point, dtype)
        columns = _columns(chunk, kernel, output).reshape(-1, depth)
        values = finish(matrix_product(columns, matrix), bias, to, result.dtype)
        result[start : start + step] = values.reshape(-1, *output, values.shape[1])


def _columns(images: NDArray[Any], kernel: Conv2D, output: tuple[int, int]) -> NDArray[Any]:
    """[n, OH, OW, kernel_h, kernel_w, C] of padded images."""
    return np.ascontiguousarray(_window.windows(images, kernel.window, output))


def scratch(kernel: Conv2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Conv2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: each pixel is read for several outputs."""
    return None


def macs(kernel: Conv2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """One for each weight of an output's window, padding included."""
    n, height, width, _ = shape_of(outputs[0])
    return n * height * width * len(kernel.weights.data)
