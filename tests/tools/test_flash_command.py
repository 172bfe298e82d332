"""onnxino flash as a newcomer uses it: other files, the emulated board, Ctrl-C, float models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino.errors import LinkError
from onnxino_converter import convert
from onnxino_tools.examples import example
from onnxino_tools.models import convert_model
from onnxino_tools.transport import PortMissingError, opening_error
from tests.tools.conftest import Command

pytest.importorskip("unicorn")


def test_the_state_file_says_which_bootloader(onnxino: Command, tmp_path: Path) -> None:
    argv = ["flash", "--port", "emulator", "--state", tmp_path / "board.flash"]
    assert onnxino(*argv, "--bootloader", "bl1")[0] == 0
    code, out, err = onnxino(*argv)
    assert (code, "BL1" in out, "is gone now" in err) == (0, True, False)
    code, _, err = onnxino(*argv, "--bootloader", "bl2")
    assert (code, "is of a board with bootloader bl1, not with bootloader bl2" in err) == (1, True)


def test_a_board_that_is_gone_afterwards(onnxino: Command) -> None:
    code, _, err = onnxino("flash", "--port", "emulator")
    assert code == 0
    assert "note: this emulated board is gone now; one that stays: onnxino flash --port emulator --state" in err


KINDS: dict[str, tuple[bytes, str, str]] = {
    "a.png": (b"\x89PNG\r\n", "is a picture (PNG), no image to flash", "onnxino run MODEL.oxm"),
    "a.jpg": (b"\xff\xd8\xff", "is a picture (JPEG), no image to flash", "onnxino run MODEL.oxm"),
    "a.ino": (b"void setup() {}", "is a sketch's source text, no image", "Export Compiled Binary"),
    "a.c": (b"int x;", "is C source, no image", "give the model file (.oxm)"),
    "a.npz": (b"PK\x03\x04", "is a NumPy archive (.npz), no image", "--data"),
    "a.npy": (b"\x93NUMPY", "is a NumPy array (.npy), no image", "--data"),
    "a.hex": (b":020000040001F9", "is an Intel HEX file, no image", "flash the .bin beside it"),
    "a.tflite": (b"abcdTFL3", "is a TensorFlow Lite model, no image", "export the model to ONNX"),
}


@pytest.mark.parametrize("name", KINDS)
def test_other_files_are_named(onnxino: Command, tmp_path: Path, name: str) -> None:
    data, message, hint = KINDS[name]
    (tmp_path / name).write_bytes(data)
    code, _, err = onnxino("flash", tmp_path / name)
    assert (code, message in err, hint in err) == (1, True, True), err


def test_a_folder(onnxino: Command, tmp_path: Path) -> None:
    code, _, err = onnxino("flash", tmp_path)
    assert (code, f"'{tmp_path}' is a folder" in err) == (1, True)
    assert "hint: give a file" in err


def test_interrupted_while_it_is_written(onnxino: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino_tools.flasher import sam_ba

    def stop(boot: object, offset: int, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sam_ba.SamBa, "write", stop)
    code, _, err = onnxino("flash", "--port", "emulator")
    assert code == 130
    assert "note: nothing is lost: the board waits in its bootloader, and the same command finishes" in err


def test_a_float_model_is_noted_and_equal_to_the_converted(onnxino: Command, tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, d]) for n, d in (("x", 4), ("y", 3))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "net", ports[:1], ports[1:], [weights])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    code, out, err = onnxino("flash", path, "--port", "emulator")
    assert (code, "note: the model is not quantized: it runs in float32" in err) == (0, True), err
    assert "net" in out
    assert convert_model(str(path))[0] == convert(path, float=True).model


def test_a_model_is_the_converted_one() -> None:
    digits = example("digits", "digits_int8.onnx")
    assert convert_model(str(digits)) == (convert(digits).model, "")


@pytest.mark.parametrize(
    ("port", "text", "message", "kind"),
    [
        (
            "rfc2217://h:1",
            "Remote does not seem to support RFC2217 or BINARY mode",
            "in use by another",
            PortMissingError,
        ),
        ("rfc2217://h:1", BrokenPipeError(32, "Broken pipe"), "in use by another", PortMissingError),
        ("rfc2217://h:1", "Connection refused", "cannot connect to", PortMissingError),
        ("/dev/null", "Could not configure port: (25, 'Inappropriate ioctl for device')", "no serial port", LinkError),
    ],
)
def test_ports_that_cannot_be_opened(port: str, text: str | OSError, message: str, kind: type[LinkError]) -> None:
    error = opening_error(port, text if isinstance(text, OSError) else OSError(text))
    assert type(error) is kind
    assert message in error.message
    assert error.hint
