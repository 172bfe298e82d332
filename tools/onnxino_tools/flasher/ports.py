"""What flashing needs of a computer's serial ports, and those of this computer; the emulator has its own."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Protocol

from onnxino.errors import LinkError
from onnxino_tools.boards import ConnectedBoard, connected_boards
from onnxino_tools.transport import open_transport, opening_error, termios_errors

if TYPE_CHECKING:
    from onnxino_tools.transport import Transport

TOUCH_BAUD_RATE = 1200
_TOUCH_SECONDS = 0.1  # that the port is open at 1200 baud


class Ports(Protocol):
    """Serial ports that appear and disappear, and the time that passes meanwhile."""

    def boards(self) -> list[ConnectedBoard]:
        """The boards that are known by their USB ids."""
        ...

    def open(self, port: str) -> Transport:
        """Raises LinkError."""
        ...

    def touch(self, port: str) -> None:
        """Opens the port at 1200 baud, drops DTR and closes it: an application then starts the bootloader.

        Raises LinkError where the port cannot be opened.
        """
        ...

    def sleep(self, seconds: float) -> None: ...

    def now(self) -> float:
        """Seconds."""
        ...


class SystemPorts:
    """The serial ports of this computer, and URLs of pyserial."""

    def boards(self) -> list[ConnectedBoard]:
        """See Ports."""
        return connected_boards()

    def open(self, port: str) -> Transport:
        """See Ports."""
        return open_transport(port)

    def touch(self, port: str) -> None:
        """See Ports."""
        if port.startswith("socket://"):
            raise LinkError(
                f"{port} carries bytes only, no baud rate: the bootloader cannot be started through it",
                "use the serial port itself, or rfc2217://HOST:PORT",
            )
        import serial

        try:
            opened = serial.serial_for_url(port, baudrate=115200, timeout=0)
        except (OSError, ValueError, *termios_errors()) as error:
            raise opening_error(port, error) from None
        # The board may be gone before the port is closed; and ptys have no DTR.
        with contextlib.suppress(OSError, *termios_errors()):
            # Two rates one after the other: only a change is told to the device.
            opened.baudrate = TOUCH_BAUD_RATE
        with contextlib.suppress(OSError, *termios_errors()):
            opened.dtr = False
        time.sleep(_TOUCH_SECONDS)
        with contextlib.suppress(OSError, *termios_errors()):
            opened.close()

    def sleep(self, seconds: float) -> None:
        """See Ports."""
        time.sleep(seconds)

    def now(self) -> float:
        """See Ports."""
        return time.monotonic()


def same_port(a: str, b: str) -> bool:
    """Whether two names are one port: /dev/serial/by-id/... is a link."""
    return a == b or ("://" not in a and os.path.realpath(a) == os.path.realpath(b))
