"""The flash in a file: what is flashed is there the next time, whatever ended the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bootloader_bench import PAGE, ask, wait, write_page

from onnxino.errors import InputError
from onnxino_tools.emulator import Machine
from onnxino_tools.emulator.state import HEADER_SIZE, FlashState

pytest.importorskip("unicorn")
SIZE = HEADER_SIZE + 0x100000 + 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "board.flash"


def test_flash_lasts(path: Path) -> None:
    page = bytes(range(256)) * 16
    machine = Machine(bootloader="bl2", flash_state=path)
    wait(machine, 0.6)
    write_page(machine, 0x3000, page)
    machine.close()
    assert path.stat().st_size == SIZE
    other = Machine(bootloader="bl2", flash_state=path)
    assert other.memory.flash_read(0x13000, PAGE) == page
    wait(other, 0.6)
    assert ask(other, b"Z000D0000,00001000#") == b"Z000081A7#\n\r"
    assert other.bootloader_touched == []
    other.close()


def test_an_image_is_written_over_what_is_there(program: Callable[..., Any], path: Path) -> None:
    first, second = program("echo_polled").image, program("hand_over").image
    Machine(first, flash_state=path).close()
    machine = Machine(second, flash_state=path)
    assert machine.memory.flash_read(0x10000, len(second)) == second
    machine.close()
    kept = Machine(flash_state=path)  # without a bootloader: what is in the file starts at once
    kept.run()
    assert kept.memory.ram_read(0x20000400, 4) == (0x10000).to_bytes(4, "little")
    kept.close()


def test_what_the_firmware_writes_lasts(program: Callable[..., Any], path: Path) -> None:
    machine = Machine(program("flash").image, flash_state=path)
    machine.bus.nvmc.cells.cut_after = 5  # it erases all at its end
    machine.run(until=lambda: not machine.powered)
    expected = machine.memory.flash_read(0, 0x100000)
    assert expected[0x80000:0x81000] != b"\xff" * PAGE
    machine.close()
    assert path.read_bytes()[HEADER_SIZE:][:0x100000] == expected


_SCRIPT = """
import os, signal, sys
from onnxino_tools.emulator import Machine
machine = Machine(bootloader="bl1", flash_state=sys.argv[1])
machine.run(until=lambda: machine.bootloader_waits)
bootloader = machine.startup.bootloader
for page in range(3):
    bootloader.receive(b"S00000000,00001000#" + bytes([page]) * 4096)
    bootloader.receive(b"Y00000000,0#Y%08X,00001000#" % (page * 4096))
    machine.run(until=lambda: not bootloader.busy)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_emulator_loses_nothing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT, str(path)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    data = path.read_bytes()[HEADER_SIZE + 0x10000 :]
    assert data[: 3 * PAGE] == b"".join(bytes([page]) * PAGE for page in range(3))
    machine = Machine(bootloader="bl1", flash_state=path)  # nobody has the file any more
    machine.close()


def test_a_bootloader_that_was_overwritten_is_told_of_later(path: Path) -> None:
    machine = Machine(bootloader="bl1", flash_state=path)
    wait(machine, 0.6)
    ask(machine, b"YFFFF1000,00001000#")
    machine.close()
    other = Machine(bootloader="bl1", flash_state=path)
    assert other.bootloader_touched == ["4096 bytes at 0x00001000 were changed in the past"]
    other.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"something else" * 100, "is no state file of the emulator: it starts with"),
        (lambda data: b"x", "is no state file of the emulator"),
        (lambda data: data[:16] + b"\x09" + data[17:], "has format 9; this is format 1"),
        (lambda data: data[:28] + b"X" + data[29:], r"is damaged \(wrong CRC\)"),
        (lambda data: data[:-1], f"has {SIZE - 1} bytes, not {SIZE}"),
        (lambda data: data + b"\0", f"has {SIZE + 1} bytes, not {SIZE}"),
    ],
)
def test_wrong_files(path: Path, spoil: Callable[[bytes], bytes], message: str) -> None:
    FlashState(path, "nano33ble", "bl1", bytes(4096)).close()
    spoiled = spoil(path.read_bytes())
    path.write_bytes(spoiled)
    with pytest.raises(InputError, match=message) as caught:
        Machine(bootloader="bl1", flash_state=path)
    assert caught.value.hint is not None
    assert path.read_bytes() == spoiled  # it is left as it is


@pytest.mark.parametrize(
    ("board", "bootloader", "message"),
    [
        ("nano33ble", "bl2", "is of a board with bootloader bl1, not with bootloader bl2"),
        ("nano33ble", "", "is of a board with bootloader bl1, not with no bootloader"),
        ("uno", "bl1", "is of the board 'nano33ble', not 'uno'"),
    ],
)
def test_another_board(path: Path, board: str, bootloader: str, message: str) -> None:
    FlashState(path, "nano33ble", "bl1", bytes(4096)).close()
    with pytest.raises(InputError, match=message):
        FlashState(path, board, bootloader, bytes(4096))


@pytest.mark.skipif(os.name == "nt", reason="files are locked with flock")
def test_one_emulator_at_a_time(path: Path) -> None:
    machine = Machine(bootloader="bl1", flash_state=path)
    with pytest.raises(InputError, match="is used by another emulator"):
        Machine(bootloader="bl1", flash_state=path)
    machine.close()
    Machine(bootloader="bl1", flash_state=path).close()


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "board.flash"):
        with pytest.raises(InputError, match="cannot be opened"):
            Machine(bootloader="bl1", flash_state=path)
