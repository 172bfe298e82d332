"""Serial ports and URLs: what goes wrong with opening them, and with a line that breaks."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator

import pytest
import serial

from onnxino.errors import LinkError
from onnxino_tools import transport
from onnxino_tools.transport import open_transport


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def _url(server: socket.socket) -> str:
    return f"socket://127.0.0.1:{server.getsockname()[1]}"


def test_bytes_pass_over_a_socket(server: socket.socket) -> None:
    line = open_transport(_url(server))
    device, _ = server.accept()
    with device:
        line.write(b"abc")
        assert device.recv(10) == b"abc"
        assert line.read(0.01) == b""
        device.sendall(bytes(range(256)) * 20)
        got = b""
        while piece := line.read(0.2):
            got += piece
        assert got == bytes(range(256)) * 20
    line.close()
    line.close()


def test_a_broken_connection_is_a_link_error(server: socket.socket) -> None:
    line = open_transport(_url(server))
    server.accept()[0].close()
    with pytest.raises(LinkError, match=r"connection to socket://.* broke"):
        line.read(1)
    line.close()
    with pytest.raises(LinkError, match="broke"):
        line.write(b"x")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = _url(listening)
    with pytest.raises(LinkError, match="cannot connect to") as error:
        open_transport(url)
    assert "emulator" in str(error.value.hint)


@pytest.mark.parametrize(
    ("ports", "hint"),
    [([("COM7", "Nano 33 BLE")], "found: COM7 (Nano 33 BLE)"), ([], "no serial ports were found")],
)
def test_a_port_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, ports: list[tuple[str, str]], hint: str) -> None:
    monkeypatch.setattr(transport, "list_ports", lambda: ports)
    with pytest.raises(LinkError, match="no serial port /dev/onnxino-none") as error:
        open_transport("/dev/onnxino-none")
    assert hint in str(error.value.hint)


@pytest.mark.parametrize(
    ("failure", "message", "hint"),
    [
        (
            serial.SerialException(errno.EACCES, "could not open port: Permission denied"),
            "no permission to open",
            "dialout",
        ),
        (
            serial.SerialException(errno.EBUSY, "could not open port: Device or resource busy"),
            "in use by another",
            "serial monitor",
        ),
        (serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.')"), None, None),
        (
            serial.SerialException("could not open port 'COM9': FileNotFoundError(2, 'not there')"),
            "there is no serial port",
            "",
        ),
        (serial.SerialException(errno.EIO, "broken"), "cannot open", ""),
    ],
)
def test_a_port_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str | None, hint: str | None
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(serial, "serial_for_url", fail)
    with pytest.raises(LinkError) as error:
        open_transport("COM3")
    assert (message or ("in use" if os.name == "nt" else "no permission")) in error.value.message
    assert (hint or "") in str(error.value.hint)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals on this system")
def test_a_pseudo_terminal_and_its_lock() -> None:
    device, host = os.openpty()
    name = os.ttyname(host)
    line = open_transport(name)
    try:
        threading.Timer(0.05, os.write, (device, b"\0hello\0")).start()
        got = b""
        while len(got) < 7:
            got += line.read(1)
        assert got == b"\0hello\0"
        line.write(bytes(range(256)))
        assert os.read(device, 300) == bytes(range(256))
        with pytest.raises(LinkError, match="in use by another program"):
            open_transport(name)
    finally:
        line.close()
        os.close(device)
        os.close(host)
