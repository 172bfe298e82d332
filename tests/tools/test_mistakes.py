"""What newcomers get wrong: swapped arguments, misspelt names, data of another layout. Each message says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino.model import load_model
from tests.tools.conftest import Command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Float input x [?, 2, 4, 5], one convolution, three logits."""
    weights = np.random.default_rng(0).standard_normal((3, 2, 4, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Flatten", ["c"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 4, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def values(*shape: int) -> Any:
    return np.random.default_rng(1).random(shape)


KINDS = {
    "data.npz": (b"PK\x03\x04" + bytes(22) + b"\5\0\0\0x.npy", "a NumPy archive"),
    "data.npy": (b"\x93NUMPY\1\0", "a NumPy array"),
    "photo.jpg": (b"\xff\xd8\xff\xe0", "an image (JPEG)"),
    "net.h": (b"#pragma once\n", "C source"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("command", [["run"], ["inspect"], ["convert"]], ids=["run", "inspect", "convert"])
def test_swapped_arguments(onnxino: Command, tmp_path: Path, name: str, command: list[str]) -> None:
    content, what = KINDS[name]
    (tmp_path / name).write_bytes(content)
    others = [tmp_path / "m.oxm"] if command == ["run"] else []
    code, _, err = onnxino(*command, tmp_path / name, *others)
    assert code == 1
    assert what in err
    assert "was expected" in err
    if others:
        assert f"hint: the model comes first: onnxino run {tmp_path / 'm.oxm'} {tmp_path / name}" in err


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["inspect", "net.onn"], "net.onnx"),
        (["inspect", "emulater"], "emulator"),
        (["convert", "nett.onnx"], "net.onnx"),
        (["run", "net.oxn", "x.npy"], "net.onnx"),
        (["inspect", "met.onnx"], "net.onnx"),
    ],
)
def test_misspelt_names(
    onnxino: Command, model: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], meant: str
) -> None:
    monkeypatch.chdir(model.parent)
    code, _, err = onnxino(*argv)
    assert code == 1
    assert f"hint: did you mean {meant}?" in err


@pytest.mark.parametrize(
    ("name", "array", "hint"),
    [
        ("x.npy", values(9, 4, 5, 2).astype(np.float32), "array.transpose(0, 3, 1, 2)"),
        ("x.npy", values(2, 4, 5).astype(np.float32), "this is one sample: array[None]"),
        ("x.npy", np.ones((4, 5, 2), np.uint8), "this is one image: array[None]"),
        ("x.npy", np.ones((9, 2, 4, 5), np.uint8), "images.transpose(0, 2, 3, 1)"),
    ],
)
def test_data_of_another_layout(
    onnxino: Command, model: Path, tmp_path: Path, name: str, array: Any, hint: str
) -> None:
    np.save(tmp_path / name, array)
    code, _, err = onnxino("convert", model, "--calibrate", tmp_path / name, "--layout", "NCHW", "--scale", "1/255")
    assert code == 1
    assert hint in err
    if array.dtype == np.float32:
        np.savez(tmp_path / "x.npz", x=array)
        code, _, err = onnxino("convert", model, "--calibrate", tmp_path / "x.npz")
        assert (code, hint in err) == (1, True)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_of_any_size_are_taken(onnxino: Command, model: Path, tmp_path: Path, kind: Any) -> None:
    array = values(30, 2, 4, 5).astype(kind)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array)
    for name in ("x.npy", "x.npz"):
        code, _, err = onnxino("convert", model, "--calibrate", tmp_path / name, "-o", tmp_path / name[2:])
        assert code == 0, err
    assert (tmp_path / "npy" / "net.oxm").read_bytes() == (tmp_path / "npz" / "net.oxm").read_bytes()


def test_names_of_keras(onnxino: Command, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "keras.npz", x_train=np.ones((9, 4, 5, 2), np.uint8), y_train=np.zeros(9))
    code, _, err = onnxino("convert", model, "--calibrate", tmp_path / "keras.npz")
    assert code == 1
    assert "it holds: x_train, y_train" in err
    assert f"images=np.load('{tmp_path / 'keras.npz'}')['x_train'])" in err


@pytest.mark.parametrize(
    ("classes", "argv", "labels"),
    [
        (["cat", "dog", "elk"], [], ["cat", "dog", "elk"]),
        (["cat", "dog", "elk"], ["--labels", "a,b,c"], ["a", "b", "c"]),
        (["cat", "dog"], [], None),
    ],
)
def test_classes_of_the_data_are_the_labels(
    onnxino: Command, model: Path, tmp_path: Path, classes: list[str], argv: list[str], labels: list[str] | None
) -> None:
    np.savez(tmp_path / "d.npz", x=values(30, 2, 4, 5), classes=np.array(classes))
    code, _, err = onnxino("convert", model, "--calibrate", tmp_path / "d.npz", "-o", tmp_path, *argv)
    assert code == 0, err
    metadata = load_model(tmp_path / "net.oxm").metadata
    assert (metadata.class_labels if metadata is not None else None) == labels
    assert ("labels: the 3 classes of" in err) is (labels == classes)


def test_places_of_files(onnxino: Command, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", values(30, 2, 4, 5))
    argv = ["convert", model, "--calibrate", tmp_path / "x.npy"]
    code, _, err = onnxino(*argv, "--save-onnx", tmp_path / "none" / "q.onnx")
    assert code == 1
    assert f"there is no folder '{tmp_path / 'none'}'" in err
    assert f"hint: mkdir -p {tmp_path / 'none'}" in err
    code, _, err = onnxino(*argv, "--save-onnx", tmp_path)
    assert code == 1
    assert f"add a name: {tmp_path / 'net_int8.onnx'}" in err
    for text in (" (a new folder)", ""):
        code, out, _ = onnxino(*argv, "-o", tmp_path / "out", "--save-onnx", tmp_path / "q.onnx")
        assert code == 0
        assert f"to {tmp_path / 'out'}{text}\n" in out
    code, _, err = onnxino("convert", tmp_path / "q.onnx", "--float", "-o", tmp_path / "out")
    assert code == 0
    assert "note: the model is quantized already: --float changes nothing" in err


def test_labels_that_do_not_fit(onnxino: Command, model: Path, tmp_path: Path) -> None:
    code, _, err = onnxino("convert", model, "--float", "--labels", "a,b")
    assert code == 1
    assert "has 3 values [?, 3]" in err
