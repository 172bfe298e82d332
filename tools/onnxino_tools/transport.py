"""Byte streams to a device: serial ports, pyserial URLs (socket://host:port), and the emulator in this process."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from onnxino.errors import LinkError

if TYPE_CHECKING:
    from types import TracebackType

BAUD_RATE = 1_000_000
_STEP = 0.05  # seconds that a read from a remote port waits at a time


class PortMissingError(LinkError):
    """There is no port of this name at the moment."""


class Transport(Protocol):
    """A byte stream to a device and back."""

    name: str

    def write(self, data: bytes) -> None:
        """Sends all bytes. Raises LinkError when the device is gone."""
        ...

    def read(self, timeout: float) -> bytes:
        """At least one byte, or b"" after `timeout` seconds. Raises LinkError when the device is gone."""
        ...

    def close(self) -> None:
        """Releases the port. May be called twice."""
        ...


def open_transport(port: str, baud_rate: int = BAUD_RATE) -> Transport:
    """The transport to a serial port or pyserial URL.

    "emulator" is not opened here: it needs an image, so its user makes a Machine and an EmulatorTransport.
    Raises LinkError with the ports that exist, or with what to do about a missing permission or a busy port.
    """
    if port.startswith("socket://"):
        from onnxino_tools.socket_transport import SocketTransport

        return SocketTransport(port)
    return PySerialTransport(port, baud_rate)


def list_ports() -> list[tuple[str, str]]:
    """(name, description) of the serial ports of this computer."""
    from serial.tools import list_ports as ports

    return sorted((str(p.device), str(p.description)) for p in ports.comports())


class PySerialTransport:
    """A serial port or URL through pyserial, opened exclusively: 8 data bits, no parity, no flow control."""

    def __init__(self, port: str, baud_rate: int = BAUD_RATE) -> None:
        import serial

        self.name = port
        self._serial: Any = None
        # RFC 2217: each change of a timeout would send all settings anew, and writing knows none.
        self._remote = port.startswith("rfc2217://")
        wait, patience = (_STEP, None) if self._remote else (0, 5)
        try:
            self._serial = serial.serial_for_url(
                port, baudrate=baud_rate, timeout=wait, write_timeout=patience, exclusive=None
            )
            self._lock(port)
        except (OSError, ValueError, *termios_errors()) as error:  # serial.SerialException is an OSError
            self.close()
            raise opening_error(port, error) from None

    def _lock(self, port: str) -> None:
        if os.name == "posix" and "://" not in port:
            self._serial.exclusive = True

    def write(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._serial.write(data)
        except (OSError, TypeError, AttributeError, *termios_errors()) as error:
            raise self._gone(error) from None

    def read(self, timeout: float) -> bytes:
        """See Transport."""
        try:
            if self._remote:
                return self._read_in_steps(timeout)
            self._serial.timeout = timeout
            first = bytes(self._serial.read(1))
            waiting = int(self._serial.in_waiting) if first else 0
            if "://" in self.name and first:  # a socket tells only whether something waits, not how much
                self._serial.timeout = 0
                return first + bytes(self._serial.read(4096))
            return first + bytes(self._serial.read(waiting)) if waiting else first
        except (OSError, TypeError, AttributeError, *termios_errors()) as error:
            raise self._gone(error) from None

    def _read_in_steps(self, timeout: float) -> bytes:
        end = time.monotonic() + timeout
        while True:
            first = bytes(self._serial.read(1))
            if first:
                waiting = int(self._serial.in_waiting)
                return first + bytes(self._serial.read(waiting)) if waiting else first
            if time.monotonic() >= end:
                return b""

    def close(self) -> None:
        """See Transport."""
        if self._serial is not None:
            with contextlib.suppress(OSError, *termios_errors()):  # unplugged: nothing is left to close
                self._serial.close()

    def __enter__(self) -> PySerialTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _gone(self, error: BaseException) -> LinkError:
        return LinkError(
            f"the connection to {self.name} broke: {_in_words(error)}",
            "was the device unplugged, or the emulator ended?",
        )


def _in_words(error: BaseException) -> str:
    """pyserial's texts for a device that is gone say what the system's calls returned."""
    text = str(error)
    gone = ("returned no data", "Input/output error", "Errno 5", "No such device", "Device not configured")
    if isinstance(error, TypeError | AttributeError) or any(part in text for part in gone):
        return "the port disappeared"
    return text


def termios_errors() -> tuple[type[Exception], ...]:
    """What pyserial lets through when a port vanishes while it is configured (no OSError)."""
    try:
        import termios
    except ImportError:  # Windows
        return ()
    return (termios.error,)


def opening_error(port: str, error: BaseException) -> LinkError:
    """What went wrong with opening a port, by errno where there is one (pyserial wraps it in its own exception)."""
    text = str(error)
    code = getattr(error, "errno", None)
    lower = text.lower()
    closed = code in (errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED) or "does not seem to support rfc2217" in lower
    if port.startswith("rfc2217://") and closed:
        return PortMissingError(
            f"{port} is in use by another program, or its board is just restarting: it takes connections and "
            "closes them",
            "close the other program that has it open",
        )
    if "://" in port:
        hint = "is the emulator running there (onnxino emulate --tcp)?"
        return PortMissingError(f"cannot connect to {port}: {text}", hint)
    if "inappropriate ioctl" in lower or code in (errno.ENOTTY, errno.EISDIR) or Path(port).is_file():
        return LinkError(f"{port} is no serial port", _ports_hint())
    if code == errno.ENOENT or "filenotfounderror" in lower:
        return PortMissingError(f"there is no serial port {port}", _ports_hint())
    # On Windows a busy port answers with "access denied".
    if code == errno.EACCES or ("permissionerror" in lower and os.name != "nt"):
        return LinkError(
            f"no permission to open {port}",
            "add yourself to the group dialout (Debian, Ubuntu: sudo usermod -aG dialout $USER; then log in again) "
            'or add a udev rule: SUBSYSTEM=="tty", ATTRS{idVendor}=="2341", MODE="0666" (onnxino boards --udev-rule)',
        )
    if (
        code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)
        or "lock" in lower
        or "denied" in lower
        or "busy" in lower
    ):
        return LinkError(
            f"{port} is in use by another program", "close the serial monitor or other program that has it open"
        )
    return LinkError(f"cannot open {port}: {text}", _ports_hint())


def _ports_hint() -> str:
    try:
        found = list_ports()
    except (OSError, ImportError):
        found = []
    if not found:
        return "no serial ports were found; without a board, give emulator in the place of the port"
    return "found: " + ", ".join(f"{name} ({description})" for name, description in found)
