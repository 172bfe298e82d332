"""FloatConv2D: float32 convolution in NHWC, summed by rows, columns and channels of the window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks, _ordered, _window
from onnxino.schema.model import FloatConv2D, Tensor


def check(kernel: FloatConv2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless shapes, window, weights, bias and limits fit together."""
    _ordered.float_tensors(inputs, outputs)
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
    expected = out_channels * taps * (channels // group)
    _ordered.check_weights(kernel.weights, kernel.weight_scale, out_channels, expected)
    _checks.require_length("bias", kernel.bias, out_channels)
    _checks.require_limits(kernel.minimum, kernel.maximum)


def run(kernel: FloatConv2D, arrays: list[NDArray[np.float32]], outputs: list[Tensor]) -> list[NDArray[np.float32]]:
    """[B, N, H, W, C] -> [B, N, OH, OW, M]. Padding is 0.0: the products of finite weights with it are zeros."""
    shape = shape_of(outputs[0])
    images = arrays[0].reshape(-1, *arrays[0].shape[2:])
    result = np.empty((len(images), *shape[1:]), np.float32)
    _, height, width, channels = shape
    rows = max(1, _ordered.CHUNK_BYTES // (width * channels * 4))  # of the output, so that they stay in the cache
    step = max(1, rows // height)
    convolve = _dense if kernel.group == 1 else _grouped
    for start in range(0, len(images), step):
        chunk = _window.padded(images[start : start + step], kernel.window, (height, width), 0.0, np.float32)
        windows = _window.windows(chunk, kernel.window, (height, width))
        for top in range(0, height, rows):
            convolve(kernel, windows[:, top : top + rows], result[start : start + step, top : top + rows])
    _ordered.finish(result, kernel.minimum, kernel.maximum)
    return [result.reshape(-1, *shape)]


def _dense(kernel: FloatConv2D, windows: NDArray[np.float32], result: NDArray[np.float32]) -> None:
    """windows [n, OH, OW, kernel_h, kernel_w, C] -> result [n, OH, OW, M]."""
    weights = _ordered.weights_of(kernel.weights, kernel.weight_scale, len(kernel.bias))
    columns = windows.transpose(3, 4, 5, 0, 1, 2).reshape(weights.shape[1], -1)
    total = _ordered.dense(kernel.bias, weights, columns)
    result[...] = total.T.reshape(result.shape)


@np.errstate(all="ignore")  # infinity and NaN are results like any other
def _grouped(kernel: FloatConv2D, windows: NDArray[np.float32], result: NDArray[np.float32]) -> None:
    """The same for several groups, which are independent of each other: [..., groups, channels of one]."""
    n, height, width, kernel_h, kernel_w, channels = windows.shape
    group, outputs = kernel.group, len(kernel.bias)
    weights = _ordered.weights_of(kernel.weights, kernel.weight_scale, outputs)
    weights = weights.reshape(group, outputs // group, kernel_h, kernel_w, channels // group)
    total = np.empty((n, height, width, group, outputs // group), np.float32)
    total[...] = kernel.bias.reshape(group, -1)
    product = np.empty_like(total)
    for row in range(kernel_h):
        for column in range(kernel_w):
            pixels = windows[:, :, :, row, column].reshape(n, height, width, group, -1)
            for channel in range(channels // group):
                factors = np.ascontiguousarray(weights[:, :, row, column, channel])
                np.multiply(pixels[..., channel : channel + 1], factors, out=product)
                total += product
    result[...] = total.reshape(result.shape)


def scratch(kernel: FloatConv2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatConv2D, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: each pixel is read for several outputs."""
    return None


def macs(kernel: FloatConv2D, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """One for each weight of an output's window, padding included."""
    n, height, width, _ = shape_of(outputs[0])
    return n * height * width * _ordered.count_weights(kernel.weights)
