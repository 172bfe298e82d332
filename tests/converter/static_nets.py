"""Small float networks with the layers of real ones, for ONNX Runtime's own quantizer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from float_models import Builder

I64 = np.int64


def _conv(b: Builder, x: str, inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True, group: int = 1) -> str:
    """A convolution that keeps the image's size."""
    weights = [b.const(b.weights((outputs, inputs // group, kernel, kernel), seed=b.count))]
    if bias:
        weights.append(b.const(b.weights((outputs,), seed=b.count)))
    return str(b.op("Conv", [x, *weights], pads=[kernel // 2] * 4, group=group))


def _clip(b: Builder, x: str, low: float = 0.0, high: float = 6.0) -> str:
    return str(b.op("Clip", [x, b.const(np.float32(low)), b.const(np.float32(high))]))


def _mean(b: Builder, x: str, axes: list[int], keep: bool) -> str:
    """ReduceMean, whose axes are an input since opset 18."""
    if b.opset < 18:
        return str(b.op("ReduceMean", [x], axes=axes, keepdims=int(keep)))
    return str(b.op("ReduceMean", [x, b.const(np.asarray(axes, I64))], keepdims=int(keep)))


def residual(b: Builder) -> None:
    """Conv with BatchNormalization, depthwise Conv with Clip, a skip connection, pooling, Gemm, Softmax."""
    x = b.input((1, 3, 10, 9))
    stats = [b.const(v) for v in (b.weights((8,)) + 1, b.weights((8,), 8), b.weights((8,), 9), b.weights((8,), 10) + 1)]
    first = b.op("Relu", [b.op("BatchNormalization", [_conv(b, x, 3, 8, bias=False), *stats])])
    deep = _clip(b, _conv(b, _clip(b, _conv(b, first, 8, 8, group=8)), 8, 8, 1))
    pooled = b.op("MaxPool", [b.op("Relu", [b.op("Add", [deep, first])])], kernel_shape=[2, 2], strides=[2, 2])
    flat = b.op("Flatten", [b.op("GlobalAveragePool", [_conv(b, pooled, 8, 12)])])
    dense = b.op("Gemm", [flat, b.const(b.weights((5, 12))), b.const(b.weights((5,)))], transB=1)
    b.output(b.op("Softmax", [dense], axis=1))


def branches(b: Builder) -> None:
    """Concat, squeeze and excitation, HardSwish, Resize, AveragePool, Pad, MatMul and Add."""
    x = b.input((1, 4, 8, 8))
    left = b.op("HardSwish", [_conv(b, x, 4, 6)])
    right = b.op("LeakyRelu", [_conv(b, x, 4, 6, 1)], alpha=0.1)
    both = b.op("Concat", [left, right], axis=1)
    gate = b.op("Sigmoid", [_conv(b, b.op("GlobalAveragePool", [both]), 12, 12, 1)])
    gated = b.op("Mul", [both, gate])
    small = b.op("AveragePool", [gated], kernel_shape=[2, 2], strides=[2, 2])
    large = b.op("Resize", [small, "", b.const(np.float32([1, 1, 2, 2]))], mode="nearest")
    padded = b.op("Pad", [b.op("Add", [large, gated]), b.const(np.asarray([0, 0, 1, 0, 0, 0, 0, 1], I64))])
    mean = _mean(b, b.op("Relu", [_conv(b, padded, 12, 8)]), [2, 3], False)
    b.output(b.op("Add", [b.op("MatMul", [mean, b.const(b.weights((8, 4)))]), b.const(b.weights((4,)))]))


def channels_last(b: Builder) -> None:
    """As tf2onnx writes it: Transposes around the convolutions, ReduceMean, Reshape, MatMul."""
    x = b.input((1, 8, 6, 3))
    turned = b.op("Transpose", [x], perm=[0, 3, 1, 2])
    made = b.op("Relu", [_conv(b, turned, 3, 8)])
    back = b.op("Transpose", [b.op("Relu", [_conv(b, made, 8, 8, group=8)])], perm=[0, 2, 3, 1])
    scaled = b.op("Mul", [back, b.const(np.float32(0.5))])
    flat = b.op("Reshape", [_mean(b, scaled, [1, 2], True), b.const(np.asarray([1, 8], I64))])
    product = b.op("MatMul", [flat, b.const(b.weights((8, 4)))])
    b.output(b.op("Sigmoid", [b.op("Add", [product, b.const(b.weights((4,)))])]))


def heads(b: Builder) -> None:
    """Two inputs; Split, Slice, Sub, Div, Min, Max, PRelu, Tanh, HardSigmoid; three outputs, one of indices."""
    a, c = b.input((1, 6, 5, 5)), b.input((1, 3, 5, 5))
    one, two = b.op("Split", [_conv(b, a, 6, 6), b.const(np.asarray([3, 3], I64))], 2, axis=1)
    slope = b.const(np.float32([[[0.1]], [[0.3]], [[-0.2]]]))
    less = b.op("PRelu", [b.op("Sub", [one, c]), slope])
    more = b.op("Max", [b.op("Min", [less, two]), b.op("Div", [c, b.const(np.float32(3))])])
    tanh = b.op("Tanh", [_conv(b, more, 3, 4)])
    part = b.op("Slice", [tanh, *(b.const(np.asarray([v], I64)) for v in (1, 3, 1))])
    b.output(part)
    scores = b.op("Gemm", [b.op("Flatten", [b.op("HardSigmoid", [part])]), b.const(b.weights((50, 6)))])
    b.output(b.op("LogSoftmax", [scores], axis=1))
    b.output(b.op("ArgMax", [scores], axis=1), "int64")


def line(b: Builder) -> None:
    """One dimension: Conv, MaxPool, AveragePool, GlobalAveragePool, Squeeze, Gemm."""
    x = b.input((1, 2, 24))
    first = b.op("Relu", [b.op("Conv", [x, b.const(b.weights((6, 2, 5))), b.const(b.weights((6,)))], strides=[2])])
    deep = b.op("Conv", [first, b.const(b.weights((6, 1, 3))), b.const(b.weights((6,), 3))], group=6, pads=[1, 1])
    pooled = b.op("MaxPool", [b.op("Relu", [deep])], kernel_shape=[2], strides=[2])
    mean = b.op("GlobalAveragePool", [b.op("AveragePool", [pooled], kernel_shape=[2])])
    flat = b.op("Squeeze", [mean, b.const(np.asarray([2], I64))])
    b.output(b.op("Gemm", [flat, b.const(b.weights((6, 3))), b.const(b.weights((3,)))]))


NETS: dict[str, Callable[[Builder], None]] = {
    "residual": residual,
    "branches": branches,
    "channels last": channels_last,
    "heads": heads,
    "line": line,
}
