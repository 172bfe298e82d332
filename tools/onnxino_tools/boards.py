"""Which boards are connected: serial ports with the board's USB ids, in the application or in the bootloader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onnxino.boards import NANO33BLE
from onnxino.errors import LinkError

VENDOR = 0x2341
APPLICATION = 0x805A
BOOTLOADER = 0x005A
# The Arduino core lists two more products for this board and does not say in which mode.
OTHERS = (0x015A, 0x025A)

UDEV_FILE = "/etc/udev/rules.d/60-onnxino.rules"
UDEV_RULE = (
    'SUBSYSTEM=="tty", ATTRS{idVendor}=="2341", MODE="0666", ENV{ID_MM_DEVICE_IGNORE}="1"\n'
    'SUBSYSTEM=="usb", ATTRS{idVendor}=="2341", MODE="0666"'
)
DOUBLE_TAP = "press its reset button twice within half a second: the orange LED fades in and out"


@dataclass(frozen=True)
class ConnectedBoard:
    """A serial port behind which a board is, by its USB ids.

    mode: "application", "bootloader" or "unknown". serial_number: as the USB says it, upper case.
    """

    port: str
    mode: str
    product_id: int
    serial_number: str = ""
    title: str = NANO33BLE.title

    @property
    def chip(self) -> str:
        """The last 16 digits of the serial number, which application and bootloader have in common."""
        return self.serial_number[-16:]


def connected_boards(ports: Iterable[Any] | None = None) -> list[ConnectedBoard]:
    """The boards behind this computer's serial ports, sorted by port.

    ports: for tests; what pyserial's comports() returns.
    """
    if ports is None:
        ports = _comports()
    found = [_board(port) for port in ports if port.vid == VENDOR and port.pid in (APPLICATION, BOOTLOADER, *OTHERS)]
    return sorted(found, key=lambda board: _natural(board.port))


def only_board(boards: list[ConnectedBoard]) -> ConnectedBoard:
    """The one board. Raises LinkError where there is none or several."""
    if not boards:
        raise LinkError("no board was found", not_found_hint())
    if len(boards) > 1:
        ports = ", ".join(f"{b.port} ({b.mode}, chip {b.chip or 'unknown'})" for b in boards)
        raise LinkError(f"{len(boards)} boards are connected: {ports}", f"choose one: --port {boards[0].port}")
    return boards[0]


def not_found_hint(without: str = "--port emulator") -> str:
    """What to do where no board is found. without: what helps where there is none."""
    text = (
        f"plug it in with a cable that carries data. If its LED is on and it is not found: {DOUBLE_TAP}, then try again"
    )
    if os.name == "posix" and os.uname().sysname == "Linux":
        text += ". onnxino boards --udev-rule shows the rule that gives everybody access"
    return f"{text}. Without a board: {without}"


def _board(port: Any) -> ConnectedBoard:
    mode = {APPLICATION: "application", BOOTLOADER: "bootloader"}.get(port.pid, "unknown")
    return ConnectedBoard(str(port.device), mode, int(port.pid), str(port.serial_number or "").upper())


def _comports() -> list[Any]:
    try:
        from serial.tools import list_ports

        return list(list_ports.comports())
    except ImportError as error:  # a Python without termios
        text = f"this Python cannot list serial ports: {error}"
        raise LinkError(text, "socket://HOST:PORT and emulator work") from error


def _natural(name: str) -> list[Any]:
    """COM10 after COM9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
