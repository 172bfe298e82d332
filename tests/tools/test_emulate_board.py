"""emulate as a whole board: its options, their errors, and boards flashed and used through its port."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onnxino_tools.emulator_process import EmulatorProcess
from onnxino_tools.examples import example
from tests.tools.conftest import Command

pytest.importorskip("unicorn")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--bootloader", "bl3"], 2, "invalid choice: 'bl3'"),
        (["--board", "uno"], 2, "invalid choice: 'uno'"),
        (["--usb", "--uart"], 2, "not allowed with argument"),
        (["--state", "no/such/folder/board.flash"], 1, "the state file 'no/such/folder/board.flash' cannot be opened"),
        (["--bootloader", "bl1", "--state", __file__], 1, "is no state file of the emulator"),
        (["--link-faults", "lose=0.1"], 1, "there is no link fault 'lose'"),
    ],
)
def test_errors(onnxino: Command, arguments: list[str], code: int, message: str) -> None:
    found, out, err = onnxino("emulate", *arguments)
    assert (found, out) == (code, "")
    assert message in err


def test_another_bootloader_than_before(onnxino: Command, tmp_path: Path) -> None:
    state = tmp_path / "board.flash"
    with EmulatorProcess(None, tmp_path, options=["--bootloader", "bl1", "--state", str(state), "--usb"]):
        pass
    code, _, err = onnxino("emulate", "--bootloader", "bl2", "--state", state)
    assert code == 1
    assert "is of a board with bootloader bl1, not with bootloader bl2" in err
    assert "hint: give --bootloader bl1, or another file" in err


def test_one_state_file_serves_one_emulator(onnxino: Command, tmp_path: Path) -> None:
    options = ["--bootloader", "bl2", "--state", str(tmp_path / "board.flash"), "--usb"]
    with EmulatorProcess(None, tmp_path, options=options):
        code, _, err = onnxino("emulate", *options)
    assert code == 1
    assert "is used by another emulator" in err


def test_an_empty_board_without_usb_says_so(tmp_path: Path) -> None:
    with EmulatorProcess(None, tmp_path, options=["--bootloader", "bl2", "--uart"]) as emulator:
        notes = emulator.notes
    assert any("there is no application in flash, and the bootloader listens on USB only" in line for line in notes)


def test_link_faults_are_counted(tiny: Path, tiny_data: Path, tmp_path: Path) -> None:
    """Some bytes are lost and some are wrong: the answers are right, and the emulator tells what it did."""
    from onnxino_tools.build import firmware_image

    image = tmp_path / "image.bin"
    image.write_bytes(firmware_image())
    spec = "to-device.drop=@300,to-device.flip=@1600,from-device.duplicate=@100"
    with EmulatorProcess(image, tmp_path, tcp=True, options=["--link-faults", spec]) as emulator:
        argv = ["serial-eval", "--port", emulator.port, "--model", str(tiny), "--data", str(tiny_data), "--json"]
        done = subprocess.run([sys.executable, "-m", "onnxino_tools.main", *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["images"], result["bytes_different"], result["accuracy"]) == (12, 0, 1.0)
    (line,) = [line for line in emulator.log if "link faults injected: " in line]
    assert line.endswith("1 from-device.duplicate, 1 to-device.drop, 1 to-device.flip")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's model, converted."""
    from onnxino_converter import convert

    path = tmp_path_factory.mktemp("digits") / "digits.oxm"
    path.write_bytes(convert(example("digits", "digits_int8.onnx")).model)
    return path


def evaluate(onnxino: Command, port: str, model: Path) -> dict[str, object]:
    data = example("digits", "digits_test.npz")
    code, out, err = onnxino("serial-eval", "--port", port, "--model", model, "--data", data, "--limit", "5", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["images"], result["bytes_different"]) == (5, 0)
    return dict(result)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")
@pytest.mark.parametrize("bootloader", ["bl1", "bl2"])
def test_flashed_over_usb_and_used_over_both_lines(
    onnxino: Command, digits: Path, tmp_path: Path, bootloader: str
) -> None:
    """The same image, byte for byte, on each bootloader and each line; the flash file carries it from one to the
    other."""
    from onnxino_tools.build import firmware_image
    from onnxino_tools.emulator.state import HEADER_SIZE

    state = tmp_path / "board.flash"
    options = ["--board", "nano33ble", "--bootloader", bootloader, "--state", str(state)]
    with EmulatorProcess(None, tmp_path, options=[*options, "--usb"]) as emulator:
        code, out, err = onnxino("flash", digits, "--port", emulator.port, "--verify", "--json")
        assert code == 0, err
        flashed = json.loads(out)
        over_usb = evaluate(onnxino, emulator.port, digits)
    assert not [line for line in emulator.log if "note: " in line]
    with EmulatorProcess(None, tmp_path, options=[*options, "--uart"]) as emulator:
        over_uart = evaluate(onnxino, emulator.port, digits)
    assert not [line for line in emulator.log if "note: " in line]
    image = firmware_image()
    kept = state.read_bytes()[HEADER_SIZE + 0x10000 :]
    assert flashed["image_sha256"] == hashlib.sha256(image).hexdigest()
    assert kept[: len(image)] == image
    assert kept[0x30000:].startswith(digits.read_bytes())
    assert over_usb["accuracy"] == over_uart["accuracy"] == 1.0


def _crashing() -> bytes:
    """An application that jumps nowhere at once."""
    import struct

    code = b"\x00\x20\x00\x47"  # movs r0, #0; bx r0: to the ARM state, which there is none of
    return struct.pack("<II", 0x20040000, 0x10101) + bytes(0xF8) + code + bytes(2000)


def _looping() -> bytes:
    """One without a USB port."""
    import struct

    return struct.pack("<II", 0x20040000, 0x10101) + bytes(0xF8) + b"\xfe\xe7" + bytes(2000)


@contextmanager
def _commanded(tmp_path: Path, *options: str) -> Generator[tuple[Callable[[str], None], Callable[[str], str]]]:
    """An emulator that takes commands: (say one, wait for a line that holds a text)."""
    log = tmp_path / "commanded.log"
    argv = [sys.executable, "-P", "-m", "onnxino_tools.main", "emulate", "--commands", "--until-stdin-closes", *options]
    with log.open("wb") as file, subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=file) as process:
        assert process.stdin is not None
        stdin = process.stdin

        def do(command: str) -> None:
            stdin.write(f"{command}\n".encode())
            stdin.flush()

        def wait_for(text: str) -> str:
            end = time.monotonic() + 30
            while time.monotonic() < end:
                for line in log.read_text("utf-8").splitlines():
                    if text in line:
                        return line
                assert process.poll() is None, log.read_text("utf-8")
                time.sleep(0.05)
            raise AssertionError(f"'{text}' is not in\n{log.read_text('utf-8')}")

        yield do, wait_for
        stdin.close()
        assert process.wait(10) == 0, log.read_text("utf-8")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")
def test_commands(onnxino: Command, tmp_path: Path) -> None:
    from onnxino_tools.build import firmware_image

    image = tmp_path / "image.bin"
    image.write_bytes(firmware_image())
    with _commanded(tmp_path, "--bootloader", "bl2", "--usb", "--image", str(image)) as (do, wait_for):
        port = wait_for("is running; its serial port is ").split("port is ")[1].split(" (Ctrl-C")[0]
        assert wait_for("commands: ") == "commands: reset, double-tap, unplug, plug"
        do("sing")
        wait_for("there is no command 'sing'; known are reset, double-tap, unplug, plug")
        do("unplug")
        wait_for("unplug: done")
        do("reset")
        wait_for("reset: the board has no power; plug comes first")
        do("plug")
        wait_for("plug: done")
        do("double-tap")
        wait_for("double-tap: done")
        code, _, err = onnxino("flash", "--port", port, "--json")
        assert code == 0, err
        do("reset")
        wait_for("reset: done")


@pytest.mark.parametrize(
    ("image", "message"), [(_crashing, "the application crashed"), (_looping, "the application shows no USB port")]
)
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")
def test_an_application_that_crashes_can_be_replaced(
    onnxino: Command, tmp_path: Path, image: Callable[[], bytes], message: str
) -> None:
    file = tmp_path / "image.bin"
    file.write_bytes(image())
    with _commanded(tmp_path, "--bootloader", "bl1", "--usb", "--image", str(file)) as (do, wait_for):
        assert "the board can be flashed after a double-tap" in wait_for(message)
        do("double-tap")
        port = wait_for("is running; its serial port is ").split("port is ")[1].split(" (Ctrl-C")[0]
        code, _, err = onnxino("flash", "--port", port, "--json")
        assert code == 0, err


def test_a_double_tap_without_a_bootloader(tmp_path: Path) -> None:
    with _commanded(tmp_path, "--tcp") as (do, wait_for):
        wait_for("commands: ")
        do("double-tap")
        wait_for("there is no bootloader that a double-tap could start: --bootloader bl1 or bl2")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")
def test_a_board_that_waits_in_its_bootloader_says_so(onnxino: Command, digits: Path, tmp_path: Path) -> None:
    """Its port has no USB ids here: the bootloader is asked."""
    data = example("digits", "digits_test.npz")
    with EmulatorProcess(None, tmp_path, options=["--bootloader", "bl2", "--usb"]) as emulator:
        port = emulator.port
        for argv in (
            ["inspect", port],
            ["serial-eval", "--port", port, "--model", digits, "--data", data],
            ["selftest", "--port", port, "-o", tmp_path / "s.json"],
            ["run", digits, data, "--backend", port],
        ):
            code, _, err = onnxino(*argv)
            assert code == 1
            assert f"error: the board at {port} runs its bootloader, no firmware" in err
            assert f"hint: onnxino flash --port {port} installs one" in err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")
def test_a_board_that_stays_away(tmp_path: Path, digits: Path) -> None:
    from onnxino_tools.build import firmware_image

    image = tmp_path / "image.bin"
    image.write_bytes(firmware_image())
    options = ["--bootloader", "bl2", "--usb", "--image", str(image), "--model", str(digits)]
    with _commanded(tmp_path, *options) as (do, wait_for):
        port = wait_for("is running; its serial port is ").split("port is ")[1].split(" (Ctrl-C")[0]
        data = str(example("digits", "digits_test.npz"))
        argv = ["serial-eval", "--port", port, "--model", str(digits), "--data", data, "--reconnect", "1"]
        with subprocess.Popen(
            [sys.executable, "-m", "onnxino_tools.main", *argv, "--repeat", "1000"], stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("device:"):
                    break
            time.sleep(2)
            do("unplug")
            err = process.stderr.read()
    assert process.returncode == 1, err
    assert f"error: the connection to {port} broke: the port disappeared; it did not come back within 1 s" in err
    assert "--reconnect 60 waits longer" in err
    assert "returned no data" not in err
