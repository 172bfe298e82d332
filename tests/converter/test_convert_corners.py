"""Corners where a converter is easily wrong without a word: scales of outputs, dead readers, padding, overflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_net import Net, Q, Tensor, ort_session

from onnxino import InferenceSession, load_model
from onnxino.errors import ConvertError
from onnxino.schema.model import Exactness
from onnxino_converter import convert

A, B = Q(0.5), Q(0.25, 5)


def outputs(net: Net, feeds: dict[str, Any] | None = None) -> tuple[list[Any], list[Any], set[Exactness]]:
    """What ONNX Runtime gives, what Onnxino gives, and the exactness of the operators."""
    model = net.model()
    data = net.random_feeds(1) if feeds is None else feeds
    converted = convert(model)
    with InferenceSession(converted.model) as session:
        found = session.run(None, data)
    return ort_session(model).run(None, data), found, {op.exactness for op in load_model(converted.model).operators}


def _integer_net() -> tuple[Net, Tensor]:
    net = Net(ports="quantized", batch=1)
    return net, net.input((3, 4), A)


def _float_output(net: Net, name: str) -> None:
    net.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))


@pytest.mark.parametrize("kind", ["Transpose", "Reshape"])
def test_scale_behind_movement_of_an_integer_input(kind: str) -> None:
    net, x = _integer_net()
    if kind == "Transpose":
        moved = net.op(kind, [net.dq(x)], perm=[0, 2, 1])
    else:
        moved = net.op(kind, [net.dq(x), net.const(np.asarray([1, 12], np.int64))])
    _float_output(net, net.dq(net.quantize(moved, A)))
    expected, found, _ = outputs(net)
    np.testing.assert_array_equal(expected[0], found[0])


@pytest.mark.parametrize("perm", [[0, 2, 1], [0, 1, 2]])
@pytest.mark.parametrize("first", [True, False])
def test_two_scales_of_one_tensor(first: bool, perm: list[int]) -> None:
    """One output reads the moved input, the other the moved or the plain one, with other parameters."""
    net, x = _integer_net()
    moved = net.op("Transpose", [x.name], perm=perm)
    _float_output(net, net.dq(Tensor(moved, A)))
    _float_output(net, net.dq(Tensor(moved if first else x.name, B)))
    expected, found, _ = outputs(net)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_scale_behind_a_table_that_changes_no_byte() -> None:
    """Requantization with zero points that keep each byte, then a Transpose: both fall away, the scale may not."""
    net, x = _integer_net()
    doubled = net.quantize(net.op("Mul", [net.dq(x), net.const(np.float32(2))]), Q(1.0))
    _float_output(net, net.dq(Tensor(net.op("Transpose", [doubled.name], perm=[0, 2, 1]), Q(1.0))))
    expected, found, _ = outputs(net)
    np.testing.assert_array_equal(expected[0], found[0])


def test_a_dead_reader_keeps_a_tensor_int8() -> None:
    """ONNX Runtime computes this softmax of one class in uint8, and overflows, unless a second node reads its input."""
    for dead in (False, True):
        net = Net(opset=13, batch=1)
        x = net.dq(net.input((4, 1, 8), Q(0.0278, 3)))
        net.output(net.quantize(net.op("Softmax", [x], axis=2), Q(0.0031976323, -59)))
        if dead:
            net.op("GlobalAveragePool", [x])
        net.outputs[0].type.tensor_type.ClearField("shape")
        expected, found, _ = outputs(net)
        np.testing.assert_array_equal(expected[0], found[0])


def _unoptimized(net: Net) -> Any:
    """ONNX Runtime's optimizer makes an invalid graph of an AveragePool with dilations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(net.model().SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("size", [8, 9, 10, 11])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize(("op", "opset"), [("MaxPool", 12), ("AveragePool", 19)])
def test_same_padding_with_dilation(op: str, opset: int, kernel: int, size: int, mode: str) -> None:
    net = Net(opset=opset, batch=1)
    x = net.dq(net.input((2, size, 5), A))
    attributes = {"kernel_shape": [kernel, 1], "strides": [2, 1], "dilations": [2, 1], "auto_pad": mode}
    net.output(net.quantize(net.op(op, [x], **attributes), A))
    data = net.random_feeds(1)
    with InferenceSession(convert(net.model()).model) as session:
        found = session.run(None, data)[0]
    expected = _unoptimized(net).run(None, data)[0]
    assert expected.shape == found.shape
    assert np.abs(expected - found).max() <= (0.5 if op == "AveragePool" else 0)  # computed in float32 there


@pytest.mark.parametrize(
    ("batch", "declared", "fits"),
    [
        (1, [1, 3, 4], True),
        (1, ["n", 3, "w"], True),
        (1, [1, 4, 4], False),
        (1, [2, 3, 4], False),
        (1, [1, 12], False),
        ("N", [1, 3, 4], True),
        ("N", ["N", 3, 5], False),
    ],
)
def test_declared_output_shape(batch: int | str, declared: list[int | str], fits: bool) -> None:
    net = Net(batch=batch)
    net.output(net.quantize(net.op("Relu", [net.dq(net.input((3, 4), A))]), B))
    net.outputs[0] = helper.make_tensor_value_info(net.outputs[0].name, TensorProto.FLOAT, declared)
    if fits:
        convert(net.model())
        return
    with pytest.raises(ConvertError, match=r"is declared as .*, its operators compute") as caught:
        convert(net.model())
    assert "infer_shapes" in (caught.value.hint or "")


def test_declared_shape_of_a_pooling_that_rounds_up() -> None:
    """The declaration is what onnx.shape_inference says: 4 rows, where ONNX Runtime computes 3."""
    net = Net(batch=1)
    x = net.dq(net.input((2, 5, 4), A))
    attributes = {"kernel_shape": [1, 1], "strides": [2, 1], "pads": [0, 0, 0, 0], "ceil_mode": 1}
    net.output(net.quantize(net.op("MaxPool", [x], **attributes), A))
    net.outputs[0] = helper.make_tensor_value_info(net.outputs[0].name, TensorProto.FLOAT, [1, 2, 4, 4])
    expected, found, _ = outputs(net)
    assert found[0].shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(expected[0], found[0])


@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize("scale", [1 / 256, 1 / 500, 1 / 600, 1 / 3000, 1e-6, 1e-30, 1e-42])
@pytest.mark.parametrize("classes", [2, 4])
def test_softmax_is_right_where_the_table_would_overflow(classes: int, scale: float, unsigned: bool) -> None:
    """Against the true value: ONNX Runtime's integer kernel gives its zero point there."""
    net = Net(opset=13, unsigned=unsigned, batch=1)
    net.output(net.quantize(net.op("Softmax", [net.dq(net.input((8, classes), Q(0.05)))], axis=2), Q(scale, -128)))
    data = net.random_feeds(1)
    model = convert(net.model()).model
    with InferenceSession(model) as session:
        found = session.run(None, data)[0]
    x = np.rint(np.clip(data["input1"] / np.float32(0.05), -128, 127)) * np.float64(np.float32(0.05))
    true = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    step = np.float64(np.float32(scale))
    steps = np.clip(np.rint(true / step), 0, 255)
    assert np.abs(np.rint(found / step) - steps).max() <= 1


@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize("zero", [-128, -59, 100])
@pytest.mark.parametrize("scale", [0.9, 0.4, 0.0077, 0.0041])
def test_softmax_of_one_class(scale: float, zero: int, unsigned: bool) -> None:
    net = Net(opset=13, unsigned=unsigned, batch=1)
    net.output(net.quantize(net.op("Softmax", [net.dq(net.input((8, 1), A))], axis=2), Q(scale, zero)))
    expected, found, exactness = outputs(net)
    assert exactness == {Exactness.Exact}
    np.testing.assert_array_equal(expected[0], found[0])


def _product(scale: float) -> Net:
    net = Net(batch=1)
    a, b = net.input((4,), Q(scale)), net.input((4,), Q(scale))
    net.output(net.quantize(net.op("Mul", [net.dq(a), net.dq(b)]), A))
    return net


def _sum(scale: float, result: float) -> Net:
    net = Net(batch=1)
    a, b = net.input((4,), Q(scale)), net.input((4,), Q(scale))
    net.output(net.quantize(net.op("Add", [net.dq(a), net.dq(b)]), Q(result)))
    return net


@pytest.mark.parametrize("net", [_product(1e-30), _product(1e30), _sum(1e-30, 1e20), _sum(1e30, 1e-20)])
def test_factors_that_underflow_or_overflow_run_in_float32(net: Net) -> None:
    """No float32 factor exists for the integer kernel (0 or infinity): the values are computed as the model states."""
    model, feeds = net.model(), net.random_feeds(1)
    converted = convert(model)
    kernels = [type(op.kernel).__name__ for op in load_model(converted.model).operators]
    assert kernels == ["Dequantize", "Dequantize", "FloatBinary", "Quantize"]
    with InferenceSession(converted.model) as session:
        found = session.run(None, feeds)
    np.testing.assert_array_equal(found[0], ort_session(model, optimize=False).run(None, feeds)[0])


def test_factors_of_an_integer_operator_that_underflow_are_refused() -> None:
    """QLinearAdd states its integer arithmetic, for which there is no factor."""
    net = Net(batch=1)
    small, large = Q(1e-30), Q(1e20)
    a = [net.input((4,), small).name, *net.params(small)]
    net.output(Tensor(net.op("QLinearAdd", [*a, *a, *net.params(large)], domain="com.microsoft"), large))
    with pytest.raises(ConvertError, match=r"input scale / output scale is 0.0") as caught:
        convert(net.model())
    assert "quantize again" in (caught.value.hint or "")


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_window_in_the_padding_alone_is_refused(op: str) -> None:
    net = Net(opset=19, batch=1)
    x = net.dq(net.input((2, 1, 4), A))
    attributes = {"kernel_shape": [2, 1], "dilations": [2, 1], "pads": [1, 0, 1, 0]}
    net.output(net.quantize(net.op(op, [x], **attributes), A))
    with pytest.raises(ConvertError, match=rf"\({op}\): a window .* lies outside of the image, along the height of 1"):
        convert(net.model())
