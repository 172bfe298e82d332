"""The table of patterns: each builds one operator in a net of either style."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.converter.onnx_net import MS, Net, Q, Tensor

LOWEST = -128
X, Y = Q(0.02, -3), Q(0.05, 7)
DENSE, SUM, POOLED, CURVE, PROBABILITY = Q(0.4, 7), Q(0.03, 5), Q(0.015, 9), Q(0.01, -20), Q(1 / 256, LOWEST)


def _weights(shape: tuple[int, ...], channel: int, per_channel: bool, seed: int = 1) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    array = generator.integers(-127, 128, shape).astype(np.int8)
    count = shape[channel] if per_channel else 1
    scale = (0.004 * (1 + np.arange(count) % 5 / 3)).astype(np.float32)
    return array, scale


def conv(
    net: Net,
    per_channel: bool,
    shape: tuple[int, ...] = (4, 9, 8),
    filters: int = 6,
    kernel: tuple[int, ...] = (3, 3),
    group: int = 1,
    bias: str = "int",
    activation: tuple[str, dict[str, Any]] | None = None,
    y: Q = Y,
    weights_unsigned: bool = False,
    **attributes: Any,
) -> None:
    x = net.input(shape, X)
    array, scale = _weights((filters, shape[0] // group, *kernel), 0, per_channel)
    zero = np.zeros(scale.shape, np.int8)
    if weights_unsigned:
        array, zero = (array.astype(int) + 128).astype(np.uint8), np.full(scale.shape, 128, np.uint8)
    amounts = np.random.default_rng(2).integers(-3000, 3000, filters).astype(np.int32)
    if net.style == "qop":
        w_scale, w_zero = (scale, zero) if per_channel else (scale[0], zero[0])
        inputs = [x.name, *net.params(X), net.const(array), net.const(w_scale), net.const(w_zero), *net.params(y)]
        if bias != "none":
            inputs.append(net.const(amounts))
        net.output(Tensor(net.op("QLinearConv", inputs, group=group, **attributes), y))
        return
    axis = 0 if per_channel else None
    w = net.dq_const(array, scale if per_channel else scale[0], axis, zero if per_channel else zero[0])
    inputs = [net.dq(x), w]
    bias_scale = np.float32(X.scale) * scale
    if bias == "int":
        inputs.append(net.dq_const(amounts, bias_scale if per_channel else bias_scale[0], axis))
    elif bias == "float":
        inputs.append(net.const((amounts * bias_scale + 0.00001).astype(np.float32)))
    result = net.op("Conv", inputs, group=group, **attributes)
    if activation:
        result = activate(net, result, *activation)
    net.output(net.quantize(result, y))


def activate(net: Net, value: str, kind: str, options: dict[str, Any]) -> str:
    if kind == "Clip":
        return net.op("Clip", [value, net.const(np.float32(options["low"])), net.const(np.float32(options["high"]))])
    return net.op(kind, [value], **options)


def gemm(
    net: Net,
    per_channel: bool,
    trans_b: bool = False,
    bias: str = "int",
    activation: tuple[str, dict[str, Any]] | None = None,
    y: Q = DENSE,
    **attributes: Any,
) -> None:
    x = net.input((24,), X)
    channel = 0 if trans_b else 1
    array, scale = _weights((10, 24) if trans_b else (24, 10), channel, per_channel)
    amounts = np.random.default_rng(2).integers(-3000, 3000, 10).astype(np.int32)
    w_scale = scale if per_channel else scale[0]
    if net.style == "qop":
        inputs = [
            x.name,
            *net.params(X),
            net.const(array),
            net.const(w_scale),
            net.const(np.zeros_like(w_scale, np.int8)),
        ]
        inputs += [net.const(amounts) if bias != "none" else "", *net.params(y)]
        net.output(Tensor(net.op("QGemm", inputs, MS, transB=int(trans_b), **attributes), y))
        return
    axis = channel if per_channel else None
    inputs = [net.dq(x), net.dq_const(array, w_scale, axis)]
    bias_scale = np.float32(X.scale) * w_scale
    if bias == "int":
        inputs.append(net.dq_const(amounts, bias_scale, 0 if per_channel else None))
    elif bias == "float":
        inputs.append(net.const((amounts * bias_scale).astype(np.float32)))
    result = net.op("Gemm", inputs, transB=int(trans_b), **attributes)
    if activation:
        result = activate(net, result, *activation)
    net.output(net.quantize(result, y))


def matmul(net: Net, per_channel: bool, bias: str = "none", shape: tuple[int, ...] = (24,)) -> None:
    x, y = net.input(shape, X), Q(0.4, 7)
    array, scale = _weights((24, 10), 1, per_channel)
    w_scale = scale if per_channel else scale[0]
    if net.style == "qop":
        inputs = [
            x.name,
            *net.params(X),
            net.const(array),
            net.const(w_scale),
            net.const(np.zeros_like(w_scale, np.int8)),
        ]
        net.output(Tensor(net.op("QLinearMatMul", [*inputs, *net.params(y)]), y))
        return
    result = net.op("MatMul", [net.dq(x), net.dq_const(array, w_scale, 1 if per_channel else None)])
    amounts = np.random.default_rng(2).integers(-3000, 3000, 10).astype(np.int32)
    bias_scale = np.float32(X.scale) * w_scale
    if bias == "int":
        result = net.op("Add", [result, net.dq_const(amounts, bias_scale, 0 if per_channel else None)])
    elif bias == "float":
        result = net.op("Add", [result, net.const((amounts * bias_scale).astype(np.float32))])
    net.output(net.quantize(result, y))


def binary(
    net: Net,
    kind: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((3, 5, 4), (3, 5, 4)),
    constant: bool = False,
    y: Q = SUM,
    activation: tuple[str, dict[str, Any]] | None = None,
) -> None:
    a, qb = net.input(shapes[0], X), Q(0.013, 11)
    if kind == "Mul":
        y = Q(0.02, y.zero)
    if constant:
        values = np.random.default_rng(3).integers(-128, 128, shapes[1])
        b = Tensor(net.const((values + (128 if net.unsigned else 0)).astype(net.dtype)), qb)
    else:
        b = net.input(shapes[1], qb)
    if net.style == "qop":
        inputs = [a.name, *net.params(X), b.name, *net.params(qb), *net.params(y)]
        net.output(Tensor(net.op(f"QLinear{kind}", inputs, MS), y))
        return
    result = net.op(kind, [net.dq(a), net.dq(b)])
    if activation:
        result = activate(net, result, *activation)
    net.output(net.quantize(result, y))


def float_scalar(net: Net, kind: str, value: float) -> None:
    x = net.input((3, 5, 4), X)
    net.output(net.quantize(net.op(kind, [net.dq(x), net.const(np.float32(value))]), Q(0.03, 5)))


def rescaled_output(net: Net) -> None:
    """Half the value in half the scale: each byte maps to itself, but means something else at the output."""
    x = net.input((3, 5, 4), Q(0.04, 3))
    net.output(net.quantize(net.op("Mul", [net.dq(x), net.const(np.float32(0.5))]), Q(0.02, 3)))


def float_constant(net: Net, kind: str, shape: tuple[int, ...]) -> None:
    x = net.input((5, 8, 9), X)
    values = np.random.default_rng(4).uniform(-2, 2, shape).astype(np.float32)
    if kind == "Div":
        values = np.where(np.abs(values) < 0.5, np.float32(0.7), values)
    elif kind == "Mul":
        values.ravel()[0] = 0
    net.output(net.quantize(net.op(kind, [net.dq(x), net.const(values)]), Q(0.05, 5)))


def spatial(net: Net, kind: str, y: Q = POOLED, shape: tuple[int, ...] = (5, 8, 9), **attributes: Any) -> None:
    x = net.input(shape, X)
    if net.style == "qop":
        inputs = [x.name, *net.params(X), *net.params(y)]
        net.output(Tensor(net.op(f"QLinear{kind}", inputs, MS, **attributes), y))
        return
    net.output(net.quantize(net.op(kind, [net.dq(x)], **attributes), y))


def activated(net: Net, kind: str, **attributes: Any) -> None:
    """A Clip that cuts, after an operator whose kernel has no clamp of its own."""
    x = net.input((5, 8, 9), X)
    clipped = activate(net, net.op(kind, [net.dq(x)], **attributes), "Clip", {"low": 0.1, "high": 0.9})
    net.output(net.quantize(clipped, Q(0.01, -50)))


def gemm_trans_a(net: Net) -> None:
    net.batch = 48
    x, q = net.input((5,), X), Q(0.4, 7)
    array, scale = _weights((48, 10), 1, False)
    net.output(net.quantize(net.op("Gemm", [net.dq(x), net.dq_const(array, scale[0])], transA=1), q))


def requantize(net: Net) -> None:
    x = net.input((4, 64), X)
    net.output(net.quantize(net.op("Identity", [net.dq(x)]), Y))


def relu_after_movement(net: Net) -> None:
    """Convolution, Reshape, Relu: the float is moved before it is cut off."""
    x = net.input((4, 6, 6), X)
    array, scale = _weights((5, 4, 3, 3), 0, False)
    made = net.op("Conv", [net.dq(x), net.dq_const(array, scale[0])])
    flat = net.op("Reshape", [made, net.const(np.int64([0, 80]))])
    net.output(net.quantize(net.op("Relu", [flat]), Q(0.05, LOWEST)))


def turned_weights(net: Net, kind: str) -> None:
    """Weights per channel behind a Transpose or Reshape."""
    x = net.input((24,), X)
    array, scale = _weights((10, 24), 0, True)
    if kind == "Transpose":
        weights = net.op("Transpose", [net.dq_const(array, scale, 0)], perm=[1, 0])
    else:
        real = net.dq_const(np.ascontiguousarray(array.T).reshape(2, 12, 10), scale, 2)
        weights = net.op("Reshape", [real, net.const(np.int64([24, 10]))])
    net.output(net.quantize(net.op("MatMul", [net.dq(x), weights]), Q(0.4, 7)))


def int8_bias(net: Net) -> None:
    """A dense layer whose bias is quantized to int8, with a scale of its own."""
    x = net.input((24,), X)
    array, scale = _weights((24, 10), 1, False)
    bias = net.dq_const(np.arange(-5, 5).astype(np.int8), np.float32(0.01))
    net.output(net.quantize(net.op("Gemm", [net.dq(x), net.dq_const(array, scale[0]), bias]), Q(0.4, 7)))


def max_pool(net: Net, same: bool = True, shape: tuple[int, ...] = (5, 8, 9), **attributes: Any) -> None:
    x = net.input(shape, X)
    net.output(net.quantize(net.op("MaxPool", [net.dq(x)], **attributes), X if same else Y))


def unary(net: Net, kind: str, y: Q = CURVE, shape: tuple[int, ...] = (4, 64), **attributes: Any) -> None:
    x, qx = net.input(shape, Q(0.05, -3)), Q(0.05, -3)
    if net.style == "qop":
        inputs = [x.name, *net.params(qx), *net.params(y)]
        net.output(Tensor(net.op(f"QLinear{kind}", inputs, MS, **attributes), y))
        return
    net.output(net.quantize(activate(net, net.dq(x), kind, attributes), y))


def softmax(
    net: Net, shape: tuple[int, ...] = (10,), scale: float = 0.1, y: Q = PROBABILITY, **attributes: Any
) -> None:
    qx = Q(scale, 4)
    x = net.input(shape, qx)
    if net.style == "qop":
        inputs = [x.name, *net.params(qx), *net.params(y)]
        net.output(Tensor(net.op("QLinearSoftmax", inputs, MS, opset=net.opset, **attributes), y))
        return
    net.output(net.quantize(net.op("Softmax", [net.dq(x)], **attributes), y))


def concat(net: Net, axis: int = 1, same: bool = False) -> None:
    shapes = [(3, 4, 5), (2, 4, 5)] if axis == 1 else [(3, 4, 5), (3, 4, 5)]
    qs = [X, X if same else Q(0.03, 9)]
    values = [net.input(shape, q) for shape, q in zip(shapes, qs, strict=True)]
    y = X if same else Q(0.025, 1)
    if net.style == "qop":
        inputs = [*net.params(y)]
        for value in values:
            inputs += [value.name, *net.params(value.q)]
        net.output(Tensor(net.op("QLinearConcat", inputs, MS, axis=axis), y))
        return
    net.output(net.quantize(net.op("Concat", [net.dq(value) for value in values], axis=axis), y))


def moved(net: Net, kind: str, same: bool, *constants: Any, **attributes: Any) -> None:
    """A movement operator between DQ and Q."""
    x = net.input((1, 6, 4), X)
    inputs = [net.dq(x), *(net.const(np.asarray(c, np.int64)) for c in constants)]
    net.output(net.quantize(net.op(kind, inputs, **attributes), X if same else Y))


def residual(net: Net) -> None:
    """Two convolutions and a skip connection: a tensor with two readers."""
    x = net.input((4, 6, 6), X)
    y, z = Q(0.05, LOWEST), Q(0.06, 3)
    first = _conv_between(net, x, 4, y)
    shared = net.dq(first)
    second = _conv_between(net, first, 4, z, shared)
    summed = net.quantize(net.op("Add", [shared, net.dq(second)]), Q(0.07, -5))
    net.output(_conv_between(net, summed, 5, Q(0.2, 0)))


def _conv_between(net: Net, x: Tensor, filters: int, y: Q, real: str | None = None) -> Tensor:
    array, scale = _weights((filters, 4, 3, 3), 0, False, seed=filters)
    value = real or net.dq(x)
    return net.quantize(net.op("Conv", [value, net.dq_const(array, scale[0])], pads=[1, 1, 1, 1]), y)


Build = Callable[[Net], None]
RELU, CLIP = ("Relu", {}), ("Clip", {"low": 0.0, "high": 6.0})

# name -> builder(net, per_channel); both styles
BOTH: dict[str, Callable[[Net, bool], None]] = {
    "conv": lambda n, pc: conv(n, pc),
    "conv no bias": lambda n, pc: conv(n, pc, bias="none"),
    "conv strides": lambda n, pc: conv(n, pc, strides=[2, 3], pads=[1, 0, 2, 1]),
    "conv dilations": lambda n, pc: conv(n, pc, dilations=[2, 1], pads=[2, 1, 2, 1]),
    "conv same upper": lambda n, pc: conv(n, pc, auto_pad="SAME_UPPER", strides=[2, 2], kernel=(4, 3)),
    "conv same lower": lambda n, pc: conv(n, pc, auto_pad="SAME_LOWER", strides=[2, 2], kernel=(4, 3)),
    "conv valid": lambda n, pc: conv(n, pc, auto_pad="VALID"),
    "conv 1x1": lambda n, pc: conv(n, pc, kernel=(1, 1)),
    "conv group 2": lambda n, pc: conv(n, pc, group=2, pads=[1, 1, 1, 1]),
    "conv depthwise": lambda n, pc: conv(n, pc, group=4, filters=4, pads=[1, 1, 1, 1]),
    "conv depthwise times 3": lambda n, pc: conv(n, pc, group=4, filters=12, pads=[0, 1, 1, 0]),
    "conv one channel": lambda n, pc: conv(n, pc, shape=(1, 9, 8)),
    "conv over one dimension": lambda n, pc: conv(
        n, pc, shape=(4, 20), kernel=(5,), strides=[2], pads=[2, 1], dilations=[2]
    ),
    "conv depthwise over one dimension": lambda n, pc: conv(n, pc, shape=(4, 20), kernel=(3,), group=4, filters=4),
    "conv to one filter": lambda n, pc: conv(n, pc, filters=1),
    "gemm": lambda n, pc: gemm(n, pc),
    "gemm transB": lambda n, pc: gemm(n, pc, trans_b=True),
    "gemm no bias": lambda n, pc: gemm(n, pc, bias="none"),
    "gemm alpha": lambda n, pc: gemm(n, pc, bias="none", alpha=0.5),
    "matmul": lambda n, pc: matmul(n, pc),
    "matmul 3 dimensions": lambda n, pc: matmul(n, pc, shape=(3, 24)),
}
# name -> builder(net); both styles, no weights
BOTH_PLAIN: dict[str, Build] = {
    "add": lambda n: binary(n, "Add"),
    "add channel": lambda n: binary(n, "Add", ((3, 5, 4), (3, 1, 1))),
    "add row": lambda n: binary(n, "Add", ((3, 5, 4), (1, 1, 4))),
    "add column": lambda n: binary(n, "Add", ((3, 5, 4), (1, 5, 1))),
    "add scalar first": lambda n: binary(n, "Add", ((3, 1, 1), (3, 5, 4))),
    "add crossed": lambda n: binary(n, "Add", ((3, 1, 4), (1, 5, 1))),
    "mul": lambda n: binary(n, "Mul"),
    "mul channel": lambda n: binary(n, "Mul", ((3, 5, 4), (3, 1, 1))),
    "mul first smaller": lambda n: binary(n, "Mul", ((3, 1, 1), (3, 5, 4))),
    "average pool": lambda n: spatial(n, "AveragePool", kernel_shape=[3, 2], strides=[2, 1]),
    "average pool pads": lambda n: spatial(n, "AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    "average pool counts pads": lambda n: spatial(
        n, "AveragePool", kernel_shape=[3, 3], pads=[1, 0, 1, 1], count_include_pad=1
    ),
    "average pool ceil counts pads": lambda n: spatial(
        n, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1
    ),
    "average pool ceil": lambda n: spatial(n, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "average pool whole image": lambda n: spatial(n, "AveragePool", kernel_shape=[8, 9]),
    "average pool same": lambda n: spatial(
        n, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"
    ),
    "global average pool": lambda n: spatial(n, "GlobalAveragePool"),
    "average pool over one dimension": lambda n: spatial(
        n, "AveragePool", shape=(5, 20), kernel_shape=[3], strides=[2], pads=[1, 1]
    ),
    "global average pool over one dimension": lambda n: spatial(n, "GlobalAveragePool", shape=(5, 20)),
    "sigmoid": lambda n: unary(n, "Sigmoid", Q(1 / 256, LOWEST)),
    "leaky relu": lambda n: unary(n, "LeakyRelu", alpha=0.2),
    "softmax": lambda n: softmax(n),
    "softmax long": lambda n: softmax(n, (300,), 0.03),
    "softmax coarse output": lambda n: softmax(n, (10,), 0.1, Q(0.0041, -100)),
    "softmax wide": lambda n: softmax(n, (10,), 2.0),
    "softmax of one": lambda n: softmax(n, (4, 1), y=Q(1 / 200, -100)),
    "softmax middle axis": lambda n: softmax(n, (6, 5), 0.1, axis=1),
    "concat channels": lambda n: concat(n),
    "concat last": lambda n: concat(n, 3),
    "concat same": lambda n: concat(n, 1, same=True),
}
# name -> builder(net, per_channel); QDQ only
QDQ: dict[str, Callable[[Net, bool], None]] = {
    "conv float bias": lambda n, pc: conv(n, pc, bias="float"),
    "conv relu": lambda n, pc: conv(n, pc, activation=RELU, y=Q(0.05, LOWEST)),
    "conv relu above": lambda n, pc: conv(n, pc, activation=RELU, y=Q(0.05, -10)),
    "conv clip redundant": lambda n, pc: conv(n, pc, activation=CLIP, y=Q(6 / 255, LOWEST)),
    "conv clip": lambda n, pc: conv(n, pc, activation=CLIP, y=Q(0.05, -100)),
    "conv weights uint8": lambda n, pc: conv(n, pc, weights_unsigned=True),
    "gemm float bias": lambda n, pc: gemm(n, pc, bias="float"),
    "gemm relu": lambda n, pc: gemm(n, pc, activation=RELU, y=Q(0.2, LOWEST)),
    "gemm relu above": lambda n, pc: gemm(n, pc, activation=RELU, y=Q(0.2, 0)),
    "gemm alpha beta": lambda n, pc: gemm(n, pc, alpha=0.75, beta=0.5, bias="float"),
    "matmul add": lambda n, pc: matmul(n, pc, bias="int"),
    "matmul add float": lambda n, pc: matmul(n, pc, bias="float"),
}
# name -> builder(net); QDQ only
QDQ_PLAIN: dict[str, Build] = {
    "add relu": lambda n: binary(n, "Add", activation=RELU, y=Q(0.03, LOWEST)),
    "add relu above": lambda n: binary(n, "Add", activation=RELU),
    "add constant": lambda n: binary(n, "Add", ((3, 5, 4), (3, 1, 1)), constant=True),
    "add constant scalar": lambda n: binary(n, "Add", ((3, 5, 4), (1, 1, 1)), constant=True),
    "mul constant": lambda n: binary(n, "Mul", ((3, 5, 4), (3, 1, 1)), constant=True),
    "mul relu above": lambda n: binary(n, "Mul", activation=RELU),
    "add float scalar": lambda n: float_scalar(n, "Add", 0.37),
    "mul float scalar": lambda n: float_scalar(n, "Mul", 1.7),
    "mul into half the scale": rescaled_output,
    "sub float scalar": lambda n: float_scalar(n, "Sub", 0.37),
    "div float scalar": lambda n: float_scalar(n, "Div", 3.0),
    "add float channels": lambda n: float_constant(n, "Add", (5, 1, 1)),
    "add float last axis": lambda n: float_constant(n, "Add", (9,)),
    "mul float channels": lambda n: float_constant(n, "Mul", (5, 1, 1)),
    "mul float every element": lambda n: float_constant(n, "Mul", (5, 8, 9)),
    "sub float channels": lambda n: float_constant(n, "Sub", (5, 1, 1)),
    "div float rows": lambda n: float_constant(n, "Div", (8, 1)),
    "mul constant scalar": lambda n: binary(n, "Mul", ((3, 5, 4), (1, 1, 1)), constant=True),
    "average pool relu": lambda n: activated(n, "AveragePool", kernel_shape=[2, 2]),
    "softmax clip": lambda n: activated(n, "Softmax", axis=1),
    "relu on max pool": lambda n: activated(n, "MaxPool", kernel_shape=[2, 2]),
    "gemm transA": gemm_trans_a,
    "requantize": requantize,
    "relu after reshape": relu_after_movement,
    "dense weights transposed": lambda n: turned_weights(n, "Transpose"),
    "dense weights reshaped": lambda n: turned_weights(n, "Reshape"),
    "add int8 bias": int8_bias,
    "reduce mean": lambda n: spatial(n, "ReduceMean", axes=[2, 3], keepdims=1),
    "reduce mean squeezed": lambda n: spatial(n, "ReduceMean", axes=[2, 3], keepdims=0),
    "reduce mean nhwc": lambda n: spatial(n, "ReduceMean", axes=[1, 2], keepdims=0),
    "reduce mean last": lambda n: spatial(n, "ReduceMean", axes=[-1], keepdims=1),
    "reduce mean channel": lambda n: spatial(n, "ReduceMean", axes=[1], keepdims=1),
    "max pool": lambda n: max_pool(n, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "max pool over one dimension": lambda n: max_pool(n, shape=(5, 20), kernel_shape=[3], strides=[2]),
    "max pool dilated": lambda n: max_pool(n, kernel_shape=[2, 2], dilations=[2, 3]),
    "max pool ceil": lambda n: max_pool(n, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max pool same": lambda n: max_pool(n, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    "max pool other scale": lambda n: max_pool(n, same=False, kernel_shape=[2, 2]),
    "relu": lambda n: unary(n, "Relu"),
    "relu lowest": lambda n: unary(n, "Relu", Q(0.02, LOWEST)),
    "clip": lambda n: unary(n, "Clip", low=-0.5, high=0.6),
    "tanh": lambda n: unary(n, "Tanh", Q(1 / 128, 0)),
    "elu": lambda n: unary(n, "Elu", alpha=0.7),
    "hard sigmoid": lambda n: unary(n, "HardSigmoid", Q(1 / 256, LOWEST)),
    "hard swish": lambda n: unary(n, "HardSwish", Q(0.03, -100)),
    "reshape": lambda n: moved(n, "Reshape", True, [0, -1, 3]),
    "reshape other scale": lambda n: moved(n, "Reshape", False, [0, 24]),
    "flatten": lambda n: moved(n, "Flatten", True, axis=1),
    "squeeze": lambda n: moved(n, "Squeeze", True, [1]),
    "unsqueeze": lambda n: moved(n, "Unsqueeze", True, [2]),
    "transpose": lambda n: moved(n, "Transpose", True, perm=[0, 3, 1, 2]),
    "transpose other scale": lambda n: moved(n, "Transpose", False, perm=[0, 2, 1, 3]),
    "residual": residual,
}
