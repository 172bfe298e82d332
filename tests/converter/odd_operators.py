"""Attributes and operands that an operator does not take: models that are refused, and those that become float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from odd_models import Odd, X, Y
from onnx import ModelProto, TensorProto, helper
from onnx_net import MS, Net, Tensor

F, I64, I8, U8 = np.float32, np.int64, np.int8, np.uint8
Make = Callable[[Net], str] | Any  # an input: built by a function, or a constant


def _input(net: Net, made: Make) -> str:
    if made is None:
        return ""
    return made(net) if callable(made) else net.const(made)


def real(
    kind: str,
    *inputs: Make,
    shape: tuple[int, ...] = (2, 4, 4),
    opset: int = 17,
    batch: int | str = "N",
    **attributes: Any,
) -> Any:
    """A float operator on a dequantized input, between DQ and Q."""

    def build() -> ModelProto:
        net = Net(opset=opset, batch=batch)
        x = net.input(shape, X)
        others = [_input(net, made) for made in inputs]
        net.output(net.quantize(net.op(kind, [net.dq(x), *others], **attributes), Y))
        return net.model()

    return build


def qlinear(kind: str, *inputs: Make, shape: tuple[int, ...] = (2, 4, 4), domain: str = MS, **attributes: Any) -> Any:
    """A QOperator node on a quantized input with its parameters."""

    def build() -> ModelProto:
        net = Net(style="qop")
        x = net.input(shape, X)
        others = [_input(net, made) for made in inputs]
        made = net.op(kind, [x.name, *net.params(X), *others], domain, **attributes)
        net.output(Tensor(made, Y))
        return net.model()

    return build


def quantized(array: Any, scale: Any = 0.01, axis: int | None = None) -> Callable[[Net], str]:
    return lambda net: net.dq_const(np.asarray(array), np.asarray(scale, F), axis)


def second_input(shape: tuple[int, ...]) -> Callable[[Net], str]:
    return lambda net: net.dq(net.input(shape, X))


def float_input(net: Net) -> str:
    net.inputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    return "other"


def int8_input(net: Net) -> str:
    net.inputs.append(helper.make_tensor_value_info("other", TensorProto.INT8, [1]))
    return "other"


def quantizing(kind: str = "QuantizeLinear", *parameters: Any, **attributes: Any) -> Any:
    """A conversion of its own, with odd parameters."""

    def build() -> ModelProto:
        net = Net(opset=21)
        x = net.input((2, 4, 4), X)
        value = net.op("Relu", [net.dq(x)]) if kind == "QuantizeLinear" else x.name
        made = net.op(kind, [value, *(net.const(p) for p in parameters)], **attributes)
        net.outputs.append(helper.make_tensor_value_info(made, TensorProto.INT8, None))
        return net.model()

    return build


def outputs(kind: str, second: str, **attributes: Any) -> Any:
    """An operator whose second output is named."""

    def build() -> ModelProto:
        model: ModelProto = real(kind, **attributes)()
        next(n for n in model.graph.node if n.op_type == kind).output.append(second)
        return model

    return build


def _float_relu() -> ModelProto:
    """Relu on a float graph input."""
    net = Net()
    net.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]))
    net.output(net.quantize(net.op("Relu", ["x"]), Y))
    return net.model()


def _float_straight_through() -> ModelProto:
    net = Net()
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Relu", [net.dq(x)]), Y))
    net.outputs.append(helper.make_tensor_value_info(net.inputs[0].name, TensorProto.FLOAT, None))
    return net.model()


def _constant_output() -> ModelProto:
    net = Net()
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Relu", [net.dq(x)]), Y))
    made = net.dq_const(np.ones(4, I8), 0.1)
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, None))
    return net.model()


def _int64_output() -> ModelProto:
    net = Net()
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Relu", [net.dq(x)]), Y))
    made = net.op("Shape", [x.name])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.INT64, None))
    return net.model()


def _same_input_twice() -> ModelProto:
    model: ModelProto = real("Relu")()
    model.graph.input.append(model.graph.input[0])
    return model


def _two_types() -> ModelProto:
    net = Net(ports="quantized")
    a = net.input((4,), X)
    net.unsigned = True
    b = net.input((4,), X)
    made = net.op("Concat", [a.name, b.name], axis=1)
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.INT8, None))
    return net.model()


def _integer_relu() -> ModelProto:
    net = Net(ports="quantized")
    x = net.input((4,), X)
    net.output(Tensor(net.op("Relu", [x.name]), X))
    return net.model()


def _training_constant() -> ModelProto:
    return real("Dropout", np.asarray(0.5, F), np.asarray(True))()  # type: ignore[no-any-return]


def _concat() -> ModelProto:
    net = Net(style="qop")
    a, b = net.input((2, 4), X), net.input((3, 5), X)
    made = net.op("QLinearConcat", [*net.params(Y), a.name, *net.params(X), b.name, *net.params(X)], MS, axis=1)
    net.output(Tensor(made, Y))
    return net.model()


def _quantized_twice() -> ModelProto:
    net = Net()
    x = net.input((4,), X)
    net.output(net.quantize(x.name, Y))
    return net.model()


def _shape_at_run_time() -> ModelProto:
    net = Net()
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Reshape", [net.dq(x), float_input(net)]), Y))
    return net.model()


ROW, MATRIX = np.ones(3, np.int32), np.ones((4, 3), I8)
WEIGHTS = np.ones((3, 2, 1, 1), I8)
WEIGHT_INPUTS = (WEIGHTS, F(0.1), I8(0))
Y_INPUTS = (F(0.1), I8(0))
MANY = np.linspace(-2, 2, 70000, dtype=F)
MORE: dict[str, Odd] = {
    "bias of another size": Odd(real("Gemm", quantized(MATRIX), np.ones(2, F), shape=(4,)), ("[2]", "[1, 3]")),
    "bias differs between rows": Odd(
        real("Gemm", quantized(MATRIX), np.arange(6, dtype=F).reshape(2, 3), shape=(4,)), ("[2, 3]", "[1, 3]")
    ),
    "matrix does not fit": Odd(real("MatMul", quantized(np.ones((3, 3), I8))), ("do not fit together",)),
    "gemm of three dimensions": Odd(real("Gemm", quantized(MATRIX)), ("two matrices",)),
    "gemm does not fit": Odd(real("Gemm", quantized(MATRIX), shape=(5,)), ("do not fit together",)),
    "weights at run time": Odd(
        real("Conv", lambda n: n.dq(n.input((2, 1, 1), X))), ("weights", "computed at run time", "constant")
    ),
    "weights of a volume": Odd(real("Conv", quantized(np.ones((3, 2, 1, 1, 1), I8))), ("4 dimensions",)),
    "kernel_shape differs": Odd(real("Conv", quantized(WEIGHTS), kernel_shape=[3, 3]), ("kernel_shape is [3, 3]",)),
    "shapes do not broadcast": Odd(real("Add", second_input((2, 4, 3))), ("do not fit together",)),
    "clip with many bounds": Odd(real("Clip", np.zeros(2, F)), ("min has 2 elements",)),
    "clip with no number": Odd(real("Clip", F(np.nan)), ("min is not a number",)),
    "alpha as text": Odd(real("LeakyRelu", alpha="big"), ("attribute alpha",)),
    "axis as text": Odd(real("Softmax", axis="last"), ("attribute axis",)),
    "concat of other ranks": Odd(real("Concat", second_input((2, 4)), axis=1), ("cannot be joined",)),
    "concat of two types": Odd(_two_types, ("int8", "uint8", "one type")),
    "scale with two dimensions": Odd(quantizing("QuantizeLinear", np.ones((2, 2), F), I8(0)), ("shape [2, 2]",)),
    "scale of type double": Odd(quantizing("DequantizeLinear", np.float64(0.1), I8(0)), ("float64",)),
    "zero points too many": Odd(quantizing("QuantizeLinear", F(0.1), np.zeros(3, I8)), ("1 scales and 3 zero",)),
    "scales for no axis": Odd(quantizing("QuantizeLinear", np.ones(3, F), np.zeros(3, I8), axis=1), ("3 scales",)),
    "blocks": Odd(quantizing("QuantizeLinear", np.ones(2, F), np.zeros(2, I8), block_size=2), ("block",)),
    "output_dtype int4": Odd(quantizing("QuantizeLinear", F(0.1), output_dtype=22), ("output_dtype is 22",)),
    "zero point of another type": Odd(quantizing("DequantizeLinear", F(0.1), U8(0)), ("int8", "uint8", "one type")),
    "quantize what is quantized": Odd(_quantized_twice, ("(QuantizeLinear)", "int8", "float32")),
    "training": Odd(_training_constant, ("training_mode",), "model.eval()"),
    "dropout mask": Odd(outputs("Dropout", "mask"), ("mask",)),
    "pooling indices": Odd(outputs("MaxPool", "indices", kernel_shape=[2, 2]), ("Indices",)),
    "constant as text": Odd(real("Add", lambda n: n.op("Constant", [], value_string="x")), ("value_string",)),
    "reshape copies too much": Odd(real("Reshape", np.asarray([1, 2, 4, 4, 0], I64)), ("copies a dimension",)),
    "reshape with two unknowns": Odd(real("Reshape", np.asarray([-1, -1], I64)), ("not valid",)),
    "reshape does not divide": Odd(real("Reshape", np.asarray([-1, 5], I64)), ("cannot be reshaped",)),
    "reshape to another size": Odd(real("Reshape", np.asarray([2, 32], I64)), ("cannot be reshaped",), "batch"),
    "reshape to zero": Odd(real("Reshape", np.asarray([0, -1], I64), allowzero=1), ("not valid",)),
    "shape at run time": Odd(_shape_at_run_time, ("(Reshape)", "run time")),
    "flatten axis": Odd(real("Flatten", axis=9), ("axis 9",)),
    "squeeze what is not 1": Odd(real("Squeeze", np.asarray([1], I64)), ("not all of size 1",)),
    "unsqueeze without axes": Odd(real("Unsqueeze"), ("axes are missing",)),
    "unsqueeze twice": Odd(real("Unsqueeze", np.asarray([1, 1], I64)), ("axis twice",)),
    "float straight through": Odd(_float_straight_through, ("also a graph output",)),
    "constant output": Odd(_constant_output, ("constant",)),
    "int64 output": Odd(_int64_output, ("int64",)),
    "input twice": Odd(_same_input_twice, ("defined twice",)),
    "relu on integers": Odd(_integer_relu, ("(Relu)", "without scales")),
    "qlinear scale at run time": Odd(
        qlinear("QLinearSigmoid", float_input, I8(0)), ("(QLinearSigmoid)", "'other'", "run time")
    ),
    "qlinear zero point at run time": Odd(qlinear("QLinearSigmoid", F(0.1), int8_input), ("'other'", "run time")),
    "qlinear scale zero": Odd(qlinear("QLinearSigmoid", F(0), I8(0)), ("finite float32 scales above 0",)),
    "qlinear zero points": Odd(qlinear("QLinearSigmoid", F(0.1), np.zeros(3, I8)), ("1 scales and 3 zero",)),
    "qlinear output int16": Odd(qlinear("QLinearSigmoid", F(0.1), np.int16(0)), ("int16",)),
    "qlinear weights int32": Odd(
        qlinear("QLinearConv", WEIGHTS.astype(np.int32), F(0.1), np.int32(0), *Y_INPUTS, domain=""), ("int32",)
    ),
    "qlinear float bias": Odd(
        qlinear("QLinearConv", *WEIGHT_INPUTS, *Y_INPUTS, np.ones(3, F), domain=""), ("float32", "constant int32")
    ),
    "channels last": Odd(qlinear("QLinearConv", *WEIGHT_INPUTS, *Y_INPUTS, channels_last=1), ("channels_last",)),
    "pool channels last": Odd(qlinear("QLinearGlobalAveragePool", *Y_INPUTS, channels_last=1), ("channels_last",)),
    "qlinear matrix": Odd(
        qlinear("QLinearMatMul", np.ones((5, 3), I8), F(0.1), I8(0), *Y_INPUTS, domain=""), ("matrix of weights",)
    ),
    "qgemm of images": Odd(qlinear("QGemm", MATRIX, F(0.1), I8(0), ROW, *Y_INPUTS), ("two matrices",)),
    "qgemm does not fit": Odd(
        qlinear("QGemm", MATRIX, F(0.1), I8(0), ROW, *Y_INPUTS, shape=(5,)), ("do not fit together",)
    ),
    "qgemm to float": Odd(qlinear("QGemm", MATRIX, F(0.1), I8(0), ROW, shape=(4,)), ("output is float",)),
    "qgemm alpha": Odd(qlinear("QGemm", MATRIX, F(0.1), I8(0), ROW, *Y_INPUTS, shape=(4,), alpha=-1.0), ("alpha",)),
    "concat without scales": Odd(qlinear("QLinearConcat", axis=1), ("3 inputs",)),
    "concat that does not fit": Odd(_concat, ("cannot be joined",)),
}
ISLANDS: dict[str, Callable[[], ModelProto]] = {  # with operands as no integer kernel takes them
    "bias at run time": real("Gemm", quantized(MATRIX), float_input, shape=(4,)),
    "scaled bias at run time": real("Gemm", quantized(MATRIX), float_input, shape=(4,), alpha=0.5),
    "bias overflows": real("Gemm", quantized(MATRIX), np.full(3, 1e30, F), shape=(4,)),
    "constant not finite": real("Add", np.asarray([[[[np.inf]], [[1]]]], F)),
    "constant too large": real("Add", np.asarray([[[[1e9]], [[1]]]], F)),
    "factor too small": real("Mul", np.asarray([[[[1e-45]], [[1]]]], F)),
    "divisor zero": real("Div", np.asarray([[[[0]], [[1]]]], F)),
    "constant for each of many": real("Add", MANY.reshape(7, 100, 100), shape=(7, 100, 100)),
    "constant larger than the tensor": real("Sub", np.ones((3, 2, 4, 4), F), batch=1),
    "product of activations": real("MatMul", second_input((3,)), shape=(1,)),
    "matrix of many dimensions": real("MatMul", quantized(np.arange(24, dtype=I8).reshape(2, 4, 3) - 9)),
    "float weights of a convolution": real("Conv", np.linspace(-1, 2, 6, dtype=F).reshape(WEIGHTS.shape)),
    "relu on a float input": _float_relu,
}
