"""What the quantizer refuses, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxino.errors import ConvertError, InputError
from onnxino_converter.quantize import quantize
from tests.quantize.float_nets import after_conv, inputs, net, node, random

MODEL = after_conv(node("Relu", ["c"], ["y"]))
GOOD = inputs(MODEL, 4)["x"]


def damaged(value: float) -> Any:
    made = GOOD.copy()
    made[1, 2, 3, 4] = value
    return made


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        ({"image": GOOD}, ["for 'image'", "inputs are 'x'"]),
        ({}, ["for nothing", "'x'"]),
        ([], ["no calibration data"]),
        ({"x": GOOD[:0]}, ["'x' are empty", "[0, 3, 8, 8]"]),
        ({"x": GOOD[0]}, ["shape [3, 8, 8]", "[?, 3, 8, 8]"]),
        ({"x": GOOD.transpose(0, 2, 3, 1)}, ["shape [4, 8, 8, 3]", "[?, 3, 8, 8]"]),
        ({"x": (GOOD * 10).astype(np.uint8)}, ["uint8", "float32"]),
        ({"x": np.array(["a"] * 4)}, ["shape [4]"]),
        ({"x": damaged(np.nan)}, ["1 values that are not finite"]),
        ({"x": damaged(np.inf)}, ["1 values that are not finite"]),
        ([{"x": GOOD}, {"y": GOOD}], ["for 'y'"]),
        (None, ["of type NoneType", "by input name"]),
        ("data.npz", ["of type str"]),
        ([1.0, 2.0], ["of type float"]),
        (GOOD[0], ["shape [3, 8, 8]"]),
    ],
)
def test_calibration_data_that_do_not_fit(data: Any, messages: list[str]) -> None:
    with pytest.raises(InputError) as error:
        quantize(MODEL, data)
    assert all(message in error.value.message for message in messages), error.value.message
    assert error.value.hint


def test_arrays_alone_for_a_model_of_one_input() -> None:
    expected = quantize(MODEL, {"x": GOOD}).SerializeToString(deterministic=True)
    for data in (GOOD, [GOOD], (part for part in (GOOD[:2], GOOD[2:]))):
        assert quantize(MODEL, data).SerializeToString(deterministic=True) == expected
    two = net([node("Add", ["x", "z"], ["y"])], {}, (4,))
    second = two.graph.input.add()
    second.CopyFrom(two.graph.input[0])
    second.name = "z"
    with pytest.raises(InputError, match="are one array, the model has the inputs 'x', 'z'"):
        quantize(two, random(3, 4))


def test_fewer_samples_than_the_fixed_batch() -> None:
    with pytest.raises(InputError, match="4 calibration samples, but the model takes 8 at once"):
        quantize(after_conv(node("Relu", ["c"], ["y"]), batch=8), {"x": GOOD})


def test_inputs_of_different_numbers() -> None:
    model = net([node("Add", ["x", "z"], ["y"])], {}, (4,))
    second = model.graph.input.add()
    second.CopyFrom(model.graph.input[0])
    second.name = "z"
    with pytest.raises(InputError, match=r"different numbers of calibration samples: \{'x': 3, 'z': 2\}"):
        quantize(model, {"x": random(3, 4), "z": random(2, 4)})
    quantize(model, {"x": random(3, 4), "z": random(3, 4)})


def test_inputs_that_are_not_float32() -> None:
    model = net([node("Cast", ["x"], ["y"], to=1)], {}, (4,))
    model.graph.input[0].type.tensor_type.elem_type = 2
    with pytest.raises(ConvertError, match="graph input 'x': is of type uint8; supported: float32"):
        quantize(model, {"x": random(3, 4)})


def _log() -> ModelProto:
    return after_conv(node("Log", ["c"], ["y"], name="loga"))


MODELS: dict[str, tuple[Callable[[], ModelProto], list[str]]] = {
    "already": (lambda: quantize(MODEL, {"x": GOOD}), ["quantized already", "QuantizeLinear"]),
    "operator": (
        lambda: after_conv(node("LRN", ["c"], ["y"], name="lrn", size=3)),
        ["node 'lrn' (LRN)", "left in float", "docs/quantizing.md"],
    ),
    "custom": (
        lambda: after_conv(node("Relu", ["c"], ["y"], name="mine", domain="my.own")),
        ["node 'mine' (Relu)", "left in float"],
    ),
    "limits": (
        lambda: after_conv(
            node("ReduceMin", ["c"], ["lo"], keepdims=0), node("Clip", ["c", "lo"], ["y"], name="clipper")
        ),
        ["node 'clipper' (Clip)", "limits are computed at run time"],
    ),
    "resize": (
        lambda: after_conv(
            node("Resize", ["c", "", "s"], ["y"], mode="linear"), constants={"s": np.float32([1, 1, 2, 2])}
        ),
        ["Resize in mode linear"],
    ),
    "pad": (
        lambda: after_conv(
            node("Pad", ["c", "p", "v"], ["y"]),
            constants={"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "v": np.float32(2)},
        ),
        ["pads with 2.0"],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_that_cannot_be_quantized(name: str) -> None:
    make, messages = MODELS[name]
    model = make()
    if name == "custom":
        model.opset_import.add().domain = "my.own"
        model.opset_import[-1].version = 1
    with pytest.raises(ConvertError) as error:
        quantize(model, {"x": GOOD})
    assert all(message in error.value.message for message in messages), error.value.message


def test_values_that_are_not_finite_inside() -> None:
    with pytest.raises(InputError, match="node 'loga' \\(Log\\) gives values that are not finite") as error:
        quantize(_log(), {"x": GOOD})
    assert error.value.hint


@pytest.mark.parametrize("option", [{"method": "best"}, {"activations": "int4"}])
def test_unknown_options(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="known: "):
        quantize(MODEL, {"x": GOOD}, **option)
