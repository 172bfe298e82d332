"""Differences between opsets, and the things that exporters leave around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_net import Net, Q, ort_session, steps
from patterns import X, Y, conv, gemm, moved, spatial

from onnxino import InferenceSession, load_model
from onnxino_converter import convert

Build = Callable[[Net], None]


def agree(net: Net, rows: int = 16) -> None:
    """Zero or one step between ONNX Runtime and the converted model."""
    model = net.model()
    given = net.random_feeds(rows)
    expected = ort_session(model).run(None, given)
    converted = convert(model)
    loaded = load_model(converted.model)
    with InferenceSession(converted.model) as session:
        for port, wanted, found in zip(loaded.outputs, expected, session.run(None, given), strict=True):
            assert steps(wanted, found, loaded.tensors[port.tensor].scale).max() <= 1


@pytest.mark.parametrize("opset", range(10, 26))
def test_every_opset(opset: int) -> None:
    net = Net(opset=opset)
    conv(net, opset >= 13, pads=[1, 1, 1, 1])
    assert convert(net.model()).model
    agree(net)


def _clip_attributes(net: Net) -> None:
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Clip", [net.dq(x)], min=-0.5, max=1.0), Y))


def _softmax(shape: tuple[int, ...], **attributes: Any) -> Build:
    def build(net: Net) -> None:
        q = Q(0.1, 4)
        x = net.input(shape, q)
        net.output(net.quantize(net.op("Softmax", [net.dq(x)], **attributes), Q(1 / 256, -128)))

    return build


def _reduce_mean_input(net: Net) -> None:
    x = net.input((5, 8, 9), X)
    net.output(net.quantize(net.op("ReduceMean", [net.dq(x), net.const(np.int64([2, 3]))], keepdims=1), Y))


def _output_dtype(net: Net) -> None:
    x = net.input((4,), X)
    made = net.op("QuantizeLinear", [net.op("Neg", [net.dq(x)]), net.const(np.float32(0.1))], output_dtype=3)
    real = net.op("DequantizeLinear", [made, net.const(np.float32(0.1))])
    net.outputs.append(helper.make_tensor_value_info(real, TensorProto.FLOAT, None))


def _no_zero_point(net: Net) -> None:
    x = net.input((4,), X)
    made = net.op("QuantizeLinear", [net.op("Relu", [net.dq(x)]), net.const(np.float32(0.02))])
    real = net.op("DequantizeLinear", [made, net.const(np.float32(0.02))])
    net.outputs.append(helper.make_tensor_value_info(real, TensorProto.FLOAT, None))


def _constants_as_nodes(net: Net) -> None:
    """Scales and zero points out of Constant, Identity and Cast; shapes computed by Shape, Gather and Concat."""
    x = net.input((6, 4), X)
    scale = net.op("Identity", [net.op("Constant", [], value_float=X.scale)])
    zero = net.op("Cast", [net.op("Constant", [], value_int=X.zero)], to=TensorProto.INT8)
    real = net.op("DequantizeLinear", [x.name, scale, zero])
    rows = net.op("Gather", [net.op("Shape", [real]), net.const(np.int64([1]))])
    first = net.op(
        "ConstantOfShape", [net.const(np.int64([1]))], value=helper.make_tensor("v", TensorProto.INT64, [1], [-1])
    )
    shape = net.op("Concat", [first, rows, net.const(np.int64([2, 2]))], axis=0)
    net.output(net.quantize(net.op("Relu", [net.op("Reshape", [real, shape])]), Y))


def _dropout(net: Net) -> None:
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Dropout", [net.op("Identity", [net.op("Relu", [net.dq(x)])])]), Y))


def _several_ports(net: Net) -> None:
    a, b = net.input((4, 6, 6), X), net.input((4, 6, 6), Y)
    net.output(net.quantize(net.op("Add", [net.dq(a), net.dq(b)]), Y))
    net.output(net.quantize(net.op("MaxPool", [net.dq(a)], kernel_shape=[2, 2]), X))
    net.output(b)


def _dense_after_convolution(net: Net) -> None:
    """The flattened tensor is NCHW in ONNX: the weights take up the difference."""
    x = net.input((3, 6, 5), X)
    weights = net.dq_const(np.random.default_rng(0).integers(-99, 99, (4, 3, 3, 3)).astype(np.int8), np.float32(0.01))
    made = net.quantize(net.op("Conv", [net.dq(x), weights]), Y)
    flat = net.op("Flatten", [net.dq(made)], axis=1)
    dense = net.dq_const(np.random.default_rng(1).integers(-99, 99, (48, 7)).astype(np.int8), np.float32(0.01))
    net.output(net.quantize(net.op("MatMul", [flat, dense]), Q(0.2, 3)))


def _nhwc_with_transposes(net: Net) -> None:
    """What tf2onnx writes: NHWC ports, Transposes around NCHW operators."""
    x = net.input((6, 5, 3), X)
    inner = net.op("Transpose", [net.dq(x)], perm=[0, 3, 1, 2])
    weights = net.dq_const(np.random.default_rng(0).integers(-99, 99, (4, 3, 3, 3)).astype(np.int8), np.float32(0.01))
    made = net.dq(net.quantize(net.op("Conv", [inner, weights], pads=[1, 1, 1, 1]), Y))
    scalars = net.op("Mul", [net.dq(net.quantize(net.op("Sigmoid", [made]), Q(1 / 256, -128))), made])
    back = net.op("Transpose", [net.dq(net.quantize(scalars, Q(0.03, -100)))], perm=[0, 2, 3, 1])
    net.output(net.quantize(back, Q(0.03, -100)))


def _movement_at_the_borders(net: Net) -> None:
    """The float input is transposed and reshaped before it is quantized, the output after it was dequantized."""
    net.inputs.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 6, 5, 3]))
    net.feeds["image"] = ([6, 5, 3], X)
    turned = net.op("Transpose", ["image"], perm=[0, 3, 1, 2])
    x = net.quantize(net.op("Reshape", [turned, net.const(np.int64([-1, 3, 6, 5]))]), X)
    weights = net.dq_const(np.random.default_rng(0).integers(-99, 99, (4, 3, 3, 3)).astype(np.int8), np.float32(0.01))
    made = net.dq(net.quantize(net.op("Conv", [net.dq(x), weights]), Y))
    real = net.op("Transpose", [net.op("Unsqueeze", [made, net.const(np.int64([2]))])], perm=[0, 3, 4, 2, 1])
    net.outputs.append(helper.make_tensor_value_info(real, TensorProto.FLOAT, None))


def _one_dimension(net: Net) -> None:
    """Convolution, pool and dense layer over a sequence."""
    x = net.input((3, 40), X)
    weights = net.dq_const(np.random.default_rng(0).integers(-99, 99, (4, 3, 5)).astype(np.int8), np.float32(0.01))
    made = net.dq(net.quantize(net.op("Conv", [net.dq(x), weights], pads=[2, 2]), Y))
    net.output(net.quantize(net.op("MaxPool", [made], kernel_shape=[2], strides=[2]), Y))


CASES: dict[str, tuple[int, Build]] = {
    "clip attributes": (10, _clip_attributes),
    "softmax opset 11": (11, _softmax((3, 4, 5), axis=2)),
    "softmax opset 12 default": (12, _softmax((3, 4))),
    "softmax opset 13": (13, _softmax((3, 4), axis=1)),
    "reduce mean axes attribute": (13, lambda n: spatial(n, "ReduceMean", axes=[2, 3])),
    "reduce mean axes input": (18, _reduce_mean_input),
    "squeeze attribute": (11, lambda n: moved(n, "Squeeze", True, axes=[1])),
    "unsqueeze attribute": (11, lambda n: moved(n, "Unsqueeze", True, axes=[-1])),
    "squeeze input": (13, lambda n: moved(n, "Squeeze", True, [-3])),
    "reshape copies": (14, lambda n: moved(n, "Reshape", True, [0, 0, -1])),
    "flatten negative axis": (13, lambda n: moved(n, "Flatten", True, axis=-3)),
    "output_dtype": (21, _output_dtype),
    "no zero point": (13, _no_zero_point),
    "constants as nodes": (17, _constants_as_nodes),
    "dropout": (13, _dropout),
    "several ports": (17, _several_ports),
    "dense after convolution": (17, _dense_after_convolution),
    "nhwc with transposes": (17, _nhwc_with_transposes),
    "movement at the borders": (17, _movement_at_the_borders),
    "one dimension": (17, _one_dimension),
    "gemm": (13, lambda n: gemm(n, False)),
}


@pytest.mark.parametrize("ports", ["float", "quantized"])
@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, unsigned: bool, ports: str) -> None:
    opset, build = CASES[name]
    if name in ("output_dtype", "constants as nodes") and unsigned:
        pytest.skip("the case is int8")
    if name == "movement at the borders" and ports != "float":
        pytest.skip("the case has float ports")
    net = Net(opset=opset, unsigned=unsigned, ports=ports)
    build(net)
    agree(net)


@pytest.mark.parametrize(
    "name", ["dense after convolution", "nhwc with transposes", "movement at the borders", "one dimension"]
)
def test_layout_leaves_no_transposes(name: str) -> None:
    opset, build = CASES[name]
    net = Net(opset=opset)
    build(net)
    kernels = [operator["kernel"] for operator in convert(net.model()).report["operators"]]
    assert "Transpose" not in kernels


def test_initializers_listed_as_inputs() -> None:
    net = Net()
    conv(net, False)
    model = net.model()
    for tensor in net.initializers:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    loaded = load_model(convert(model).model)
    assert [port.name for port in loaded.inputs] == ["input1"]


@pytest.mark.parametrize(
    ("batch", "shape", "names"),
    [("N", [-1, 4], ["N", ""]), (1, [1, 4], None), (3, [3, 4], None), ("", [-1, 4], ["", ""])],
)
def test_batch(batch: int | str, shape: list[int], names: list[str] | None) -> None:
    net = Net(batch=batch)
    x = net.input((4,), X)
    net.output(net.quantize(net.op("Relu", [net.dq(x)]), Y))
    port = load_model(convert(net.model()).model).inputs[0]
    assert port.shape.tolist() == shape
    assert port.dimension_names == names


def test_fixed_batch_runs() -> None:
    net = Net(batch=3)
    conv(net, True)
    agree(net, rows=3)


def test_unused_inputs_stay() -> None:
    net = Net()
    x = net.input((4,), X)
    net.inputs.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1, 2]))
    net.output(net.quantize(net.op("Relu", [net.dq(x)]), Y))
    with InferenceSession(convert(net.model()).model) as session:
        assert [port.name for port in session.get_inputs()] == ["input1", "unused"]


def test_an_input_that_is_an_output() -> None:
    net = Net(ports="quantized")
    net.output(net.input((4,), X))
    net.nodes.append(helper.make_node("Identity", ["input1"], ["same"]))
    net.outputs[0].name = "same"
    data = np.int8([[1, -2, 3, 127]])
    with InferenceSession(convert(net.model()).model) as session:
        assert session.run(None, {"input1": data})[0].tolist() == data.tolist()


def test_nodes_in_any_order() -> None:
    net = Net()
    conv(net, False)
    model = net.model()
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    assert convert(model, name="m").report["macs"] == convert(net.model(), name="m").report["macs"]
