"""What cannot be converted is refused with node, finding and hint; nothing ends in a traceback."""

from __future__ import annotations

import ast
import random
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_models import ODD, Odd, small
from odd_operators import MORE
from onnx import AttributeProto, ModelProto, TensorProto, save_model
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array
from onnx_net import Net, Q
from patterns import conv, softmax

from onnxino.errors import ConvertError
from onnxino_converter import convert
from onnxino_converter.hints import with_path
from onnxino_converter.quantize import quantize


@pytest.mark.parametrize("odd", [*ODD.values(), *MORE.values()], ids=[*ODD, *MORE])
def test_refusal(odd: Odd) -> None:
    with pytest.raises(ConvertError) as caught:
        convert(odd.build())
    for word in odd.words:
        assert word in caught.value.message
    assert caught.value.hint
    assert odd.hint in caught.value.hint


FILES: dict[str, tuple[bytes, str, str]] = {
    "model.tflite": (b"\0\0\0\0TFL3", "TensorFlow Lite", "/model.tflite --output model.onnx --opset 13"),
    "disguised.onnx": (b"\0\0\0\0TFL3", "TensorFlow Lite", "tf2onnx"),
    "model.h5": (b"\x89HDF\r\n", "Keras", "from_keras"),
    "model.keras": (b"PK\x03\x04config.json", "Keras", "quantize_static"),
    "model.pt": (b"PK\x03\x04", "PyTorch", "torch.onnx.export"),
    "model.pth": (b"\x80\x02", "PyTorch", "quantize_static('model.onnx'"),
    "frozen.pb": (b"\x0a\x01", "TensorFlow graph", "/frozen.pb --output frozen.onnx"),
    "weights.safetensors": (b"\x08\0\0\0\0\0\0\0{}", "safetensors", "torch.onnx.export"),
    "empty.onnx": (b"", "empty", ".onnx"),
    "garbage.onnx": (b"\xff" * 100, "not an ONNX model", "copy it again, or export the model again"),
    "text.onnx": (b"hello, world", "not an ONNX model", "copy it again"),
    "data.npz": (b"PK\x03\x04" + bytes(22) + b"\5\0\0\0x.npy", "a NumPy archive", "MODEL.onnx --calibrate /"),
    "data.zip": (b"PK\x03\x04" + bytes(22) + b"\5\0\0\0x.npy", "a NumPy archive", "/data.zip"),
    "data.npy": (b"\x93NUMPY\1\0", "a NumPy array", "MODEL.onnx --calibrate /"),
    "photo.jpg": (b"\xff\xd8\xff\xe0", "an image (JPEG)", "then the images: onnxino run MODEL.oxm /"),
    "photo": (b"\x89PNG\r\n\x1a\n", "an image (PNG)", "then the images"),
    "photo.webp": (b"RIFF\0\0\0\0WEBP", "an image (WebP)", "then the images"),
    "model.h": (b"#pragma once\n", "C source", "the model file (.oxm) that was written beside it"),
    "saved_model.pb": (b"\x0a\x01", "TensorFlow graph", "--saved-model /"),
    "pointer.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "not an ONNX model", "git lfs pull"),
    "converted.oxm": (b"OXM\x1a" + bytes(60), "not an ONNX model", "already converted"),
}


@pytest.mark.parametrize(("name", "expected"), FILES.items(), ids=FILES.keys())
def test_other_files(tmp_path: Path, name: str, expected: tuple[bytes, str, str]) -> None:
    data, message, hint = expected
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConvertError) as caught:
        convert(tmp_path / name)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["model.onnx", "it's a $model.onnx", "model.tflite"])
def test_hints_overwrite_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"\0\0\0\0TFL3")
    with pytest.raises(ConvertError) as caught:
        convert(name)
    command = shlex.split((caught.value.hint or "").splitlines()[1], comments=True)
    source, target = (command[command.index(option) + 1] for option in ("--tflite", "--output"))
    assert source == name
    assert not Path(target).exists()


@pytest.mark.parametrize("name", ["model.h5", "it's a model.h5"])
def test_the_commands_of_hints_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Quantizes with the very command that is shown, and converts what it made."""
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"\x89HDF\r\n")
    Path(f"{Path(name).stem}_int8.onnx").touch()
    with pytest.raises(ConvertError) as caught:
        convert(name)
    lines = (caught.value.hint or "").splitlines()
    keras, quantize = (shlex.split(line)[-1] for line in lines if line.startswith("python -c"))
    ast.parse(keras)
    x, y = (make_tensor_value_info(n, TensorProto.FLOAT, ["n", c, 4, 4]) for n, c in (("x", 2), ("y", 3)))
    weights = from_array(np.ones((3, 2, 1, 1), np.float32), "w")
    graph = make_graph([make_node("Conv", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    model = make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8)
    save_model(model, f"{Path(name).stem}_2.onnx")
    np.save("samples.npy", np.random.default_rng(0).random((5, 2, 4, 4), np.float32))
    subprocess.run([sys.executable, "-c", quantize], check=True, capture_output=True)
    assert convert(f"{Path(name).stem}_2_int8.onnx").model


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="no such file"):
        convert(tmp_path / "none.onnx")
    with pytest.raises(ConvertError, match="is a folder"):
        convert(tmp_path)


def test_truncated_file(tmp_path: Path) -> None:
    data = small().SerializeToString()
    for size in range(0, len(data), 7):
        with pytest.raises(ConvertError):
            convert(data[:size])


def test_wrong_type_of_source_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="list"):
        convert([])  # type: ignore[arg-type]


def test_external_data(tmp_path: Path) -> None:
    save_model(small(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert convert(tmp_path / "m.onnx").model
    with pytest.raises(ConvertError, match="external data"):
        convert((tmp_path / "m.onnx").read_bytes())
    (tmp_path / "m.data").unlink()
    with pytest.raises(ConvertError, match="external data"):
        convert(tmp_path / "m.onnx")


def _wide() -> ModelProto:
    net = Net(batch=1)
    conv(net, False, shape=(64, 100, 100), filters=8, kernel=(1, 1))
    return net.model()


def _heavy() -> ModelProto:
    net = Net(batch=1)
    conv(net, False, shape=(128, 3, 3), filters=700, kernel=(3, 3))
    return net.model()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (_wide, ("bytes of RAM", "229,376", "[1, 100, 100, 64] 640,000")),
        (_heavy, ("flash", "655,360", "(Conv2D) 806,400")),
    ],
    ids=["arena", "flash"],
)
def test_too_large_for_the_board(build: Callable[[], ModelProto], words: tuple[str, ...]) -> None:
    with pytest.raises(ConvertError) as caught:
        convert(build())
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint
    assert convert(build(), board=None).model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "3d"}, "'3d' is no C identifier"),
        ({"name": "int"}, "'int' is no C identifier"),
        ({"name": "a b"}, "'a b' is no C identifier"),
        ({"name": "x" * 60}, "is no C identifier"),
        ({"board": "uno"}, "no board is called 'uno'"),
        ({"labels": ["a", "b"]}, "there are 2 labels"),
        ({"preprocessing": {"gamma": 2}}, "no option 'gamma'"),
        ({"preprocessing": {"scale": "much"}}, "scale is 'much'"),
        ({"preprocessing": {"scale": float("nan")}}, "scale is nan"),
        ({"preprocessing": {"std": [1, 0, 1]}}, "standard deviation of 0"),
        ({"preprocessing": {"mean": [1, 2], "std": [1, 2, 3]}}, "2 means and 3"),
        ({"preprocessing": {"mean": []}}, "mean is empty"),
        ({"preprocessing": {"layout": "CHW"}}, "'CHW'"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    net = Net()
    softmax(net)
    with pytest.raises(ConvertError) as caught:
        convert(net.model(), **options)
    assert message in caught.value.message


def _mutate(model: ModelProto, chance: random.Random) -> None:
    """One random change that leaves a model which loads."""
    graph = model.graph
    node = chance.choice(graph.node)
    kind = chance.randrange(9)
    if kind == 0:
        graph.node.remove(node)
    elif kind == 1 and graph.initializer:
        graph.initializer.remove(chance.choice(graph.initializer))
    elif kind == 2 and node.input:
        node.input[chance.randrange(len(node.input))] = chance.choice(graph.node).output[0]
    elif kind == 3 and node.input:
        del node.input[chance.randrange(len(node.input))]
    elif kind == 4 and node.attribute:
        attribute = chance.choice(node.attribute)
        if attribute.type == AttributeProto.INTS and attribute.ints:
            attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice([-1, 0, 1, 3, 1000, 2**40])
        else:
            attribute.i = chance.choice([-1, 0, 2, 2**40])
    elif kind == 5:
        tensor = chance.choice(graph.initializer)
        tensor.dims.append(chance.choice([0, 1, 2]))
    elif kind == 6:
        tensor = chance.choice(graph.initializer)
        tensor.data_type = chance.choice([1, 2, 3, 6, 7, 10, 16, 22])
    elif kind == 7:
        node.op_type = chance.choice([n.op_type for n in graph.node] + ["Softmax", "Concat", "MatMul", "Transpose"])
    else:
        dimensions = graph.input[0].type.tensor_type.shape.dim
        dimensions[chance.randrange(len(dimensions))].dim_value = chance.choice([0, 1, 2, 5, 7])


def test_random_damage_never_ends_in_a_traceback() -> None:
    chance = random.Random(4)
    messages: list[str] = []
    for round_ in range(400):
        net = Net(style=("qdq", "qop")[round_ % 2], batch="N")
        conv(net, bool(round_ & 2), pads=[1, 1, 1, 1], bias="int")
        model = net.model()
        for _ in range(1 + round_ % 3):
            if model.graph.node and model.graph.initializer:
                _mutate(model, chance)
        try:
            convert(model)
        except ConvertError as error:
            messages.append(error.message)
    assert len(messages) > 200
    assert all(messages)


def test_message_lists_each_missing_thing_once() -> None:
    with pytest.raises(ConvertError) as caught:
        convert(ODD["unsupported"].build())
    assert caught.value.message.count("supported") == 1
    assert len(caught.value.message) < 120  # no list of all operators
    assert np.all([word not in caught.value.message for word in ("Traceback", "<", "0x")])
    assert Q(0.1).zero == 0


def _broken(tmp_path: Path, kind: str, **attributes: Any) -> Path:
    """Relu, then a node that is refused, then Relu: a model in a file with a name that shells take apart."""
    weights = [from_array(np.ones((3, 2, 1, 1), np.float32), "w")]
    x, y = (make_tensor_value_info(n, TensorProto.FLOAT, ["n", 2, 4, 4]) for n in "xy")
    nodes = [
        make_node("Relu", ["x"], ["a"]),
        make_node(kind, ["a"], ["b"], name="odd", **attributes),
        make_node("Relu", ["b"], ["y"]),
    ]
    path = tmp_path / "it's my net.onnx"
    save_model(make_model(make_graph(nodes, "g", [x], [y], weights), opset_imports=[make_opsetid("", 17)]), path)
    return path


def test_the_command_that_cuts_a_model_off_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = _broken(tmp_path, "LRN", size=3)
    with pytest.raises(ConvertError) as caught:
        convert(path.name, float=True)
    command = shlex.split((caught.value.hint or "").split("on the host: ")[1])
    assert command[:2] == ["python", "-c"]
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True)
    assert convert("cut.onnx", float=True).model


def test_the_command_that_fixes_sizes_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    x, y = (make_tensor_value_info(n, TensorProto.FLOAT, ["n", 2, "h", "w"]) for n in "xy")
    graph = make_graph([make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    save_model(make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8), "my net.onnx")
    with pytest.raises(ConvertError) as caught:
        convert("my net.onnx", float=True)
    command = shlex.split(caught.value.hint or "", comments=True)
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True)
    assert convert("fixed.onnx", float=True).model


def test_hints_name_the_file_wherever_they_have_a_place_for_it() -> None:
    hint = "python -m onnxsim model.onnx x; load('model.onnx'); see my_model.onnx"
    assert (
        with_path(hint, Path("a b/c.onnx")) == "python -m onnxsim 'a b/c.onnx' x; load('a b/c.onnx'); see my_model.onnx"
    )
    assert with_path(hint, None) == hint


def _net(weights: np.ndarray[Any, Any], kind: str = "Gemm") -> ModelProto:
    x, y = (make_tensor_value_info(n, TensorProto.FLOAT, ["n", c]) for n, c in (("x", len(weights)), ("y", None)))
    graph = make_graph([make_node(kind, ["x", "w"], ["y"], name="fc")], "g", [x], [y], [from_array(weights, "w")])
    return make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_weights_that_are_not_finite(bad: float, kind: str) -> None:
    weights = np.ones((4, 3), np.float32)
    weights[2, 1] = bad
    for run in (
        lambda model: convert(model, float=True),
        lambda model: quantize(model, {"x": np.ones((3, 4), np.float32)}),
    ):
        with pytest.raises(ConvertError, match="1 of 12 values of the initializer 'w' are not finite") as caught:
            run(_net(weights, kind))
        assert caught.value.message.startswith(f"node 'fc' ({kind})")
        assert "train or export the model again" in (caught.value.hint or "")


@pytest.mark.parametrize(("width", "fits"), [(50, True), (200, False)], ids=["as int8", "not at all"])
def test_a_float_model_that_does_not_fit(width: int, fits: bool) -> None:
    model = _net(np.ones((4096, width), np.float32))
    with pytest.raises(ConvertError) as plain:
        convert(model)
    assert "in float32 it does not fit" in plain.value.message
    with pytest.raises(ConvertError) as floats:
        convert(model, float=True)
    assert "the flash of" in floats.value.message
    for caught in (plain, floats):
        assert (caught.value.hint or "").startswith("onnxino convert model.onnx --calibrate DATA.npz quantizes it")
        assert "--float" not in (caught.value.hint or "")
        assert ("too much still" in (caught.value.hint or "")) is not fits


def test_a_float_model_that_takes_too_much_ram() -> None:
    x, y = (make_tensor_value_info(n, TensorProto.FLOAT, [1, 20, 64, 64]) for n in "xy")
    graph = make_graph([make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    with pytest.raises(ConvertError, match="bytes of RAM") as caught:
        convert(make_model(graph, opset_imports=[make_opsetid("", 17)]), float=True)
    assert "--calibrate DATA.npz quantizes it to int8, about four times smaller" in (caught.value.hint or "")


def test_a_file_for_viewers(tmp_path: Path) -> None:
    convert(small(), save_onnx_optimized=tmp_path / "viewer.onnx")
    with pytest.raises(ConvertError, match="written by --save-onnx-optimized, for viewers alone") as caught:
        convert(tmp_path / "viewer.onnx")
    assert "give the ONNX model" in (caught.value.hint or "")


@pytest.mark.parametrize("run", [convert, lambda path: quantize(path, {})], ids=["convert", "quantize"])
def test_a_model_quantized_dynamically(run: Callable[[Any], Any]) -> None:
    with pytest.raises(ConvertError) as caught:
        run(ODD["dynamic quantization"].build())
    assert "DynamicQuantizeLinear" in caught.value.message
    assert "onnxino convert FLOAT.onnx --calibrate DATA.npz" in (caught.value.hint or "")
    assert "without --calibrate" not in (caught.value.hint or "")
