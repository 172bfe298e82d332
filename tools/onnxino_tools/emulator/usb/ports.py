"""Where the emulated USB serial port appears for other programs. It comes and goes with the device, and carries baud
rate and DTR: a pty behind a name that stays, or RFC 2217 on TCP."""

from __future__ import annotations

import os
import select
import socket
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from onnxino.errors import InputError, LinkError

BACKLOG = 1 << 16  # bytes that wait for a slow reader before the device is held back
_OPEN_CHECK = 0.004  # seconds between two looks whether somebody opened the pty


@dataclass(frozen=True)
class LineState:
    """What the program at the other end has set; `opened` is false where there is none."""

    opened: bool = False
    dtr: bool = False
    baud_rate: int = 9600


class UsbPort(Protocol):
    """A serial port that exists between `connect` and `disconnect`."""

    name: str
    present: bool

    def connect(self) -> None:
        """The port appears. Raises LinkError."""

    def disconnect(self) -> None:
        """The port vanishes, and who has it open sees a hang-up."""

    def line(self) -> LineState:
        """How the port is open now."""
        ...

    def wait(self, seconds: float) -> None: ...

    def read(self) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    @property
    def full(self) -> bool:
        """The reader does not keep up."""
        ...

    def close(self) -> None: ...


class UsbPty:
    """A symbolic link in a folder of its own leads to a pty that is made anew each time the device comes."""

    def __init__(self) -> None:
        try:
            import termios
            import tty
        except ImportError as error:
            raise LinkError("this system has no ptys", "use TCP: --tcp 127.0.0.1:0") from error
        self._termios: Any = termios
        self._raw: Any = tty.setraw
        self._speeds = {value: int(name[1:]) for name, value in vars(termios).items() if _is_speed(name)}
        self._folder = Path(tempfile.mkdtemp(prefix="onnxino-"))
        self._link = self._folder / "ttyACM0"
        self.name = str(self._link)
        self.present = False
        self._master = -1
        self._first_rate = 0
        self._unsent = bytearray()

    def connect(self) -> None:
        self._master, slave = os.openpty()
        self._raw(slave)
        path = os.ttyname(slave)
        os.close(slave)  # from now on the master is hung up while nobody has the port open
        os.set_blocking(self._master, False)
        self._first_rate = self._rate()
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(path)
        self.present = True

    def disconnect(self) -> None:
        if self.present:
            self.present = False
            self._link.unlink(missing_ok=True)
            os.close(self._master)
            self._unsent.clear()

    def line(self) -> LineState:
        opened, rate = not self._events() & select.POLLHUP, self._rate()
        if not opened and rate == self._first_rate:
            return LineState()
        return LineState(opened, opened, rate)

    def _events(self) -> int:
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return next((events for _, events in poll.poll(0)), 0)

    def _rate(self) -> int:
        """The settings of a pty outlive its being open: they tell of somebody who was there in between."""
        return self._speeds.get(self._termios.tcgetattr(self._master)[5], 9600)

    def wait(self, seconds: float) -> None:
        if not self.present or self._events() & select.POLLHUP:
            time.sleep(min(seconds, _OPEN_CHECK))
            return
        select.select([self._master], [self._master] if self._unsent else [], [], seconds)

    def read(self) -> bytes:
        self._flush()
        try:
            return os.read(self._master, 65536) if self.present else b""
        except OSError:  # nothing there, or nobody
            return b""

    def write(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    @property
    def full(self) -> bool:
        return len(self._unsent) > BACKLOG

    def _flush(self) -> None:
        while self._unsent and self.present:
            try:
                sent = os.write(self._master, self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                sent = len(self._unsent)
            del self._unsent[:sent]

    def close(self) -> None:
        self.disconnect()
        with suppress(OSError):
            self._folder.rmdir()


def _is_speed(name: str) -> bool:
    return name[0] == "B" and name[1:].isdigit() and name != "B0"


class _VirtualSerial:
    """What pyserial's RFC 2217 server wants of a serial port."""

    def __init__(self) -> None:
        self.baudrate, self.bytesize, self.parity, self.stopbits = 9600, 8, "N", 1
        self.dtr = self.rts = self.xonxoff = self.rtscts = self.dsrdtr = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


class Rfc2217Port:
    """Listens on HOST:PORT (0: any free port) while the device is there; else connections are refused. One client."""

    def __init__(self, address: str) -> None:
        host, _, number = address.rpartition(":")
        if not host or not number.isdigit() or int(number) > 65535:
            raise InputError(
                f"'{address}' is no TCP address", "HOST:PORT is expected, for example 127.0.0.1:0 (0: any free port)"
            )
        from serial import rfc2217

        self._manager_class: Any = rfc2217.PortManager
        self._host, self._number = host.strip("[]"), int(number)
        self._socket = self._bind()
        self._number = self._socket.getsockname()[1]
        self.name = f"rfc2217://{f'[{self._host}]' if ':' in self._host else self._host}:{self._number}"
        self.present = False
        self._client: socket.socket | None = None
        self._manager: Any = None
        self._serial = _VirtualSerial()
        self._unsent = bytearray()

    def _bind(self) -> socket.socket:
        """Bound and not listening: nobody else gets the port, and who connects is refused."""
        bound = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self._number))
        except OSError as error:
            bound.close()
            raise LinkError(
                f"cannot listen on {self._host}:{self._number}: {error.strerror or error}",
                "choose another port, or 0 for a free one",
            ) from error
        bound.setblocking(False)
        return bound

    def connect(self) -> None:
        self._socket.listen(1)
        self.present = True

    def disconnect(self) -> None:
        if self.present:
            self.present = False
            self._drop()
            self._socket.close()
            self._socket = self._bind()

    def line(self) -> LineState:
        self._accept()
        if self._client is None:
            return LineState()
        return LineState(True, self._serial.dtr, self._serial.baudrate)

    def _accept(self) -> None:
        if not self.present:
            return
        try:
            client, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        if self._client is not None:
            client.close()  # the port is taken
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._serial = _VirtualSerial()
        self._manager = self._manager_class(self._serial, self._Connection(self))

    class _Connection:
        def __init__(self, port: Rfc2217Port) -> None:
            self._port = port

        def write(self, data: bytes) -> None:
            self._port.send(data)

    def send(self, data: bytes) -> None:
        """Bytes of the telnet connection, as they are."""
        if self._client is not None:
            self._unsent += data
            self._flush()

    def wait(self, seconds: float) -> None:
        sockets = [self._client] if self._client is not None else []
        if self.present:
            sockets.append(self._socket)
        if sockets:
            select.select(sockets, [self._client] if self._client is not None and self._unsent else [], [], seconds)
        else:
            time.sleep(seconds)

    def read(self) -> bytes:
        self._flush()
        if self._client is None:
            return b""
        try:
            data = self._client.recv(65536)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop()
            return b""
        return b"".join(self._manager.filter(data))

    def write(self, data: bytes) -> None:
        self.send(data.replace(b"\xff", b"\xff\xff"))

    @property
    def full(self) -> bool:
        return len(self._unsent) > BACKLOG

    def _flush(self) -> None:
        while self._unsent and self._client is not None:
            try:
                sent = self._client.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._drop()
                return
            del self._unsent[:sent]

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._unsent.clear()

    def close(self) -> None:
        self._drop()
        self._socket.close()
        self.present = False
