"""onnxino convert --calibrate: data, options, files and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino import InferenceSession
from onnxino.model import load_model
from tests.tools.conftest import Command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Float input image [1, 1, 4, 4], a convolution and three logits."""
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((3, 1, 4, 4)), "b": rng.standard_normal(3)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w", "b"], ["c"]),
            helper.make_node("Flatten", ["c"], ["logits"]),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def data(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """30 images in 'train' and 'test'; those of 'test' are black."""
    pixels = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 1), np.uint8)
    pixels[20:] = 0
    split = np.array(["train"] * 20 + ["test"] * 10)
    return data(tmp_path / "images.npz", images=pixels, labels=np.zeros(30, np.int64), split=split)


def test_a_float_model_becomes_a_model_file(onnxino: Command, model: Path, images: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.onnx"
    code, out, err = onnxino("convert", model, "--calibrate", images, "--save-onnx", saved, "-o", tmp_path / "out")
    assert code == 0, err
    assert "wrote             small.oxm, small.c, small.h, small.report.json" in out
    assert "quantized: 20 samples from" in err
    assert "split train, minmax" in err
    assert "note: calibrating with pixels of 0..1" in err
    made = load_model(tmp_path / "out" / "small.oxm")
    assert made.tensors[made.inputs[0].tensor].scale == pytest.approx(1 / 255, rel=0.02)
    feeds = {"image": np.random.default_rng(2).random((1, 1, 4, 4)).astype(np.float32)}
    import onnxruntime

    session = onnxruntime.InferenceSession(saved.read_bytes(), providers=["CPUExecutionProvider"])
    with InferenceSession(tmp_path / "out" / "small.oxm") as ours:
        assert np.array_equal(session.run(None, feeds)[0], ours.run(None, feeds)[0])


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--split", "test"], ["10 samples", "split test"]),
        (["--limit", "5"], ["5 samples"]),
        (["--method", "mse"], [", mse"]),
        (["--scale", "1"], ["(pixel * scale - mean) / std as given"]),
        (["--per-tensor", "--activations", "int8", "--equalize", "--bias-correction"], ["quantized: "]),
        (["--per-channel", "--method", "entropy"], ["entropy"]),
    ],
)
def test_options(
    onnxino: Command, model: Path, images: Path, tmp_path: Path, options: list[str], texts: list[str]
) -> None:
    code, _, err = onnxino("convert", model, "--calibrate", images, "-o", tmp_path / "out", *options)
    assert code == 0, err
    assert all(text in err for text in texts), err


def test_pixel_options_reach_calibration_and_model(onnxino: Command, model: Path, images: Path, tmp_path: Path) -> None:
    assert onnxino("convert", model, "--calibrate", images, "--scale", "1", "-o", tmp_path)[0] == 0
    made = load_model(tmp_path / "small.oxm")
    assert made.tensors[made.inputs[0].tensor].scale == pytest.approx(1, rel=0.02)
    assert made.metadata is not None
    assert made.metadata.preprocessing is not None


def test_arrays_by_input_name_and_arrays_as_they_are(onnxino: Command, model: Path, tmp_path: Path) -> None:
    arrays = np.random.default_rng(3).standard_normal((9, 1, 4, 4)).astype(np.float32)
    by_name = data(tmp_path / "by_name.npz", image=arrays)
    np.save(tmp_path / "plain.npy", arrays)
    made: list[bytes] = []
    for source in (by_name, tmp_path / "plain.npy"):
        code, _, err = onnxino("convert", model, "--calibrate", source, "-o", tmp_path / "out")
        assert code == 0, err
        assert "9 samples" in err
        made.append((tmp_path / "out" / "small.oxm").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("option", [["--method", "mse"], ["--equalize"], ["--save-onnx", "f"], ["--per-channel"]])
def test_options_without_data(onnxino: Command, model: Path, option: list[str]) -> None:
    code, _, err = onnxino("convert", model, *option)
    assert code == 2
    assert f"error: {option[0]} is for --calibrate DATA" in err


def test_float_and_quantized(onnxino: Command, model: Path, images: Path) -> None:
    code, _, err = onnxino("convert", model, "--calibrate", images, "--float")
    assert code == 2
    assert "--float and --calibrate cannot be given together" in err


def test_both_kinds_of_weights(onnxino: Command, model: Path, images: Path) -> None:
    assert onnxino("convert", model, "--calibrate", images, "--per-channel", "--per-tensor")[0] == 2


@pytest.mark.parametrize(
    ("arrays", "options", "texts"),
    [
        ({"image": np.full((2, 1, 4, 4), np.nan, np.float32)}, [], ["not finite"]),
        ({"image": np.zeros((2, 4), np.float32)}, [], ["shape [2, 4]", "[?, 1, 4, 4]"]),
        ({"image": np.zeros((2, 1, 4, 4), np.float32)}, ["--split", "train"], ["have no splits"]),
        ({"image": np.zeros((1, 4, 4), np.float32)}, [], ["shape [1, 4, 4]", "[?, 1, 4, 4]"]),
        ({"image": np.zeros((2, 1, 4, 4), np.uint8)}, [], ["uint8", "float32", "scale the pixels"]),
        ({"image": np.zeros((0, 1, 4, 4), np.float32)}, [], ["empty"]),
        ({"other": np.zeros(3)}, [], ["neither the model's input 'image' nor 'images'", "it holds: other", "by input"]),
        ({"labels": np.zeros(3, np.int64)}, [], ["it holds: labels"]),
        ({}, [], ["it holds: nothing"]),
        ({"images": np.zeros((0, 4, 4, 1), np.uint8)}, [], ["no images"]),
        ({"images": np.zeros((2, 4, 4, 1), np.uint8)}, ["--split", "test"], ["no array 'split'"]),
        ({"images": np.zeros((2, 5, 5, 1), np.uint8)}, [], ["5x5x1", "4x4x1"]),
    ],
)
def test_data_that_do_not_fit(
    onnxino: Command, model: Path, tmp_path: Path, arrays: Any, options: list[str], texts: list[str]
) -> None:
    source = data(tmp_path / "bad.npz", **arrays)
    code, _, err = onnxino("convert", model, "--calibrate", source, "-o", tmp_path / "out", *options)
    assert code == 1
    assert all(text in err for text in texts), err
    assert not (tmp_path / "out").exists()


def test_data_that_are_not_there(onnxino: Command, model: Path, tmp_path: Path) -> None:
    code, _, err = onnxino("convert", model, "--calibrate", tmp_path / "none.npz")
    assert code == 1
    assert "there is no data at" in err


def test_files_that_are_no_archives(onnxino: Command, model: Path, tmp_path: Path) -> None:
    array = tmp_path / "array.npz"
    with array.open("wb") as file:
        np.save(file, np.zeros((2, 1, 4, 4), np.float32))
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"hello")
    for path, text in ((array, "is no archive (.npz) but a single array (.npy)"), (junk, "is not a NumPy archive")):
        code, _, err = onnxino("convert", model, "--calibrate", path)
        assert code == 1
        assert text in err


def test_pixels_for_a_model_whose_input_is_called_images(onnxino: Command, model: Path, tmp_path: Path) -> None:
    named = onnx.load(model)
    named.graph.input[0].name = named.graph.node[0].input[0] = "images"
    onnx.save(named, tmp_path / "named.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 1), np.uint8)
    for name, array in (("pixels", pixels), ("floats", (pixels / 255).astype(np.float32).transpose(0, 3, 1, 2))):
        source = data(tmp_path / f"{name}.npz", images=array)
        code, _, err = onnxino("convert", tmp_path / "named.onnx", "--calibrate", source, "-o", tmp_path / name)
        assert code == 0, err
    assert [(tmp_path / name / "named.oxm").read_bytes() for name in ("pixels", "floats")].count(
        (tmp_path / "floats" / "named.oxm").read_bytes()
    ) == 2


def test_several_inputs_need_arrays_by_name(onnxino: Command, tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "net", ports[:2], ports[2:])
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    values = np.random.default_rng(1).random((30, 4), np.float32)
    code, _, err = onnxino("convert", path, "--calibrate", data(tmp_path / "one.npz", a=values))
    assert code == 1
    assert "does not hold the model's input 'b' (it holds: a)" in err
    both = data(tmp_path / "both.npz", a=values, b=values)
    assert onnxino("convert", path, "--calibrate", both, "-o", tmp_path / "out")[0] == 0


def test_data_that_are_valid_but_say_little(onnxino: Command, model: Path, tmp_path: Path) -> None:
    one = data(tmp_path / "one.npz", images=np.full((1, 4, 4, 1), 9, np.uint8))
    code, _, err = onnxino("convert", model, "--calibrate", one, "-o", tmp_path)
    assert code == 0
    assert "note: calibrating with 1 sample only" in err
    assert "note: every value of the calibration data is the same" in err
    assert "quantized: 1 sample from" in err
    many = data(tmp_path / "many.npz", images=np.random.default_rng(1).integers(0, 256, (1200, 4, 4, 1), np.uint8))
    code, _, err = onnxino("convert", model, "--calibrate", many, "-o", tmp_path)
    assert code == 0
    assert "note: calibrating with 1,200 samples takes a while; a few hundred do: --limit 500" in err


def test_a_quantized_model_is_refused_before_its_data_are_read(
    onnxino: Command, model: Path, images: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.onnx"
    assert onnxino("convert", model, "--calibrate", images, "--save-onnx", saved, "-o", tmp_path)[0] == 0
    code, _, err = onnxino("convert", saved, "--calibrate", tmp_path / "none.npz")
    assert code == 1
    assert "the model is quantized already" in err
    assert "without --calibrate" in err


@pytest.mark.parametrize(("place", "text"), [("file/x.onnx", "cannot be written"), ("folder", "is a folder")])
def test_a_place_that_cannot_be_written_is_told_first(
    onnxino: Command, model: Path, images: Path, tmp_path: Path, place: str, text: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    code, _, err = onnxino("convert", model, "--calibrate", images, "--save-onnx", tmp_path / place)
    assert code == 1
    assert text in err
    assert "quantized:" not in err


@pytest.mark.parametrize("option", [["--method", "entrpy"], ["--activations", "int16"], ["--limit", "0"]])
def test_options_with_wrong_values(onnxino: Command, model: Path, images: Path, option: list[str]) -> None:
    code, _, err = onnxino("convert", model, "--calibrate", images, *option)
    assert code == 2
    assert option[0] in err
    assert option[1] in err


def test_json_is_the_report_alone(onnxino: Command, model: Path, images: Path, tmp_path: Path) -> None:
    code, out, _ = onnxino("convert", model, "--calibrate", images, "-o", tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["name"] == "small"


def test_where_onnx_runtime_will_not_give_the_same_bytes(onnxino: Command, model: Path, tmp_path: Path) -> None:
    """A skip connection: as int8, ONNX Runtime computes around it in float32."""
    onnx_model = onnx.load(model)
    del onnx_model.graph.node[1]
    nodes = [helper.make_node("Mul", ["c", "c"], ["m"]), helper.make_node("Add", ["c", "m"], ["s"])]
    onnx_model.graph.node.extend([*nodes, helper.make_node("Flatten", ["s"], ["logits"])])
    onnx.save(onnx_model, tmp_path / "skip.onnx")
    source = data(tmp_path / "image.npz", image=np.random.default_rng(1).random((30, 1, 4, 4), np.float32))
    note = "operators in float32, so that its bytes may be one quantization step apart; --activations uint8"
    for kind, expected in (("int8", True), ("uint8", False)):
        code, _, err = onnxino(
            "convert", tmp_path / "skip.onnx", "--calibrate", source, "--activations", kind, "-o", tmp_path
        )
        assert code == 0, err
        assert (note in err) == expected, err


@pytest.mark.parametrize(
    ("change", "text"), [("size", "dimension 2 ('height') is not fixed"), ("operator", "the operator is not supported")]
)
def test_what_cannot_be_converted_is_told_before_the_data_are_read(
    onnxino: Command, model: Path, tmp_path: Path, change: str, text: str
) -> None:
    changed = onnx.load(model)
    if change == "size":
        changed.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    else:
        changed.graph.node[1].op_type = "LRN"
    onnx.save(changed, tmp_path / "changed.onnx")
    code, _, err = onnxino("convert", tmp_path / "changed.onnx", "--calibrate", tmp_path / "none.npz")
    assert code == 1
    assert text in err


@pytest.mark.parametrize("option", ["--save-onnx", "--save-onnx-optimized"])
@pytest.mark.parametrize("what", ["model", "data", "labels", "link", "written"])
def test_nothing_that_is_read_is_overwritten(
    onnxino: Command, model: Path, images: Path, tmp_path: Path, option: str, what: str
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n")
    (tmp_path / "link.onnx").symlink_to(model)
    paths = {"model": model, "data": images, "labels": labels, "link": tmp_path / "link.onnx"}
    target = paths.get(what, tmp_path / "small.oxm")
    before = {path: path.read_bytes() for path in paths.values()}
    argv = ["convert", model, "--calibrate", images, "--labels", labels, option, target, "-o", tmp_path]
    code, _, err = onnxino(*argv)
    assert code == 1
    assert f"'{tmp_path / 'small.oxm' if what == 'written' else target}' would be overwritten" in err
    assert "hint: choose another name" in err
    assert before == {path: path.read_bytes() for path in paths.values()}
    assert not (tmp_path / "small.oxm").exists()


def test_a_folder_of_data_keeps_its_images(onnxino: Command, model: Path, tmp_path: Path) -> None:
    image = tmp_path / "photos" / "a" / "x.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"precious")
    code, _, err = onnxino("convert", model, "--calibrate", tmp_path / "photos", "--save-onnx", image)
    assert (code, image.read_bytes()) == (1, b"precious")
    assert "would be overwritten" in err


def test_a_single_number_is_no_calibration_data(onnxino: Command, model: Path, tmp_path: Path) -> None:
    given = data(tmp_path / "scalar.npz", image=np.float32(3))
    code, _, err = onnxino("convert", model, "--calibrate", given, "-o", tmp_path / "out")
    assert code == 1
    assert f"'{given}' holds a single number as 'image'; expected an array [samples, ...]" in err
    assert "np.savez('data.npz', image=array)" in err
