"""Models that cannot be converted, each with what its refusal must say; and some odd ones that can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_net import Net, Q

X, Y = Q(0.02, -3), Q(0.05, 7)


@dataclass(frozen=True)
class Odd:
    """words: all of them stand in the message; hint: stands in the hint ("" for any)."""

    build: Callable[[], ModelProto]
    words: tuple[str, ...]
    hint: str = ""


def small(**options: Any) -> ModelProto:
    """A valid model: one convolution."""
    net = Net(**options)
    x = net.input((2, 4, 4), X)
    weights = net.dq_const(np.ones((3, 2, 1, 1), np.int8), np.float32(0.01))
    net.output(net.quantize(net.op("Conv", [net.dq(x), weights]), Y))
    return net.model()


def changed(change: Callable[[ModelProto], None], **options: Any) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        model = small(**options)
        change(model)
        return model

    return build


def node(model: ModelProto, kind: str) -> Any:
    return next(n for n in model.graph.node if n.op_type == kind)


def constant(model: ModelProto, name: str, array: Any) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(array), name))


def with_scale(value: float) -> Callable[[], ModelProto]:
    return changed(lambda m: constant(m, node(m, "QuantizeLinear").input[1], np.float32(value)))


def _attribute(name: str, value: Any) -> Callable[[], ModelProto]:
    return changed(lambda m: node(m, "Conv").attribute.append(helper.make_attribute(name, value)))


def _drop_initializer(model: ModelProto) -> None:
    name = node(model, "Conv").input[1]
    source = next(n for n in model.graph.node if name in n.output)
    gone = source.input[0]
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.name == gone:
            del model.graph.initializer[index]
            return


def _dimension(axis: int, value: int | str) -> Callable[[], ModelProto]:
    def change(model: ModelProto) -> None:
        dimension = model.graph.input[0].type.tensor_type.shape.dim[axis]
        dimension.Clear()
        if isinstance(value, int):
            dimension.dim_value = value
        else:
            dimension.dim_param = value

    return changed(change)


def _unnamed(model: ModelProto) -> None:
    conv = node(model, "Conv")
    conv.name = ""
    conv.op_type = "Einsum"


def _cycle(model: ModelProto) -> None:
    quantize, conv = model.graph.node[0], node(model, "Conv")
    quantize.input[0] = conv.output[0]


def _twice(model: ModelProto) -> None:
    model.graph.node.append(
        helper.make_node("Identity", [node(model, "Conv").input[0]], [node(model, "Conv").output[0]])
    )


def _damaged(model: ModelProto) -> None:
    model.graph.initializer[0].raw_data = b"\0"


def _sparse(model: ModelProto) -> None:
    tensor = helper.make_sparse_tensor(
        helper.make_tensor("sparse", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("at", TensorProto.INT64, [1], [0]),
        [4],
    )
    model.graph.sparse_initializer.append(tensor)


def _float_model() -> ModelProto:
    net = Net()
    net.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4]))
    made = net.op("Conv", ["x", net.const(np.ones((3, 2, 1, 1), np.float32))])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, None))
    return net.model()


def float_between() -> ModelProto:
    net = Net()
    x = net.input((2, 4, 4), X)
    first = net.op("Conv", [net.dq(x), net.dq_const(np.ones((2, 2, 1, 1), np.int8), np.float32(0.01))])
    second = net.op("Conv", [first, net.dq_const(np.ones((2, 2, 1, 1), np.int8), np.float32(0.01))])
    net.output(net.quantize(second, Y))
    return net.model()


def float_output() -> ModelProto:
    net = Net()
    x = net.input((2, 4, 4), X)
    made = net.op("Conv", [net.dq(x), net.dq_const(np.ones((2, 2, 1, 1), np.int8), np.float32(0.01))])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, None))
    return net.model()


def two_quantizations() -> ModelProto:
    net = Net()
    x = net.input((2, 4, 4), X)
    other = net.quantize(net.inputs[0].name, Q(0.03, 1))
    net.output(net.quantize(net.op("Add", [net.dq(x), net.dq(other)]), Y))
    return net.model()


def weights(
    array: Any, zero: Any = None, scale: Any = 0.01, axis: int | None = None, unsigned: bool = False
) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net(unsigned=unsigned)
        x = net.input((2, 4, 4), X)
        constant = net.dq_const(array, np.asarray(scale, np.float32), axis, zero)
        net.output(net.quantize(net.op("Conv", [net.dq(x), constant]), Y))
        return net.model()

    return build


def dense(second: Callable[[Net], str], **attributes: Any) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net()
        x = net.input((4,), X)
        net.output(net.quantize(net.op("Gemm", [net.dq(x), second(net)], **attributes), Y))
        return net.model()

    return build


def _of_type(dtype: Any) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net(opset=21)
        x = net.input((2, 4, 4), X)
        parameters = [net.const(np.float32(0.1)), net.const(np.asarray(0, dtype))]
        quantized = net.op("QuantizeLinear", [net.op("Relu", [net.dq(x)]), *parameters])
        net.outputs.append(helper.make_tensor_value_info(quantized, TensorProto.INT16, None))
        return net.model()

    return build


def _per_channel_activation() -> ModelProto:
    net = Net()
    x = net.input((2, 4, 4), X)
    parameters = [net.const(np.float32([0.1, 0.2])), net.const(np.zeros(2, np.int8))]
    made = net.op("QuantizeLinear", [net.op("Relu", [net.dq(x)]), *parameters], axis=1)
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.INT8, None))
    return net.model()


def _run_time_scale() -> ModelProto:
    net = Net()
    x = net.input((2, 4, 4), X)
    net.inputs.append(helper.make_tensor_value_info("factor", TensorProto.FLOAT, []))
    net.inputs[-1].type.tensor_type.shape.dim.add().dim_value = 1
    made = net.op("QuantizeLinear", [net.op("Relu", [net.dq(x)]), "factor", net.const(np.int8(0))])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.INT8, None))
    return net.model()


def _custom(domain: str, kind: str) -> Callable[[], ModelProto]:
    def change(model: ModelProto) -> None:
        conv = node(model, "Conv")
        conv.domain, conv.op_type = domain, kind
        model.opset_import.append(helper.make_opsetid(domain, 1)) if domain else None

    return changed(change)


def _bias(scale: float) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net()
        x = net.input((2, 4, 4), X)
        weights = net.dq_const(np.ones((3, 2, 1, 1), np.int8), np.float32(0.01))
        bias = net.dq_const(np.ones(3, np.int32), np.float32(scale))
        net.output(net.quantize(net.op("Conv", [net.dq(x), weights, bias]), Y))
        return net.model()

    return build


def pool(kind: str, shape: tuple[int, ...] = (2, 4, 4), **attributes: Any) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net()
        x = net.input(shape, X)
        net.output(net.quantize(net.op(kind, [net.dq(x)], **attributes), Y))
        return net.model()

    return build


def _resize(mode: str) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net()
        x = net.input((2, 4, 4), X)
        made = net.op("Resize", [net.dq(x), "", net.const(np.float32([1, 1, 2, 2]))], mode=mode)
        net.output(net.quantize(made, Y))
        return net.model()

    return build


def _cast(target: int) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        net = Net()
        made = net.op("Cast", [net.dq(net.input((4,), X))], to=target)
        net.outputs.append(helper.make_tensor_value_info(made, target, None))
        return net.model()

    return build


def _normalization() -> ModelProto:
    net = Net()
    stats = [net.const(np.ones(2, np.float32)) for _ in range(4)]
    made = net.op("BatchNormalization", [net.dq(net.input((2, 4, 4), X)), *stats], training_mode=1)
    net.output(net.quantize(made, Y))
    return net.model()


def _gather() -> ModelProto:
    net = Net()
    made = net.op("Gather", [net.dq(net.input((2, 4, 4), X)), net.const(np.int64(9))], axis=1)
    net.output(net.quantize(made, Y))
    return net.model()


def _qlinear_type() -> ModelProto:
    net = Net(style="qop")
    x = net.input((2, 4, 4), X)
    weights = [net.const(np.ones((3, 2, 1, 1), np.int8)), net.const(np.float32(0.1)), net.const(np.uint8(0))]
    made = net.op("QLinearConv", [x.name, *net.params(X), *weights, *net.params(Y)])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.INT8, None))
    return net.model()


ONES = np.ones((3, 2, 1, 1), np.int8)
ODD: dict[str, Odd] = {
    "no opset": Odd(changed(lambda m: m.ClearField("opset_import")), ("does not say which opset",), "export"),
    "old opset": Odd(lambda: small(opset=9), ("opset 9", "10 to 25"), "convert_version"),
    "new opset": Odd(changed(lambda m: setattr(m.opset_import[0], "version", 99)), ("opset 99", "10 to 25")),
    "no nodes": Odd(changed(lambda m: m.graph.ClearField("node")), ("no nodes",)),
    "no outputs": Odd(changed(lambda m: m.graph.ClearField("output")), ("no outputs",)),
    "unknown output": Odd(changed(lambda m: setattr(m.graph.output[0], "name", "y")), ("'y'", "computed by no node")),
    "missing initializer": Odd(
        changed(_drop_initializer), ("(DequantizeLinear)", "no initializer"), "checker.check_model("
    ),
    "damaged initializer": Odd(changed(_damaged), ("initializer", "damaged"), "checker.check_model("),
    "sparse initializer": Odd(changed(_sparse), ("'sparse'", "sparse")),
    "defined twice": Odd(changed(_twice), ("defined twice",), "checker.check_model("),
    "cycle": Odd(changed(_cycle), ("cycle",)),
    "unsupported": Odd(_custom("", "Einsum"), ("(Einsum)", "not supported", "docs/operators.md lists those that are")),
    "unsupported, no name": Odd(changed(_unnamed), ("node Einsum that makes 'conv",)),
    "custom domain": Odd(_custom("my.ops", "Magic"), ("my.ops.Magic", "not supported"), "my.ops"),
    "dynamic quantization": Odd(_custom("", "DynamicQuantizeLinear"), ("DynamicQuantizeLinear",), "dynamically"),
    "dynamic height": Odd(_dimension(2, "height"), ("input1", "dimension 2", "height"), "make_dynamic_shape_fixed"),
    "empty dimension": Odd(_dimension(2, 0), ("dimension 2 is 0",)),
    "no rank": Odd(changed(lambda m: m.graph.input[0].type.tensor_type.shape.ClearField("dim")), ("0 dimensions",)),
    "no shape": Odd(changed(lambda m: m.graph.input[0].type.tensor_type.ClearField("shape")), ("no shape",)),
    "sequence input": Odd(
        changed(lambda m: m.graph.input[0].type.sequence_type.elem_type.tensor_type.SetInParent()), ("not a tensor",)
    ),
    "double input": Odd(changed(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 11)), ("float64",)),
    "unknown type": Odd(changed(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 99)), ("99",)),
    "scale not a number": Odd(with_scale(float("nan")), ("(QuantizeLinear)", "nan"), "quantize again"),
    "scale zero": Odd(with_scale(0.0), ("scale is 0.0",)),
    "scale negative": Odd(with_scale(-1.0), ("scale is -1.0",)),
    "scale infinite": Odd(with_scale(float("inf")), ("scale is inf",)),
    "scale tiny": Odd(weights(ONES, scale=1e-45), ("not a finite float32 above 0",)),
    "scale at run time": Odd(_run_time_scale, ("'factor'", "computed at run time")),
    "int16": Odd(_of_type(np.int16), ("int16", "int8 and uint8"), "QInt8"),
    "activation per channel": Odd(_per_channel_activation, ("int8", "2 scales"), "per tensor"),
    "float model": Odd(_float_model, ("not quantized", "bytes of flash", "bytes of RAM"), "--float"),
    "float model, calibration": Odd(_float_model, ("in float32",), "--calibrate"),
    "QONNX": Odd(_custom("qonnx.custom_op.general", "Quant"), ("qonnx.custom_op.general.Quant",), "QCDQ"),
    "dynamic product": Odd(_custom("", "MatMulInteger"), ("(MatMulInteger)",), "quantize_static"),
    "resize linear": Odd(_resize("linear"), ("(Resize)", "mode is 'linear'"), "nearest"),
    "cast to int32": Odd(_cast(TensorProto.INT32), ("(Cast)", "float32 to int32", "at run time")),
    "batch norm in training": Odd(_normalization, ("(BatchNormalization)", "training_mode"), "model.eval()"),
    "gather outside": Odd(_gather, ("(Gather)", "indices reach from 9 to 9", "has 2")),
    "bias scale": Odd(_bias(0.5), ("bias scale 0.5", "0.0002")),
    "weights at run time": Odd(dense(lambda n: n.dq(n.input((3,), X)), transB=0), ("do not fit together",)),
    "kernel larger than image": Odd(pool("MaxPool", kernel_shape=[9, 9]), ("larger than the padded input",)),
    "kernel missing": Odd(pool("MaxPool"), ("kernel_shape is missing",)),
    "kernel of one size": Odd(pool("AveragePool", kernel_shape=[2]), ("kernel_shape is [2]",)),
    "pads as large as kernel": Odd(pool("MaxPool", kernel_shape=[2, 2], pads=[2, 0, 0, 0]), ("pads [2, 0, 0, 0]",)),
    "pool of volumes": Odd(pool("MaxPool", (2, 8, 8, 8), kernel_shape=[2, 2, 2]), ("5 dimensions", "3 or 4")),
    "pool of rows": Odd(pool("MaxPool", (8,), kernel_shape=[2]), ("2 dimensions",)),
    "pads of one dimension": Odd(pool("MaxPool", (2, 8), kernel_shape=[2], pads=[1]), ("pads are [1]",)),
    "strides zero": Odd(_attribute("strides", [0, 1]), ("strides is [0, 1]",)),
    "strides as text": Odd(_attribute("strides", "2"), ("strides",)),
    "pads negative": Odd(_attribute("pads", [-1, 0, 0, 0]), ("pads are [-1, 0, 0, 0]",)),
    "group does not divide": Odd(_attribute("group", 3), ("group 3",)),
    "auto_pad unknown": Odd(_attribute("auto_pad", "SOME"), ("auto_pad is SOME",)),
    "zero point of another type": Odd(_qlinear_type, ("(QLinearConv)", "int8", "uint8")),
    "axis out of range": Odd(pool("Softmax", axis=7), ("axis 7",)),
    "perm wrong": Odd(pool("Transpose", perm=[0, 1, 1, 2]), ("perm [0, 1, 1, 2]",)),
}
