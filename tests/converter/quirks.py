"""The quirks of exporters, each in a small model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_net import MS, Net, Q, Tensor

from onnxino.schema.model import Exactness

X, Y, LOWEST = Q(0.02, -3), Q(0.05, 7), -128
I64 = np.int64
Build = Callable[[Net], None]
QUIRKS: dict[str, tuple[Build, Exactness]] = {}


def quirk(name: str, least: Exactness = Exactness.Exact) -> Callable[[Build], Build]:
    """Registers a builder; `least`: what the weakest operator of the converted model promises."""

    def register(build: Build) -> Build:
        QUIRKS[name] = (build, least)
        return build

    return register


def _weights(net: Net, shape: tuple[int, ...], per_channel: bool = True, axis: int = 0) -> str:
    array = np.random.default_rng(len(net.nodes)).integers(-127, 128, shape).astype(np.int8)
    scale = np.linspace(0.005, 0.012, shape[axis], dtype=np.float32) if per_channel else np.float32(0.01)
    return net.dq_const(array, scale, axis if per_channel else None)


def conv(net: Net, x: str, shape: tuple[int, ...] = (4, 3, 3, 3), *bias: str, **attributes: Any) -> str:
    return net.op("Conv", [x, _weights(net, shape), *bias], **{"pads": [1, 1, 1, 1], **attributes})


def _again(net: Net, value: str, q: Q = Y) -> str:
    """Quantized and dequantized."""
    return net.dq(net.quantize(value, q))


@quirk("Relu dropped")
def _relu_dropped(net: Net) -> None:
    net.output(net.quantize(conv(net, net.dq(net.input((3, 6, 6), X))), Q(0.05, LOWEST)))


@quirk("Relu kept")
def _relu_kept(net: Net) -> None:
    net.output(net.quantize(net.op("Relu", [conv(net, net.dq(net.input((3, 6, 6), X)))]), Q(0.05, LOWEST)))


def _clip(net: Net, x: str) -> str:
    return net.op("Clip", [x, net.const(np.float32(0)), net.const(np.float32(6))])


@quirk("Clip dropped")
def _clip_dropped(net: Net) -> None:
    net.output(net.quantize(conv(net, net.dq(net.input((3, 6, 6), X))), Q(6 / 255, LOWEST)))


@quirk("Clip kept")
def _clip_kept(net: Net) -> None:
    net.output(net.quantize(_clip(net, conv(net, net.dq(net.input((3, 6, 6), X)))), Q(6 / 255, LOWEST)))


@quirk("Clip kept that changes bytes", Exactness.Step)
def _clip_inside(net: Net) -> None:
    net.output(net.quantize(_clip(net, conv(net, net.dq(net.input((3, 6, 6), X)))), Q(0.05, -100)))


@quirk("Clip between Q and DQ", Exactness.Step)
def _clip_between(net: Net) -> None:
    """As Brevitas writes narrow ranges, of activations and of weights."""
    low, high = (net.dtype(v + (128 if net.unsigned else 0)) for v in (-127, 127))
    x = net.input((3, 6, 6), X)
    cut = Tensor(net.op("Clip", [x.name, net.const(low), net.const(high)]), X)
    whole = net.const(np.random.default_rng(1).integers(-127, 128, (4, 3, 3, 3)).astype(np.int8))
    narrow = net.op("Clip", [whole, net.const(np.int8(-7)), net.const(np.int8(7))])
    weights = net.op("DequantizeLinear", [narrow, net.const(np.float32(0.1)), net.const(np.int8(0))])
    made = net.quantize(net.op("Conv", [net.dq(cut), weights]), Y)
    net.output(Tensor(net.op("Clip", [made.name, net.const(low), net.const(high)]), Y))


@quirk("float bias")
def _float_bias(net: Net) -> None:
    bias = net.const(np.float32([0.31, -0.2, 0.017, 1]))
    net.output(net.quantize(conv(net, net.dq(net.input((3, 6, 6), X)), (4, 3, 3, 3), bias), Y))


@quirk("int8 bias", Exactness.Step)
def _int8_bias(net: Net) -> None:
    bias = net.dq_const(np.int8([100, -3, 7, -128]), np.float32(0.01))
    net.output(net.quantize(conv(net, net.dq(net.input((3, 6, 6), X)), (4, 3, 3, 3), bias), Y))


@quirk("int8 bias of a dense layer", Exactness.Step)
def _int8_dense_bias(net: Net) -> None:
    bias = net.dq_const(np.int8([100, -3, 7]), np.float32(0.01))
    net.output(net.quantize(net.op("Gemm", [net.dq(net.input((8,), X)), _weights(net, (8, 3), axis=1), bias]), Y))


@quirk("float weights behind Q and DQ")
def _float_weights(net: Net) -> None:
    real = net.const(np.random.default_rng(1).uniform(-1, 1, (4, 3, 3, 3)).astype(np.float32))
    scale, zero = np.float32([0.008, 0.007, 0.006, 0.01]), np.zeros(4, np.int8)
    stored = net.op("QuantizeLinear", [real, net.const(scale), net.const(zero)], axis=0)
    weights = net.op("DequantizeLinear", [stored, net.const(scale), net.const(zero)], axis=0)
    net.output(net.quantize(net.op("Conv", [net.dq(net.input((3, 6, 6), X)), weights]), Y))


def _through(net: Net, detour: Callable[[str], str]) -> None:
    """A convolution all of whose scales and zero points take a detour."""
    net.batch = 1
    x = net.input((3, 6, 6), X)
    params = net.params
    net.params = lambda q: [detour(name) for name in params(q)]  # type: ignore[method-assign]
    net.output(net.quantize(net.op("Relu", [conv(net, net.dq(x))]), Q(0.05, LOWEST)))
    del net.params


def _initializer(net: Net, name: str) -> TensorProto:
    return next(t for t in net.initializers if t.name == name)


@quirk("parameters through Identity")
def _identity(net: Net) -> None:
    _through(net, lambda name: net.op("Identity", [name]))


@quirk("parameters through Constant")
def _constant(net: Net) -> None:
    _through(net, lambda name: net.op("Constant", [], value=_initializer(net, name)))


@quirk("parameters through Cast")
def _cast(net: Net) -> None:
    def detour(name: str) -> str:
        kind = _initializer(net, name).data_type
        wide = net.op("Cast", [name], to=TensorProto.DOUBLE if kind == TensorProto.FLOAT else TensorProto.INT32)
        return net.op("Cast", [wide], to=kind)

    _through(net, detour)


@quirk("parameters through ConstantOfShape")
def _constant_of_shape(net: Net) -> None:
    def detour(name: str) -> str:
        value = numpy_helper.from_array(numpy_helper.to_array(_initializer(net, name)).reshape(1))
        return net.op("Squeeze", [net.op("ConstantOfShape", [net.const(np.asarray([1], I64))], value=value)])

    _through(net, detour)


@quirk("parameters through Shape and Gather")
def _shape_gather(net: Net) -> None:
    def detour(name: str) -> str:
        kind = _initializer(net, name).data_type
        batch = net.op("Gather", [net.op("Shape", [net.inputs[0].name]), net.const(np.asarray(0, I64))])
        one = net.op("Div", [batch, net.op("Add", [batch, net.const(np.asarray(0, I64))])])
        return net.op("Mul", [name, net.op("Cast", [one], to=kind)]) if kind == TensorProto.FLOAT else name

    _through(net, detour)


@quirk("quantizers of com.microsoft", Exactness.Step)
def _microsoft(net: Net) -> None:
    x = net.input((3, 6, 6), X)
    real = net.op("DequantizeLinear", [x.name, *net.params(X)], MS)
    net.output(Tensor(net.op("QuantizeLinear", [conv(net, real), *net.params(Y)], MS), Y))


def _mul_after(pool: Callable[[Net, str], str]) -> Build:
    def build(net: Net) -> None:
        x = net.input((5, 7, 7), X)
        factor = net.const(np.float32(1.125))
        net.output(net.quantize(net.op("Mul", [pool(net, net.dq(x)), factor]), Y))

    return build


QUIRKS["Mul after GlobalAveragePool"] = (
    _mul_after(lambda net, x: net.op("GlobalAveragePool", [x])),
    Exactness.Step,
)
QUIRKS["Mul after AveragePool"] = (
    _mul_after(lambda net, x: net.op("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])),
    Exactness.Float,
)
QUIRKS["Mul after ReduceMean"] = (
    _mul_after(lambda net, x: net.op("ReduceMean", [x], axes=[2, 3], keepdims=0)),
    Exactness.Step,
)


@quirk("Mul after a quantized pooling", Exactness.Step)
def _mul_after_quantized(net: Net) -> None:
    """As AMD Quark corrects the mean of a pooling by a shift."""
    pooled = _again(net, net.op("GlobalAveragePool", [net.dq(net.input((5, 7, 7), X))]), X)
    net.output(net.quantize(net.op("Mul", [pooled, net.const(np.float32(49 / 64))]), Y))


@quirk("ReduceMean, Gather and Reshape tail", Exactness.Step)
def _tail(net: Net) -> None:
    """The shape of the last Reshape is put together from that of its input."""
    net.batch = 1
    made = _again(net, net.op("Relu", [conv(net, net.dq(net.input((3, 6, 6), X)))]), Q(0.05, LOWEST))
    mean = _again(net, net.op("ReduceMean", [made], axes=[2, 3], keepdims=1), Q(0.03, LOWEST))
    first = net.op("Gather", [net.op("Shape", [mean]), net.const(np.asarray(0, I64))], axis=0)
    batch = net.op("Unsqueeze", [first, net.const(np.asarray([0], I64))])
    flat = net.op("Reshape", [mean, net.op("Concat", [batch, net.const(np.asarray([-1], I64))], axis=0)])
    net.output(net.quantize(net.op("Gemm", [flat, _weights(net, (4, 5), axis=1)]), Y))


@quirk("Gather of one row", Exactness.Step)
def _gather(net: Net) -> None:
    made = _again(net, net.op("ReduceMean", [net.dq(net.input((4, 6, 5), X))], axes=[3], keepdims=0), X)
    row = net.op("Gather", [made, net.const(np.asarray(-1, I64))], axis=2)
    net.output(net.quantize(net.op("Reshape", [row, net.const(np.asarray([0, 2, 2], I64))]), X))


@quirk("initializers listed as inputs")
def _listed(net: Net) -> None:
    net.output(net.quantize(conv(net, net.dq(net.input((3, 6, 6), X))), Y))
    net.inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in net.initializers]


@quirk("NHWC with Transposes", Exactness.Step)
def _nhwc(net: Net) -> None:
    turned = net.op("Transpose", [net.dq(net.input((6, 5, 3), X))], perm=[0, 3, 1, 2])
    first = _again(net, net.op("Relu", [conv(net, turned)]), Q(0.05, LOWEST))
    deep = _again(net, conv(net, first, (4, 1, 3, 3), group=4))
    back = net.op("Transpose", [deep], perm=[0, 2, 3, 1])
    net.output(net.quantize(net.op("ReduceMean", [back], axes=[1, 2], keepdims=0), Y))


@quirk("MatMul and Add as a dense layer")
def _matmul_add(net: Net) -> None:
    bias = net.dq_const(np.int32([400, -30, 7]), np.float32(0.0002))
    product = net.op("MatMul", [net.dq(net.input((8,), X)), _weights(net, (8, 3), False)])
    net.output(net.quantize(net.op("Add", [product, bias]), Y))


def _norm(net: Net, x: str, wrap: Callable[[Any], str]) -> str:
    """A BatchNormalization of 4 channels."""
    stats = ([1.5, -0.5, 2, 1], [0.1, 0, -0.2, 0], [0.3, 0.1, 0, 1], [1, 2, 0.5, 0.1])
    return net.op("BatchNormalization", [x, *(wrap(np.float32(v)) for v in stats)])


@quirk("BatchNormalization beside Conv", Exactness.Step)
def _norm_beside(net: Net) -> None:
    made = conv(net, net.dq(net.input((3, 6, 6), X)), (4, 3, 3, 3), net.const(np.float32([1, 0, -1, 0.5])))
    net.output(net.quantize(net.op("Relu", [_norm(net, made, net.const)]), Y))


@quirk("BatchNormalization with quantized scales", Exactness.Float)
def _norm_quantized(net: Net) -> None:
    """quantize_static quantizes scale and shift."""
    made = _again(net, conv(net, net.dq(net.input((3, 6, 6), X))))
    scale = net.dq_const(np.int8([127, -50, 100, 3]), np.float32(0.01))
    shift = net.dq_const(np.int32([400, 0, -300, 7]), np.float32(0.0005))
    rest = [net.const(np.float32(v)) for v in ([0.3, 0.1, 0, 1], [1, 2, 0.5, 0.1])]
    net.output(net.quantize(net.op("BatchNormalization", [made, scale, shift, *rest]), Y))


@quirk("Pad before Conv")
def _pad(net: Net) -> None:
    pads = net.const(np.asarray([0, 0, 1, 2, 0, 0, 0, 1], I64))
    x = net.dq(net.input((3, 6, 6), X))
    net.output(net.quantize(conv(net, net.op("Pad", [x, pads]), pads=[0, 0, 0, 0]), Y))


@quirk("quantized Pad before Conv")
def _quantized_pad(net: Net) -> None:
    pads = net.const(np.asarray([0, 0, 1, 1, 0, 0, 1, 1], I64))
    padded = _again(net, net.op("Pad", [net.dq(net.input((3, 6, 6), X)), pads]), X)
    net.output(net.quantize(conv(net, padded, pads=[0, 0, 0, 0], strides=[2, 2]), Y))


@quirk("Pad with a quantized value")
def _pad_value(net: Net) -> None:
    pads = net.const(np.asarray([0, 0, 1, 1, 0, 0, 1, 1], I64))
    value = net.op("DequantizeLinear", [net.const(net.zero(Q(1, 9))), *net.params(X)])
    net.output(net.quantize(net.op("Pad", [net.dq(net.input((3, 6, 6), X)), pads, value]), X))


def _activation(kind: str, **attributes: Any) -> Build:
    """In float between two convolutions, nothing quantized around it."""

    def build(net: Net) -> None:
        made = conv(net, net.dq(net.input((3, 6, 6), X)))
        extra = [net.const(np.float32([0.1, -0.2, 0.5, 2]).reshape(4, 1, 1))] if kind == "PRelu" else []
        made = _again(net, net.op(kind, [made, *extra], **attributes), Q(0.04, -60))
        net.output(net.quantize(conv(net, made, (2, 4, 1, 1), pads=[0, 0, 0, 0]), Y))

    return build


for _kind, _attributes in (
    ("HardSwish", {}),
    ("HardSigmoid", {"alpha": 1 / 6}),
    ("LeakyRelu", {"alpha": 0.1}),
    ("PRelu", {}),
    ("Tanh", {}),
):
    QUIRKS[f"{_kind} island"] = (_activation(_kind, **_attributes), Exactness.Float)


def _pair(kind: str, constant: bool = False) -> Build:
    def build(net: Net) -> None:
        a, b = net.input((3, 4, 5), X), Q(0.03, 20)
        other = net.const(np.float32(3)) if constant else net.dq(net.input((3, 4, 5), b))
        net.output(net.quantize(net.op(kind, [net.dq(a), other]), Y))

    return build


QUIRKS["Sub"] = (_pair("Sub"), Exactness.Float)
QUIRKS["Div"] = (_pair("Div", True), Exactness.Table)
QUIRKS["Min"] = (_pair("Min"), Exactness.Float)
QUIRKS["Max"] = (_pair("Max"), Exactness.Float)


@quirk("Resize nearest")
def _resize(net: Net) -> None:
    made = _again(net, conv(net, net.dq(net.input((3, 4, 5), X))))
    large = net.op(
        "Resize",
        [made, "", net.const(np.float32([1, 1, 2, 2]))],
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    net.output(net.quantize(conv(net, _again(net, large), (2, 4, 3, 3)), X))


@quirk("Slice")
def _slice(net: Net) -> None:
    """As ShuffleNet and YOLO take every second pixel."""
    x = net.dq(net.input((3, 6, 8), X))
    bounds = [net.const(np.asarray(v, I64)) for v in ([1, 0], [6, 100], [2, 3], [2, 2])]
    net.output(net.quantize(conv(net, net.op("Slice", [x, *bounds])), Y))


def _parts(net: Net, x: str) -> list[str]:
    parts = [net.name("part") for _ in range(2)]
    net.nodes.append(helper.make_node("Split", [x, net.const(np.asarray([3, 1], I64))], parts, name="split", axis=1))
    return parts


@quirk("Split")
def _split(net: Net) -> None:
    made = _again(net, conv(net, net.dq(net.input((3, 4, 5), X))))
    for part, channels in zip(_parts(net, made), (3, 1), strict=True):
        net.output(net.quantize(conv(net, _again(net, part), (2, channels, 3, 3)), X))


@quirk("Split without quantizers behind it", Exactness.Step)
def _float_split(net: Net) -> None:
    made = _again(net, conv(net, net.dq(net.input((3, 4, 5), X))))
    for part, channels in zip(_parts(net, made), (3, 1), strict=True):
        net.output(net.quantize(conv(net, part, (2, channels, 3, 3)), X))


@quirk("ArgMax")
def _argmax(net: Net) -> None:
    scores = _again(net, net.op("Gemm", [net.dq(net.input((8,), X)), _weights(net, (8, 5), axis=1)]))
    net.outputs.append(helper.make_tensor_value_info(net.op("ArgMax", [scores], axis=1), TensorProto.INT64, None))


@quirk("convolution and pooling over one dimension")
def _line(net: Net) -> None:
    made = net.op("Relu", [net.op("Conv", [net.dq(net.input((2, 20), X)), _weights(net, (4, 2, 5))], strides=[2])])
    pooled = net.op("MaxPool", [_again(net, made, Q(0.05, LOWEST))], kernel_shape=[2], strides=[2])
    mean = net.op("AveragePool", [_again(net, pooled, Q(0.05, LOWEST))], kernel_shape=[2])
    net.output(net.quantize(mean, Q(0.05, LOWEST)))


@quirk("LogSoftmax", Exactness.Float)
def _log_softmax(net: Net) -> None:
    scores = _again(net, net.op("Gemm", [net.dq(net.input((8,), X)), _weights(net, (8, 5), axis=1)]))
    net.output(net.quantize(net.op("LogSoftmax", [scores], axis=1), Q(0.05, 100)))


@quirk("several inputs and outputs", Exactness.Step)
def _several(net: Net) -> None:
    a, b, c = net.input((3, 4, 4), X), net.input((3, 4, 4), Y), net.input((3, 4, 4), Q(0.01))
    total = net.quantize(net.op("Add", [net.dq(a), net.dq(b)]), Y)
    net.output(total)
    net.output(net.quantize(conv(net, net.dq(total)), Q(0.1)))
    net.output(net.quantize(net.op("Concat", [net.dq(a), net.dq(c)], axis=1), Q(0.03, 4)))
