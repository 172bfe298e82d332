"""Raw frames of a camera through `onnxino run`: the same answers on all backends, the same input on the device."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from onnxino import InferenceSession
from onnxino.backends.device import DeviceBackend
from onnxino.camera import FITS, FORMATS, Frame, frame_input
from onnxino_tools.link import DeviceError
from onnxino_tools.protocol import Status
from tests.camera.test_camera import MODELS, picture_model, random_frame
from tests.tools.conftest import Command

pytest.importorskip("unicorn")
OXM = picture_model(**MODELS["quantized with metadata"])
COUNT = 200 if os.environ.get("ONNXINO_LONG_FRAMES") else 4


def test_the_devices_input_is_the_references() -> None:
    """The device refuses to compute from other bytes: it is told the CRC-32 of the reference's input."""
    with InferenceSession(OXM, backend="emulator") as session, InferenceSession(OXM) as reference:
        device = session.backend
        assert isinstance(device, DeviceBackend)
        formats, model = list(FORMATS), session.model
        for seed in range(COUNT):
            frame = random_frame(formats[seed % 4], 160 - 2 * (seed // 8 % 20), 120 - seed // 8 % 30, seed)
            fit = list(FITS)[seed // 4 % 2]
            tensor = frame_input(model, frame, fit)
            found, expected = device.run_frame(frame, fit, tensor), reference.backend.run([tensor])
            np.testing.assert_array_equal(found[0], expected[0])
        assert session.cycles is not None
        frame, fit = random_frame("grey", 30, 20, 1), "crop"
        tensor = frame_input(model, frame, fit)
        tensor.reshape(-1)[7] ^= 1
        with pytest.raises(DeviceError, match="waiting for the inference") as error:
            device.run_frame(frame, fit, tensor)
        assert error.value.status == Status.INPUT_DIFFERS
        assert "onnxino flash" in str(error.value.hint)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.oxm"
    path.write_bytes(OXM)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "frame.raw"
    path.write_bytes(random_frame("rgb565be", 160, 120, 3).data)
    return path


@pytest.mark.parametrize("fit", FITS)
def test_all_backends_agree(onnxino: Command, model: Path, raw: Path, tmp_path: Path, fit: str) -> None:
    outputs: dict[str, bytes] = {}
    for backend in ("numpy", "c", "emulator"):
        save = tmp_path / f"{backend}.npz"
        options = ["--frame", "rgb565be:160x120", "--fit", fit, "--backend", backend, "--save", save, "--json"]
        code, out, err = onnxino("run", model, raw, *options)
        assert code == 0, err
        (answer,) = json.loads(out)["images"]
        assert answer["image"] == str(raw)
        assert (answer["cycles"] is not None) == (backend == "emulator")
        outputs[backend] = np.load(save)["outputs"].tobytes()
    assert len(set(outputs.values())) == 1
    with InferenceSession(OXM) as session:
        tensor = frame_input(session.model, Frame("rgb565be", 160, 120, raw.read_bytes()), fit)
        (expected,) = session.from_device(session.backend.run([tensor]))
    assert outputs["numpy"] == expected.tobytes()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--frame", "rgb565be"], 2, "--frame 'rgb565be' is no FORMAT:WIDTHxHEIGHT"),
        (["--frame", "rgb:160x120"], 2, "there is no frame format 'rgb'"),
        (["--frame", "grey:0x120"], 2, "each side must be 1 to 4096"),
        (["--frame", "grey:160x120"], 1, "the frame has 38,400 bytes; 160x120 as grey has 19,200"),
        (["--frame", "rgb565be:160x120", "--scale", "1"], 2, "as the model's metadata says, not by --scale"),
    ],
)
def test_mistakes(onnxino: Command, model: Path, raw: Path, options: list[str], code: int, message: str) -> None:
    found, _, err = onnxino("run", model, raw, *options)
    assert found == code
    assert message in err


def test_no_file(onnxino: Command, model: Path, tmp_path: Path) -> None:
    code, _, err = onnxino("run", model, tmp_path / "none.raw", "--frame", "grey:10x10")
    assert code == 1
    assert "none.raw' cannot be read" in err


def test_a_frame_that_does_not_fit_beside_the_model(onnxino: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "large.raw").write_bytes(bytes(2 * 640 * 480))
    options = ["--frame", "yuyv:640x480", "--backend", "emulator"]
    code, _, err = onnxino("run", model, tmp_path / "large.raw", *options)
    assert code == 1
    assert "hint: send a smaller frame: frame and model share the board's memory" in err
