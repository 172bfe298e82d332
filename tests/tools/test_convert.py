"""convert, info, build and doctor: files, JSON, and clear errors."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino.model import load_model
from onnxino_tools.commands import doctor
from onnxino_tools.examples import example
from tests.tools.conftest import Command

DIGITS = example("digits", "digits_int8.onnx")
REPORT_KEYS = {
    "macs",
    "parameters",
    "nonzero",
    "weight_bytes",
    "constant_bytes",
    "arena_bytes",
    "model_bytes",
    "operators",
}


def test_files(onnxino: Command, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    code, out, err = onnxino("convert", DIGITS, "-o", folder, "--name", "digits")
    assert code == 0
    assert {p.name for p in folder.iterdir()} == {"digits.oxm", "digits.c", "digits.h", "digits.report.json"}
    assert "multiply-adds     154,784" in out
    assert f"next: onnxino run {folder / 'digits.oxm'} IMAGE" in err
    report = json.loads((folder / "digits.report.json").read_text())
    assert set(report) >= REPORT_KEYS
    assert report["model_bytes"] == (folder / "digits.oxm").stat().st_size
    assert report["macs"] == 196 * 8 * 25 + 49 * 16 * 72 + 16 * 24 * 144 + 384 * 10


def test_json_is_the_report(onnxino: Command, tmp_path: Path) -> None:
    code, out, err = onnxino("convert", DIGITS, "-o", tmp_path, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "digits_int8.report.json").read_text())


def test_the_same_twice(onnxino: Command, tmp_path: Path) -> None:
    digests: list[str] = []
    for folder in ("a", "b"):
        assert onnxino("convert", DIGITS, "-o", tmp_path / folder, "--name", "d")[0] == 0
        digests.append(hashlib.sha256((tmp_path / folder / "d.oxm").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_options_go_into_the_model(onnxino: Command, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("\ufeffzero\none\ntwo\n\n3\n4\n5\n6\n7\n8\n九\n".encode())
    pixels = ["--scale", "0.5", "--mean", "1", "--std", "2", "--layout", "NCHW"]
    argv = ["convert", DIGITS, "-o", tmp_path, "--name", "d", "--labels", tmp_path / "labels.txt", *pixels]
    assert onnxino(*argv)[0] == 0
    metadata = load_model(tmp_path / "d.oxm").metadata
    assert metadata is not None
    assert metadata.class_labels == ["zero", "one", "two", "3", "4", "5", "6", "7", "8", "九"]
    stored = metadata.preprocessing
    assert stored is not None
    assert stored.mean is not None
    assert stored.std is not None
    assert (stored.scale, stored.mean[0], stored.std[0], stored.layout) == (0.5, 1.0, 2.0, "NCHW")


def _unsupported(path: Path) -> None:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy")
    graph = helper.make_graph(
        [helper.make_node("Einsum", ["x"], ["y"], name="strange", equation="ij->ij")], "g", [x], [y]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.mark.parametrize(
    ("name", "content", "arguments", "messages"),
    [
        ("m.onnx", b"this is no model", [], ["m.onnx"]),
        ("m.onnx", b"", [], ["m.onnx"]),
        ("m.tflite", b"\x1c\0\0\0TFL3", [], ["tflite", "tf2onnx"]),
        ("m.onnx", None, [], ["Einsum", "strange"]),
        ("ok", DIGITS.read_bytes(), ["--name", "1x"], ["1x"]),
        ("ok.onnx", DIGITS.read_bytes(), ["--labels", "a,b"], ["2 labels", "10 values"]),
        ("ok.onnx", DIGITS.read_bytes(), ["--labels", "a,a"], ["two labels are the same"]),
        ("ok.onnx", DIGITS.read_bytes(), ["--labels", "nofile"], ["there is no file of labels 'nofile'"]),
        ("ok.onnx", DIGITS.read_bytes(), ["--layout", "NCHW"], ["--layout alone"]),
        ("ok.onnx", DIGITS.read_bytes(), ["--board", "pico"], ["pico", "nano33ble"]),
    ],
)
def test_errors(
    onnxino: Command, tmp_path: Path, name: str, content: bytes | None, arguments: list[str], messages: list[str]
) -> None:
    file = tmp_path / name
    _unsupported(file) if content is None else file.write_bytes(content)
    code, out, err = onnxino("convert", file, "-o", tmp_path / "out", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert all(message in err for message in messages), err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there(onnxino: Command, tmp_path: Path) -> None:
    code, out, err = onnxino("convert", tmp_path / "none.onnx", "-o", tmp_path)
    assert (code, out) == (1, "")
    assert "none.onnx" in err


def test_a_folder_that_cannot_be_made(onnxino: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = onnxino("convert", DIGITS, "-o", tmp_path / "file" / "out")
    assert code == 1
    assert f"error: '{tmp_path / 'file' / 'out'}' cannot be written: " in err
    assert "hint: " in err


def test_labels_that_are_no_text(onnxino: Command, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe\x00")
    code, _, err = onnxino("convert", DIGITS, "-o", tmp_path, "--labels", tmp_path / "l.txt")
    assert code == 1
    assert "are not UTF-8 text" in err


def test_info(onnxino: Command, tiny: Path) -> None:
    code, out, _ = onnxino("info", tiny)
    assert code == 0
    assert "inputs           x: tensor(float) ['batch', 4, 4, 1]" in out
    facts = json.loads(onnxino("info", tiny, "--json")[1])
    assert facts["arena_bytes"] == 19
    assert facts["sha256"] == hashlib.sha256(tiny.read_bytes()).hexdigest()


def test_build_without_a_compiler(onnxino: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = onnxino("build", "-o", tmp_path, "--compiler", "gcc")
    assert code == 1
    assert "error: arm-none-eabi-gcc is not on PATH" in err


def test_doctor(onnxino: Command) -> None:
    code, out, err = onnxino("doctor")
    assert code == 0
    assert "python" in out
    assert "the board answers" in out
    assert "next: onnxino demo" in err
    result = json.loads(onnxino("doctor", "--json")[1])
    assert result["ok"]
    assert {"python", "numpy", "extra emulator", "compiler (host)", "emulator", "cache"} <= {
        f["topic"] for f in result["findings"]
    }


def test_doctor_without_the_emulator(onnxino: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    there = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "unicorn" else there(name))
    code, _, err = onnxino("doctor")
    assert code == 0
    assert "convert, info, run, and serial-eval with a board work" in err
    assert err.endswith("next: pip install 'onnxino[emulator]'\n")


def test_what_comes_next(onnxino: Command, tmp_path: Path) -> None:
    _, _, err = onnxino("convert", DIGITS, "-o", tmp_path, "--name", "n")
    assert f"serial-eval --port emulator --model {tmp_path / 'n.oxm'} --data DATA" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder\nhint: inspect takes a model file"),
        ("bad.png", "bad.png' is neither .oxm nor .onnx nor a serial port\nhint: "),
        ("m.tflite", "is a TensorFlow Lite model, not ONNX"),
        ("cut.oxm", "is truncated: it has 100 bytes, its header says"),
    ],
)
def test_inspect_of_what_is_no_model(onnxino: Command, tmp_path: Path, tiny: Path, name: str, message: str) -> None:
    (tmp_path / "bad.png").write_text("text")
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    (tmp_path / "cut.oxm").write_bytes(tiny.read_bytes()[:100])
    code, out, err = onnxino("inspect", tmp_path / name)
    assert (code, out) == (1, "")
    assert message in err
    assert "hint: " in err


def test_doctor_of_a_poor_computer(onnxino: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    code, out, err = onnxino("doctor")
    assert code == 1
    assert "pip install numpy" in out
    assert "pip install 'onnxino[images]'" in out
    assert "error: something that Onnxino needs is missing" in err


@pytest.mark.parametrize(("access", "state"), [(True, "ok"), (False, "missing")])
def test_doctor_looks_at_permissions(monkeypatch: pytest.MonkeyPatch, access: bool, state: str) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no permissions of ports")
    monkeypatch.setattr("onnxino_tools.transport.list_ports", lambda: [("/dev/ttyACM0", "Nano 33 BLE")])
    monkeypatch.setattr("os.access", lambda name, mode: access)
    (finding,) = doctor.ports()
    assert (finding.state, "Nano 33 BLE" in finding.text) == (state, True)
    assert access or "dialout" in str(finding.hint)


def _float_model(path: Path) -> Path:
    """One Conv in float32."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2, 1, 1], [1.0] * 6)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 4])],
        [weights],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_float_model_needs_the_option(onnxino: Command, tmp_path: Path) -> None:
    path = _float_model(tmp_path / "net.onnx")
    code, _, err = onnxino("convert", path, "-o", tmp_path)
    assert code == 1
    assert "the model is not quantized" in err
    assert "--calibrate" in err
    assert onnxino("convert", path, "-o", tmp_path, "--float")[0] == 0
    report = json.loads((tmp_path / "net.report.json").read_text())
    assert [operator["kernel"] for operator in report["operators"]] == ["FloatConv2D"]


def dense(batch: int) -> Any:
    """x [batch, 6] -> y [batch, 3], float32."""
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, s]) for n, s in (("x", 6), ("y", 3))]
    weights = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_model_of_several_samples_at_once(onnxino: Command, tmp_path: Path) -> None:
    """convert says what it costs; its command makes a model of one; run and serial-eval refuse clearly."""
    source = tmp_path / "it's eight.onnx"
    onnx.save(dense(8), str(source))
    code, _, err = onnxino("convert", source, "--float", "--name", "eight", "-o", tmp_path)
    assert code == 0
    assert "note: the input is [8, 6]: if 8 is the batch, the device takes 8 samples at once, in 8 times the RAM" in err
    assert "next: onnxino run" not in err
    np.savez(tmp_path / "d.npz", x=np.zeros((16, 6), np.float32), labels=np.zeros(16, np.int64))
    for argv in (
        ["run", tmp_path / "eight.oxm", tmp_path / "d.npz"],
        ["serial-eval", "--port", "emulator", "--model", tmp_path / "eight.oxm", "--data", tmp_path / "d.npz"],
    ):
        code, _, text = onnxino(*argv)
        assert code == 1
        assert "takes 8 samples at once, or has no batch dimension: its input 'x' is [8, 6]" in text
        assert "hint: export the model with a batch of 1" in text
    command = next(line for line in err.splitlines() if line.startswith("for one: python -c "))
    argv = shlex.split(command.removeprefix("for one: "))
    subprocess.run([sys.executable, *argv[1:]], check=True)
    made = onnx.load(str(tmp_path / "it's eight_batch1.onnx"))
    assert [p.type.tensor_type.shape.dim[0].dim_value for p in (*made.graph.input, *made.graph.output)] == [1, 1]
    code, _, err = onnxino("convert", tmp_path / "it's eight_batch1.onnx", "--float", "--name", "one", "-o", tmp_path)
    assert code == 0
    assert f"next: onnxino run {tmp_path / 'one.oxm'} DATA.npy" in err
    assert "--data DATA.npz" in err
    code, out, _ = onnxino("run", tmp_path / "one.oxm", tmp_path / "d.npz")
    assert (code, len(out.splitlines())) == (0, 16)


def test_the_optimized_graph_is_saved_for_viewers(onnxino: Command, tmp_path: Path) -> None:
    seen = tmp_path / "seen.onnx"
    assert onnxino("convert", DIGITS, "-o", tmp_path, "--save-onnx-optimized", seen)[0] == 0
    kinds = [node.op_type for node in onnx.load(seen).graph.node if node.op_type != "Reshape"]
    assert kinds == ["Conv2D"] * 3 + ["FullyConnected"]
