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
    "garbage.onnx": (b"\xff" * 100, "not an ONNX model", "onnx.checker"),
    "text.onnx": (b"hello, world", "not an ONNX model", "/text.onnx')"),
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
    assert caught.value.message.count("QLinearConv,") == 2  # of ONNX, and of com.microsoft
    assert np.all([word not in caught.value.message for word in ("Traceback", "<", "0x")])
    assert Q(0.1).zero == 0
