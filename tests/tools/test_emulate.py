"""emulate and the emulator as port: real firmware, real serial path."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from onnxino.errors import LinkError, OnnxinoError
from onnxino_tools.emulator_process import EmulatorProcess
from onnxino_tools.examples import example
from onnxino_tools.socket_transport import SocketTransport
from tests.tools.conftest import Command, tiny_arrays

pytest.importorskip("unicorn")


def test_serial_eval_in_process(onnxino: Command, tiny: Path, tiny_data: Path) -> None:
    code, out, err = onnxino("serial-eval", "--port", "emulator", "--model", tiny, "--data", tiny_data, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["images"], result["bytes_compared"], result["bytes_different"]) == (12, 36, 0)
    assert result["accuracy"] == 1.0
    assert result["latency_ms_median"] > 0
    assert "over the serial port into flash" in err


def test_run_in_the_emulator(onnxino: Command, tiny: Path, tiny_data: Path) -> None:
    code, out, _ = onnxino("run", tiny, tiny_data, "--backend", "emulator", "--json")
    answers = json.loads(out)["images"]
    assert code == 0
    assert [a["prediction"] for a in answers] == [0, 1, 2] * 4
    assert all(a["cycles"] > 0 for a in answers)


def test_info_of_a_device(onnxino: Command) -> None:
    code, out, _ = onnxino("info", "emulator", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["clock_hz"], facts["model_region_size"]) == (64_000_000, 0xA0000)


def test_a_device_that_dies_over_a_real_port(tiny: Path, tmp_path: Path) -> None:
    """The emulator's process is killed while images are streamed: the images done are reported and saved."""
    from onnxino_tools.build import firmware_image

    image = tmp_path / "image.bin"
    image.write_bytes(firmware_image())
    np.savez(tmp_path / "many.npz", **tiny_arrays(50_000))
    with EmulatorProcess(image, tmp_path, tcp=True) as emulator:
        argv = ["serial-eval", "--port", emulator.port, "--model", str(tiny), "--data", str(tmp_path / "many.npz")]
        command = [sys.executable, "-m", "onnxino_tools.main", *argv, "--json", "--save", str(tmp_path / "s.npz")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_for_images(process)
            emulator.kill()
            out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    done = json.loads(out)["images"]
    assert 0 < done < 50_000
    assert f"{done:,} of 50,000 images were done" in err
    assert "error: the connection to socket://" in err
    assert len(np.load(tmp_path / "s.npz")["predictions"]) == done


def wait_for_images(process: subprocess.Popen[str]) -> None:
    """Returns when the model is loaded and some images have been streamed."""
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith("device: "):
        assert line, "it ended before the model was loaded"
    time.sleep(1)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent by a signal")
def test_ctrl_c_in_the_emulator(tiny: Path, tmp_path: Path) -> None:
    """The engine's callbacks must not swallow it."""
    np.savez(tmp_path / "many.npz", **tiny_arrays(50_000))
    argv = ["serial-eval", "--port", "emulator", "--model", str(tiny), "--data", str(tmp_path / "many.npz"), "--json"]
    command = [sys.executable, "-m", "onnxino_tools.main", *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for_images(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert 0 < json.loads(out)["images"] < 50_000
    assert "error: interrupted" in err


def test_emulate_says_its_port_as_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onnxino_tools.main", "emulate", "--json", "--tcp", "--until-stdin-closes"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--model", str(example("digits", "digits_int8.onnx"))], stdin=pipe, stdout=pipe
    ) as p:
        out, _ = p.communicate(timeout=60)  # closes stdin at once
    assert json.loads(out)["port"].startswith("socket://127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "none.bin"], "the image 'none.bin' cannot be read"),
        (["--image", __file__], "is no firmware image: the image's first word"),
        (["--model", "none.oxm"], "there is no model 'none.oxm'"),
        (["--tcp", "nonsense"], "'nonsense' is no TCP address"),
        (["--wait-states", "99"], "99 wait states"),
    ],
)
def test_errors(onnxino: Command, arguments: list[str], message: str) -> None:
    code, out, err = onnxino("emulate", *arguments)
    assert (code, out) == (1, "")
    assert message in err


@pytest.mark.parametrize("argv", [["emulate"], ["demo"], ["info", "emulator"]])
def test_without_unicorn(onnxino: Command, monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    from onnxino_tools import devices

    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    code, _, err = onnxino(*argv)
    assert code == 1
    assert "error: the emulator needs the extra 'emulator'" in err
    assert "hint: pip install 'onnxino[emulator]'" in err


def test_an_emulator_that_does_not_start(tmp_path: Path) -> None:
    """Its own words are passed on."""
    (tmp_path / "image.bin").write_bytes(b"no image")
    with pytest.raises(OnnxinoError) as error:
        EmulatorProcess(tmp_path / "image.bin", tmp_path)
    assert error.value.message.startswith("the emulator did not start: ")
    assert len(error.value.message) > len("the emulator did not start: ")


def test_a_port_that_closes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport = SocketTransport(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        peer.sendall(b"ab")
        assert transport.read(1.0) == b"ab"
        assert transport.read(0) == b""
        transport.write(b"cd")
        assert peer.recv(2) == b"cd"
        peer.close()
        with pytest.raises(LinkError, match="broke: closed by the other side"):
            transport.read(1.0)
        transport.close()
        with pytest.raises(LinkError, match="broke"):
            transport.write(b"ef")
