"""Where the emulated serial port appears for other programs: a pty, or a TCP port (pyserial's socket://host:port)."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import Protocol

from onnxino.errors import InputError, LinkError

_BACKLOG = 1 << 16  # bytes kept for a reader that does not read; then they are lost, as on a serial line


class Port(Protocol):
    """A byte stream that clients come to and leave."""

    name: str

    def wait(self, seconds: float) -> None:
        """Returns when something may have come, or after `seconds`."""
        ...

    def read(self) -> bytes:
        """What came from the client, without waiting."""
        ...

    def write(self, data: bytes) -> None:
        """To the client, if there is one; never waits."""
        ...

    def close(self) -> None: ...


class Pty:
    """A pseudo-terminal in raw mode. Its other end stays open here, so that clients may come and go."""

    def __init__(self) -> None:
        try:
            import termios
            import tty
        except ImportError as error:
            raise LinkError(
                "this system has no ptys", "use TCP: --tcp 127.0.0.1:0, and socket://HOST:PORT as port"
            ) from error
        self._termios = termios
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self._unsent = b""

    def wait(self, seconds: float) -> None:
        select.select([self._master], [self._master] if self._unsent else [], [], seconds)

    def read(self) -> bytes:
        self._flush()
        try:
            return os.read(self._master, 65536)
        except (BlockingIOError, InterruptedError):
            return b""

    def write(self, data: bytes) -> None:
        self._unsent = (self._unsent + data)[-_BACKLOG:]
        self._flush()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = os.write(self._master, self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            self._unsent = self._unsent[sent:]

    def close(self) -> None:
        for handle in (self._master, self._slave):
            os.close(handle)


class TcpPort:
    """Listens on host:port (0: any free port); one client at a time."""

    def __init__(self, address: str) -> None:
        host, _, number = address.rpartition(":")
        if not host or not number.isdigit() or int(number) > 65535:
            raise InputError(
                f"'{address}' is no TCP address", "HOST:PORT is expected, for example 127.0.0.1:0 (0: any free port)"
            )
        host = host.strip("[]")
        try:
            self._listener = socket.create_server(
                (host, int(number)), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            raise LinkError(
                f"cannot listen on {address}: {error.strerror or error}", "choose another port, or 0 for a free one"
            ) from error
        self._listener.setblocking(False)
        bound = self._listener.getsockname()
        self.name = f"socket://{f'[{host}]' if ':' in host else host}:{bound[1]}"
        self._client: socket.socket | None = None
        self._unsent = b""

    def wait(self, seconds: float) -> None:
        sockets = [self._listener] if self._client is None else [self._listener, self._client]
        select.select(sockets, [self._client] if self._client is not None and self._unsent else [], [], seconds)

    def read(self) -> bytes:
        data = self._receive()
        if self._client is None:
            self._accept()
        else:
            self._refuse()
            self._flush()
        return data

    def _receive(self) -> bytes:
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
        return data

    def _accept(self) -> None:
        try:
            self._client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        self._client.setblocking(False)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _refuse(self) -> None:
        """A second client: the line is taken."""
        with suppress(BlockingIOError, InterruptedError, ConnectionError):
            self._listener.accept()[0].close()

    def write(self, data: bytes) -> None:
        if self._client is not None:  # nobody listens: the bytes are lost, as on a serial line
            self._unsent += data
            self._flush()

    def _flush(self) -> None:
        while self._unsent and self._client is not None:
            try:
                sent = self._client.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._drop()
                return
            self._unsent = self._unsent[sent:]

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client, self._unsent = None, b""

    def close(self) -> None:
        self._drop()
        self._listener.close()
