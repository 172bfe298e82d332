"""emulate as a whole board: its options, their errors, and boards flashed and used through its port."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from onnxino_tools.emulator_process import EmulatorProcess
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
