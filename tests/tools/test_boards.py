"""Which boards are found by their USB ids, the command that lists them, and the touch at 1200 baud."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from onnxino.errors import LinkError
from onnxino_tools import boards
from onnxino_tools.boards import ConnectedBoard, connected_boards, only_board
from onnxino_tools.flasher.ports import SystemPorts, same_port
from tests.tools.conftest import Command

ZEROS = "0" * 16


def port(device: str, vid: int | None = 0x2341, pid: int | None = 0x805A, serial: str | None = "7f65fdabfe86a5eb"):
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial)


def test_boards_are_found_by_their_ids() -> None:
    found = connected_boards(
        [
            port("COM10"),
            port("COM9", pid=0x005A, serial=ZEROS + "7F65FDABFE86A5EB"),
            port("COM1", vid=None, pid=None),
            port("COM2", vid=0x2341, pid=0x0043),
            port("COM3", vid=0x1366),
            port("COM11", pid=0x025A, serial=None),
        ]
    )
    assert [(b.port, b.mode, b.chip) for b in found] == [
        ("COM9", "bootloader", "7F65FDABFE86A5EB"),
        ("COM10", "application", "7F65FDABFE86A5EB"),
        ("COM11", "unknown", ""),
    ]


def test_only_board() -> None:
    board = ConnectedBoard("P", "application", 0x805A, "AA")
    assert only_board([board]) is board
    with pytest.raises(LinkError, match=r"2 boards are connected: P .application, chip AA.") as error:
        only_board([board, board])
    assert error.value.hint == "choose one: --port P"
    with pytest.raises(LinkError, match="no board was found") as error:
        only_board([])
    assert "reset button twice" in str(error.value.hint)


def test_the_command(onnxino: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [ConnectedBoard("/dev/ttyACM0", "bootloader", 0x005A, ZEROS + "7F65FDABFE86A5EB")]
    monkeypatch.setattr(boards, "connected_boards", lambda: found)
    code, out, _ = onnxino("boards")
    assert (code, out.split()[:3]) == (0, ["/dev/ttyACM0", "bootloader", "7F65FDABFE86A5EB"])
    code, out, _ = onnxino("boards", "--json")
    assert json.loads(out)[0] == {
        "port": "/dev/ttyACM0",
        "mode": "bootloader",
        "usb": "2341:005A",
        "serial_number": ZEROS + "7F65FDABFE86A5EB",
        "chip": "7F65FDABFE86A5EB",
        "title": "Arduino Nano 33 BLE Sense (nRF52840)",
    }
    found.clear()
    code, out, err = onnxino("boards")
    assert (code, out) == (0, "")
    assert "no board is connected" in err
    assert json.loads(onnxino("boards", "--json")[1]) == []


def test_udev_rule(onnxino: Command) -> None:
    code, out, err = onnxino("boards", "--udev-rule")
    assert code == 0
    assert 'ATTRS{idVendor}=="2341", MODE="0666"' in out
    assert "/etc/udev/rules.d/" in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no ptys")
def test_touch_of_a_pty() -> None:
    """The rate stays readable at the other end after the port was closed."""
    import termios

    master, slave = os.openpty()
    try:
        SystemPorts().touch(os.ttyname(slave))
        assert termios.tcgetattr(master)[5] == termios.B1200
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("name", "message"),
    [("socket://127.0.0.1:1", "carries bytes only, no baud rate"), ("/dev/ttyNOPE7", "there is no serial port")],
)
def test_touch_that_fails(name: str, message: str) -> None:
    with pytest.raises(LinkError, match=message):
        SystemPorts().touch(name)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_names_of_one_port(tmp_path) -> None:
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyACM0")
    assert same_port(str(tmp_path / "by-id"), str(tmp_path / "ttyACM0"))
    assert not same_port("COM3", "COM4")
