"""verify --float-model: signal-to-noise ratios by layer, checked against a calculation by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino import InferenceSession
from onnxino.errors import InputError
from onnxino_converter import convert
from onnxino_converter.quantize import quantize
from onnxino_tools.commands.verify import snr_as_json, snr_as_text
from onnxino_tools.main import main
from onnxino_tools.verify.run import random_feeds
from onnxino_tools.verify.snr import EXPLAINED, LayerSnr, SnrReport, compare_with_float, match, rescaled, snr

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")
FLOAT, S8 = TensorProto.FLOAT, TensorProto.INT8
WEIGHTS = np.random.default_rng(0).integers(-127, 128, (3, 2, 1, 1)).astype(np.int8)
SCALE = np.float32(0.01)


def build(nodes: list[Any], constants: dict[str, Any], output: str, shape: list[int] | None = None) -> Any:
    ports = [helper.make_tensor_value_info(n, FLOAT, s) for n, s in (("x", shape or [1, 2, 4, 4]), (output, None))]
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def float_model(**options: Any) -> Any:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Sigmoid", ["relu"], ["y"]),
    ]
    return build(nodes, {"w": WEIGHTS.astype(np.float32) * SCALE}, "y", **options)


def quantized_model(relu: bool = True) -> Any:
    """Conv, Relu, Sigmoid as QDQ; without `relu` the quantization of Conv's result does what Relu did."""
    constants: dict[str, Any] = {"w8": WEIGHTS, "ws": SCALE, "wz": np.int8(0)}
    for name, scale, zero in (("x", 0.02, 0), ("r", 0.02, -128), ("y", 1 / 256, -128)):
        constants |= {f"{name}s": np.float32(scale), f"{name}z": np.int8(zero)}
    pair = [("QuantizeLinear", "x", "xq", "x"), ("DequantizeLinear", "xq", "xd", "x")]
    last = "relu" if relu else "conv"
    nodes = [helper.make_node(k, [i, f"{p}s", f"{p}z"], [o]) for k, i, o, p in pair]
    nodes += [helper.make_node("DequantizeLinear", ["w8", "ws", "wz"], ["wd"])]
    nodes += [helper.make_node("Conv", ["xd", "wd"], ["conv"])]
    nodes += [helper.make_node("Relu", ["conv"], ["relu"])] if relu else []
    rest = [
        ("QuantizeLinear", last, f"{last}_QuantizeLinear_Output", "r"),
        ("DequantizeLinear", f"{last}_QuantizeLinear_Output", "rd", "r"),
    ]
    nodes += [helper.make_node(k, [i, f"{p}s", f"{p}z"], [o]) for k, i, o, p in rest]
    nodes += [helper.make_node("Sigmoid", ["rd"], ["sig"])]
    nodes += [helper.make_node("QuantizeLinear", ["sig", "ys", "yz"], ["y_quantized"])]
    nodes += [helper.make_node("DequantizeLinear", ["y_quantized", "ys", "yz"], ["y"])]
    return build(nodes, constants, "y")


def inputs(count: int = 3) -> Any:
    return np.random.default_rng(1).uniform(-2, 2, (count, 2, 4, 4)).astype(np.float32)


def test_snr() -> None:
    assert snr(np.float32([1, 2]), np.float32([1, 2])) == float("inf")
    assert snr(np.float32([3, 4]), np.float32([3, 4.5])) == pytest.approx(20)  # 25 / 0.25
    assert snr(np.float32([0, 0]), np.float32([1, 0])) == float("-inf")


@pytest.mark.parametrize("relu", [True, False], ids=["with Relu", "Relu in the quantization"])
def test_layers_against_a_calculation_by_hand(relu: bool) -> None:
    quantized, x = quantized_model(relu), inputs()
    with InferenceSession(convert(quantized, board=None).model) as session:
        report = compare_with_float(session, quantized, float_model(), {"x": x})
    real = np.maximum(np.einsum("oc,bchw->bohw", WEIGHTS[:, :, 0, 0].astype(np.float64) * SCALE, x), 0)
    on_grid = np.clip(np.rint(x / np.float32(0.02)), -128, 127) * 0.02
    seen = np.einsum("oc,bchw->bohw", WEIGHTS[:, :, 0, 0].astype(np.float64) * SCALE, on_grid)
    seen = np.clip(np.rint(seen / 0.02), 0, 255) * 0.02
    by_hand = 10 * np.log10((real**2).sum() / ((real - seen) ** 2).sum())
    layers = {one.tensor: one.decibels for one in report.layers}
    assert layers["relu"] == pytest.approx(by_hand, abs=0.05)
    assert layers["y"] == report.outputs["y"]
    assert report.outputs["y"] > 20
    assert report.unmatched == []


def test_matching() -> None:
    known = {"a": 1, "b": 2}
    assert match("a", {}, known) == "a"
    assert match("q", {"q": "b"}, known) == "b"
    assert match("a_quantized", {}, known) == "a"
    assert match("b_QuantizeLinear_Output", {}, known) == "b"
    assert match("c", {"c": "d"}, known) is None


def test_models_that_do_not_belong_together() -> None:
    quantized = quantized_model()
    with InferenceSession(convert(quantized, board=None).model) as session:
        with pytest.raises(
            InputError, match="cannot run the float model on these inputs: Got invalid dimensions for input"
        ):
            compare_with_float(session, quantized, float_model(shape=[1, 2, 5, 5]), {"x": inputs()})
        two = float_model()
        two.graph.input.append(helper.make_tensor_value_info("z", FLOAT, [1]))
        with pytest.raises(InputError, match="the float model has 2 inputs, the quantized one 1"):
            compare_with_float(session, quantized, two, {"x": inputs()})


def renamed(model: Any, names: dict[str, str]) -> Any:
    for node in model.graph.node:
        for list_ in (node.input, node.output):
            list_[:] = [names.get(name, name) for name in list_]
    return model


@pytest.mark.parametrize(
    ("clamp", "constants", "followed"),
    [
        (["Relu"], {}, True),
        (["Clip", "least", "most"], {"least": np.float32(0), "most": np.float32(6)}, True),
        (["Clip", "", "most"], {"most": np.float32(5.1)}, True),  # what we give reaches to 5.1
        (["Clip", "", "most"], {"most": np.float32(4)}, False),
        (["Clip", "least"], {"least": np.float32(1)}, False),
        (["Sigmoid"], {}, False),
    ],
)
def test_a_fused_clamp_is_compared_with_its_result(clamp: list[str], constants: dict[str, Any], followed: bool) -> None:
    """The quantized model calls the result of its Relu as the float model calls what comes before."""
    quantized = renamed(quantized_model(), {"conv": "before", "relu": "conv"})
    original = build(
        [
            helper.make_node("Conv", ["x", "w"], ["conv"]),
            helper.make_node(clamp[0], ["conv", *clamp[1:]], ["clamped"]),
            helper.make_node("Sigmoid", ["clamped"], ["y"]),
        ],
        {"w": WEIGHTS.astype(np.float32) * SCALE} | constants,
        "y",
    )
    with InferenceSession(convert(quantized, board=None).model) as session:
        report = compare_with_float(session, quantized, original, {"x": inputs()})
    first = report.layers[0]
    assert first.tensor == ("clamped" if followed else "conv")
    assert first.as_it_is is None
    assert not followed or clamp == ["Clip", "", "most"] or first.decibels > 20


def test_a_batch_that_is_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that takes four samples at once is run four at a time."""
    original = float_model(shape=[4, 2, 4, 4])
    x = inputs(8)
    quantized = quantize(original, {"x": x})
    with InferenceSession(convert(quantized, board=None).model) as session:
        two = compare_with_float(session, quantized, original, {"x": np.concatenate([x, x[:1]])})
        with pytest.raises(InputError, match=r"has shape \[3, 2, 4, 4\]") as caught:
            session.run(None, {"x": x[:3]})
        assert caught.value.hint == "give exactly 4 along the first dimension"
    assert two.outputs["y"] > 30
    assert [one.as_it_is for one in two.layers] == [None] * len(two.layers)
    onnx.save(quantized, str(tmp_path / "q.onnx"))
    onnx.save(original, str(tmp_path / "f.onnx"))
    argv = ["verify", str(tmp_path / "q.onnx"), "--backends", "numpy", "--float-model", str(tmp_path / "f.onnx")]
    assert main([*argv, "--random", "3"]) == 0
    assert "every promise kept" in capsys.readouterr().out
    np.save(tmp_path / "three.npy", x[:3])
    assert main([*argv, "--data", str(tmp_path / "three.npy")]) == 1
    assert "3 inputs are given, the model takes 4 at once\nhint: give 4 or more" in capsys.readouterr().err


def test_factors_of_channels() -> None:
    signal = np.random.default_rng(0).normal(size=(4, 3, 2, 2))
    factors = np.array([0.1, 7, 1]).reshape(1, 3, 1, 1)
    assert np.allclose(rescaled(signal, signal / factors), signal)
    opposite = rescaled(signal, -signal)
    assert opposite is not None
    assert np.array_equal(opposite, -signal)  # no rescaling turns signs
    assert rescaled(signal[:1], signal[:1]) is None  # 4 values of each channel
    rows = np.random.default_rng(1).normal(size=(2, 10, 3))
    assert np.allclose(rescaled(rows, rows * [1, 2, 3], "FullyConnected"), rows)
    noise = rescaled(signal, signal + np.random.default_rng(2).normal(size=signal.shape))
    assert noise is not None
    assert snr(signal, noise) - snr(signal, signal + np.random.default_rng(2).normal(size=signal.shape)) < EXPLAINED


def test_equalized_channels_are_told_from_errors() -> None:
    generator = np.random.default_rng(3)
    sizes = np.logspace(-1, 1.5, 6).reshape(6, 1, 1, 1)
    constants = {"w": generator.normal(0, sizes, (6, 2, 3, 3)), "v": generator.normal(0, 1, (3, 6, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Conv", ["relu", "v"], ["y"]),
    ]
    original = build(nodes, {name: value.astype(np.float32) for name, value in constants.items()}, "y")
    for equalize in (True, False):
        quantized = quantize(original, {"x": inputs(20)}, equalize=equalize)
        with InferenceSession(convert(quantized, board=None).model) as session:
            report = compare_with_float(session, quantized, original, {"x": inputs(8)})
        first, last = report.layers
        assert (first.as_it_is is not None) == equalize
        assert first.decibels > 30
        assert first.as_it_is is None or first.as_it_is < 15
        assert last.as_it_is is None  # an output is what it is
        assert report.outputs["y"] > 25


@pytest.mark.parametrize("operator", ["QuantizeLinear", "DequantizeLinear", "QLinearConv", "QGemm", "ConvInteger"])
def test_a_quantized_model_is_no_float_model(operator: str) -> None:
    quantized, other = quantized_model(), float_model()
    other.graph.node[0].op_type = operator
    with (
        InferenceSession(convert(quantized, board=None).model) as session,
        pytest.raises(InputError, match=f"is not a float model: it holds {operator}") as caught,
    ):
        compare_with_float(session, quantized, other, {"x": inputs()})
    assert caught.value.hint == "--float-model is the model as it was before it was quantized"


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "q.onnx", tmp_path / "f.onnx"]
    for path, model in zip(paths, (quantized_model(), float_model()), strict=True):
        onnx.save(model, str(path))
    arguments = ["verify", str(paths[0]), "--backends", "numpy", "--random", "2", "--float-model", str(paths[1])]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["snr"]
    assert [one["float_tensor"] for one in found["layers"]] == ["relu", "y"]
    assert found["outputs"]["y"] > 10
    assert main(arguments) == 0
    seen = capsys.readouterr()
    assert "signal-to-noise ratio against f.onnx (20 dB: " in seen.out
    assert "note: random inputs reach values that calibration did not see" in seen.err
    assert "for those of real inputs give --data" in seen.err
    np.savez(tmp_path / "x.npz", x=inputs())
    data = ["--data", str(tmp_path / "x.npz"), "--float-model", str(paths[1])]
    assert main([*arguments[:4], *data]) == 0
    assert "random inputs reach" not in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "none.onnx")]) == 1
    assert "there is no model" in capsys.readouterr().err
    assert main([*arguments[:-1], str(paths[0])]) == 1
    assert f"'{paths[0]}' is not a float model: it holds QuantizeLinear" in capsys.readouterr().err


def test_the_command_says_what_it_rescaled(capsys: pytest.CaptureFixture[str]) -> None:
    layers = [LayerSnr("a", "Conv2D", "t", 40.0, 3.0), LayerSnr("b", "Mean2D", "u", 5.0)]
    report = SnrReport(layers, {}, [], ["b"])
    text = "\n".join(snr_as_text(report, "f.onnx"))
    assert "40.0 dB  rescaled" in text
    assert "rescaled: the channels differ by constant factors" in text
    assert "too few inputs to tell such factors: b; give more" in text
    found = snr_as_json(report)["layers"]
    assert [(one["decibels"], one["channels_rescaled"], one["decibels_not_rescaled"]) for one in found] == [
        (40.0, True, 3.0),
        (5.0, False, 5.0),
    ]
    assert "factors" not in "\n".join(snr_as_text(SnrReport(layers[1:], {}, [], ["b"]), "f.onnx"))


def test_trained_network(shared: Path) -> None:
    """On real images the int8 network keeps its float model's signal."""
    folder = shared / "models" / "trashnet"
    quantized, original = (onnx.load(str(folder / f"{name}.onnx")) for name in ("base_qdq", "base"))
    data = np.load(shared / "datasets" / "trashnet_64.npz")
    images = data["images"][data["split"] == "test"][:16]
    pixels = (images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    with InferenceSession(convert(quantized).model) as session:
        report = compare_with_float(session, quantized, original, {"image": pixels})
    assert len(report.layers) == len(session.model.operators)
    assert min(one.decibels for one in report.layers) > 10
    assert report.outputs["logits"] > 10


def test_relus_of_a_model_from_tflite(shared: Path) -> None:
    """Its convolutions with a fused Relu have the names of the float model's tensors before the Relu."""
    folder = shared / "models" / "mlperf_tiny"
    quantized, original = onnx.load(str(folder / "ic.onnx")), onnx.load(str(folder / "ic_float.onnx"))
    with InferenceSession(convert(quantized).model) as session:
        report = compare_with_float(session, quantized, original, random_feeds(session.model, 2))
    assert sum(one.tensor.startswith("Relu__") for one in report.layers) == 7
    assert min(one.decibels for one in report.layers) > 20
    assert all(one.as_it_is is None for one in report.layers)
