"""A device behind TCP (socket://host:port): the emulator where there are no ptys, or a serial port server.

pyserial knows socket:// too, but it cannot be imported on a POSIX system without termios; plain sockets need nothing.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from onnxino.errors import LinkError

CONNECT_TIMEOUT = 5.0  # seconds


class SocketTransport:
    """See Transport. Raises LinkError when the address is wrong or nobody listens there."""

    def __init__(self, url: str) -> None:
        self.name = url
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or port is None:
            raise LinkError(
                f"'{url}' is not an address", "write socket://HOST:PORT, for example socket://127.0.0.1:5331"
            )
        try:
            self._socket = socket.create_connection((host, port), CONNECT_TIMEOUT)
        except OSError as e:
            hint = "is the emulator running there? onnxino emulate --tcp"
            raise LinkError(f"cannot connect to {url}: {e.strerror or e}", hint) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._socket.settimeout(CONNECT_TIMEOUT)
            self._socket.sendall(data)
        except OSError as e:
            raise self._gone(str(e)) from None

    def read(self, timeout: float) -> bytes:
        """See Transport."""
        try:
            self._socket.settimeout(max(timeout, 0.0001))  # 0 would mean: do not wait at all
            data = self._socket.recv(65536)
        except TimeoutError:
            return b""
        except OSError as e:
            raise self._gone(str(e)) from None
        if not data:
            raise self._gone("closed by the other side")
        return data

    def close(self) -> None:
        """See Transport."""
        self._socket.close()

    def _gone(self, reason: str) -> LinkError:
        return LinkError(f"the connection to {self.name} broke: {reason}", "has the emulator ended?")
