"""Every operator the quantizer knows: ONNX Runtime fuses it, and Onnxino computes the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from onnxino import InferenceSession
from onnxino_converter import convert
from onnxino_converter.quantize import quantize
from onnxino_tools.verify.oracle import Oracle
from tests.quantize.float_nets import after_conv, inputs, net, node, random, run, snr

W2 = {"w2": random(8, 8, 3, 3)}
RELU, SAME = node("Relu", ["c"], ["r"]), {"pads": [1, 1, 1, 1]}
SECOND = node("Conv", ["r", "w2"], ["d"], **SAME)


def unary(op: str, **attributes: Any) -> ModelProto:
    return after_conv(node(op, ["c"], ["y"], **attributes))


def clipped(low: float, high: float) -> ModelProto:
    limits = {"lo": np.float32(low), "hi": np.float32(high)}
    return after_conv(node("Clip", ["c", "lo", "hi"], ["y"]), constants=limits)


INTEGER: dict[str, ModelProto] = {
    "Conv": unary("Identity"),
    "Relu": unary("Relu"),
    "Relu6": clipped(0, 6),
    "Clip": clipped(-1, 1.5),
    "Sigmoid": unary("Sigmoid"),
    "Softmax": unary("Softmax", axis=1),
    "LeakyRelu": unary("LeakyRelu", alpha=0.1),
    "GlobalAveragePool": unary("GlobalAveragePool"),
    "ReduceMean": unary("ReduceMean", axes=[2, 3], keepdims=0),
    "AveragePool": unary("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "MaxPool": unary("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "Flatten": unary("Flatten"),
    "Transpose": unary("Transpose", perm=[0, 2, 3, 1]),
    "skip": after_conv(RELU, SECOND, node("Add", ["d", "r"], ["s"]), node("Relu", ["s"], ["y"]), constants=W2),
    "Mul": after_conv(RELU, SECOND, node("Mul", ["d", "r"], ["y"]), constants=W2),
    "Concat": after_conv(RELU, SECOND, node("Concat", ["d", "r"], ["y"], axis=1), constants=W2),
    "Add constant": after_conv(RELU, node("Add", ["r", "k"], ["y"]), constants={"k": random(1, 8, 1, 1)}),
    "Mul constant": after_conv(RELU, node("Mul", ["r", "k"], ["y"]), constants={"k": np.float32(0.5)}),
    "Swish": after_conv(node("Sigmoid", ["c"], ["s"]), node("Mul", ["c", "s"], ["y"])),
    "squeeze and excite": after_conv(
        node("GlobalAveragePool", ["c"], ["p"]),
        node("Conv", ["p", "w2"], ["q"]),
        node("Sigmoid", ["q"], ["s"]),
        node("Mul", ["c", "s"], ["y"]),
        constants={"w2": random(8, 8, 1, 1)},
    ),
    "Gemm": after_conv(
        node("Flatten", ["c"], ["f"]),
        node("Gemm", ["f", "w2", "b2"], ["y"], alpha=0.5),
        constants={"w2": random(512, 5), "b2": random(5)},
    ),
    "MatMul, Add, Softmax": after_conv(
        node("Flatten", ["c"], ["f"]),
        node("MatMul", ["f", "w2"], ["m"]),
        node("Add", ["m", "b2"], ["l"]),
        node("Softmax", ["l"], ["y"], axis=-1),
        constants={"w2": random(512, 5) * np.float32(0.02), "b2": random(5)},
    ),
    "depthwise": net(
        [
            node("Conv", ["x", "w", "b"], ["c"], group=3, **SAME),
            node("Clip", ["c", "lo", "hi"], ["r"]),
            node("Conv", ["r", "w2"], ["y"], group=2),
        ],
        {"w": random(6, 1, 3, 3), "b": random(6), "w2": random(8, 3, 1, 1), "lo": np.float32(0), "hi": np.float32(6)},
    ),
    "1-D": net(
        [
            node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1]),
            node("Relu", ["c"], ["r"]),
            node("MaxPool", ["r"], ["p"], kernel_shape=[2], strides=[2]),
            node("GlobalAveragePool", ["p"], ["y"]),
        ],
        {"w": random(8, 3, 3), "b": random(8)},
        (3, 16),
    ),
}
# ONNX Runtime has no integer kernel for these; it computes them in float32 between integers.
FLOAT: dict[str, ModelProto] = {
    "HardSigmoid": unary("HardSigmoid"),
    "Abs": unary("Abs"),
    "Elu": unary("Elu"),
    "ReduceMean": unary("ReduceMean", axes=[1]),
}


def bytes_of_both(model: ModelProto, feeds: dict[str, Any]) -> tuple[Oracle, list[Any], list[Any]]:
    """ONNX Runtime's view of a quantized model, its outputs, and those of the NumPy backend."""
    oracle = Oracle(model)
    with InferenceSession(convert(model, name="m", board=None).model) as session:
        return oracle, oracle.run(feeds), session.run(None, feeds)


@pytest.mark.parametrize("name", INTEGER)
def test_integer_kernels_and_equal_bytes(name: str) -> None:
    model = INTEGER[name]
    feeds = inputs(model)
    quantized = quantize(model, feeds)
    oracle, expected, found = bytes_of_both(quantized, feeds)
    assert oracle.float_operators() == []
    assert np.array_equal(expected[0], found[0])
    assert snr(run(model, feeds)[0], found[0]) > 30


@pytest.mark.parametrize("name", ["Relu", "Clip", "Softmax", "Gemm", "Mul constant", "MaxPool"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_int8_activations(name: str, per_channel: bool) -> None:
    """A chain has integer kernels in int8 too."""
    feeds = inputs(INTEGER[name])
    quantized = quantize(INTEGER[name], feeds, activations="int8", per_channel=per_channel)
    oracle, expected, found = bytes_of_both(quantized, feeds)
    assert oracle.float_operators() == []
    assert np.array_equal(expected[0], found[0])


@pytest.mark.parametrize("name", FLOAT)
def test_operators_without_integer_kernels_stay_between_integers(name: str) -> None:
    model = FLOAT[name]
    feeds = inputs(model)
    oracle, expected, found = bytes_of_both(quantize(model, feeds), feeds)
    assert oracle.float_operators() == [name]
    assert np.array_equal(expected[0], found[0])


def test_the_device_computes_the_same_from_int8_and_uint8() -> None:
    model = INTEGER["Gemm"]
    feeds = inputs(model)
    results = [bytes_of_both(quantize(model, feeds, activations=kind), feeds)[2][0] for kind in ("int8", "uint8")]
    assert np.array_equal(*results)


def test_several_outputs_keep_their_names() -> None:
    model = after_conv(node("Relu", ["c"], ["y"]), node("GlobalAveragePool", ["y"], ["z"]), outputs=["y", "z"])
    feeds = inputs(model)
    quantized = quantize(model, feeds)
    assert [o.name for o in quantized.graph.output] == ["y", "z"]
    _, expected, found = bytes_of_both(quantized, feeds)
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_parameters_are_shared_only_where_values_are_passed_on() -> None:
    model = after_conv(
        node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w2"], ["y"]),
        constants={"w2": random(392, 4)},
    )
    quantized = quantize(model, inputs(model))
    values = {t.name: numpy_helper.to_array(t) for t in quantized.graph.initializer}
    scales = {n.input[0]: float(values[n.input[1]]) for n in quantized.graph.node if n.op_type == "QuantizeLinear"}
    assert scales["c"] == scales["p"] == scales["f"]
    assert len(set(scales.values())) == 3  # x, c and y


def test_the_given_model_is_left_alone() -> None:
    model = INTEGER["skip"]
    before = model.SerializeToString()
    quantize(model, inputs(model), equalize=True, bias_correction=True)
    assert model.SerializeToString() == before


def test_the_same_twice() -> None:
    model = INTEGER["skip"]
    made = [quantize(model, inputs(model), method="mse").SerializeToString(deterministic=True) for _ in range(2)]
    assert made[0] == made[1]


def test_an_iterable_of_feeds_is_the_same_as_arrays() -> None:
    model = INTEGER["Relu"]
    feeds = inputs(model, 32)
    parts = ({"x": feeds["x"][k : k + 8]} for k in range(0, 32, 8))
    assert quantize(model, parts).SerializeToString() == quantize(model, feeds).SerializeToString()


def test_bias_correction_takes_the_mean_error_out() -> None:
    """Per tensor weights of channels of very different strength: the weak ones are rounded coarsely."""
    uneven = np.exp(random(8, seed=9)).reshape(8, 1, 1, 1)
    weights = {"w": random(8, 3, 3, 3) * uneven * np.float32(5), "w2": random(4, 8, 3, 3)}
    nodes = [RELU, node("Conv", ["r", "w2"], ["y"])]
    model = after_conv(*nodes, constants=weights)
    feeds = {"x": inputs(model, 64)["x"] + np.float32(1)}
    expected = run(model, feeds)[0]
    errors: list[float] = []
    for correction in (False, True):
        found = run(quantize(model, feeds, per_channel=False, bias_correction=correction), feeds)[0]
        errors.append(float(np.abs((expected - found).mean(axis=(0, 2, 3))).max()))
    assert errors[1] < errors[0] / 3


def test_bias_correction_counts_every_sample_the_same() -> None:
    """Also those of a batch that is smaller than the others: 16 and 4, or 8, 8 and 4 samples, give the same biases."""
    model = after_conv(RELU, node("Conv", ["r", "w2"], ["y"]), constants={"w2": random(4, 8, 3, 3)})
    x = inputs(model, 20)["x"]
    x[16:] *= np.float32(3)  # another mean error than that of the others
    biases: list[list[Any]] = []
    for parts in ([x], [x[:8], x[8:16], x[16:]]):
        made = quantize(model, ({"x": part} for part in parts), per_channel=False, bias_correction=True)
        arrays = [numpy_helper.to_array(tensor) for tensor in made.graph.initializer]
        biases.append([array for array in arrays if array.dtype == np.int32 and array.ndim == 1])
    assert [len(array) for array in biases[0]] == [8, 4]
    for one, other in zip(*biases, strict=True):
        assert np.abs(one - other).max() <= 1  # the order of float additions differs
