"""The emulated serial port for other programs: pty and TCP, clients that come and go, signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from onnxino.errors import InputError, LinkError
from onnxino_tools.emulator import EmulatorFault, Machine, serve

needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")


@contextmanager
def serving(machine: Machine, **options: Any) -> Iterator[str]:
    """Serves in a thread; gives the name of the port."""
    stop, ready, name = threading.Event(), threading.Event(), list[str]()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            serve(machine, stop=stop, ready=lambda n: (name.append(n), ready.set()), **options)
        except BaseException as error:
            errors.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield name[0] if name else ""
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        if errors:
            raise errors[0]


def echoed(port: Any, data: bytes) -> bytes:
    port.write(data)
    return bytes(port.read(len(data)))


@pytest.fixture(params=[pytest.param({}, marks=needs_pty, id="pty"), pytest.param({"tcp": "127.0.0.1:0"}, id="tcp")])
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def test_clients_come_and_go(program: Callable[..., Any], where: dict[str, Any], tmp_path: Path) -> None:
    import serial

    port_file = tmp_path / "port"
    with serving(Machine(program("echo_polled").image), port_file=port_file, **where) as name:
        assert port_file.read_text("utf-8") == name + "\n"
        assert name.startswith("socket://127.0.0.1:" if where else "/dev/")
        for round in range(3):
            with serial.serial_for_url(name, timeout=5) as port:
                data = bytes(range(256)) * 4 + bytes([round])
                assert echoed(port, data) == data
    assert not port_file.exists()


def test_a_client_that_does_not_read_stops_nothing(program: Callable[..., Any], where: dict[str, Any]) -> None:
    import serial

    with serving(Machine(program("echo_polled").image), **where) as name:
        with serial.serial_for_url(name, timeout=5) as port:
            for _ in range(6):
                port.write(bytes(1024))
            time.sleep(0.1)
        with serial.serial_for_url(name, timeout=0.3) as port:
            while port.read(1024):
                pass
            assert echoed(port, b"still there") == b"still there"


def test_waiting_does_not_burn_cpu(program: Callable[..., Any], where: dict[str, Any]) -> None:
    resource = pytest.importorskip("resource")
    for firmware in ("echo_polled", "echo_interrupt"):
        with serving(Machine(program(firmware).image), **where):
            time.sleep(0.2)
            before = resource.getrusage(resource.RUSAGE_SELF)
            time.sleep(0.5)
            after = resource.getrusage(resource.RUSAGE_SELF)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.2


def test_a_second_tcp_client_is_turned_away(program: Callable[..., Any]) -> None:
    with serving(Machine(program("echo_polled").image), tcp="127.0.0.1:0") as name:
        address = ("127.0.0.1", int(name.rpartition(":")[2]))
        with socket.create_connection(address, 5) as first:
            first.sendall(b"a")
            assert first.recv(1) == b"a"
            with socket.create_connection(address, 5) as second:
                assert second.recv(1) == b""
            first.sendall(b"b")
            assert first.recv(1) == b"b"


def test_time_passes_as_on_the_wall(program: Callable[..., Any], where: dict[str, Any]) -> None:
    machine = Machine(program("echo_interrupt").image)
    with serving(machine, **where):
        time.sleep(0.3)
        start, wall = machine.time, time.monotonic()
        time.sleep(1.0)
        passed, real = machine.time - start, time.monotonic() - wall
    assert passed == pytest.approx(real, abs=0.35)


def test_a_fault_ends_it(program: Callable[..., Any], where: dict[str, Any]) -> None:
    with (
        pytest.raises(EmulatorFault, match="EasyDMA"),
        serving(Machine(program("uart_misuse", "CASE=1").image), **where),
    ):
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("address", "error"), [("nonsense", InputError), ("127.0.0.1:99999", InputError), ("203.0.113.1:1", LinkError)]
)
def test_wrong_addresses(program: Callable[..., Any], address: str, error: type[Exception]) -> None:
    with pytest.raises(error), serving(Machine(program("echo_polled").image), tcp=address):
        pass


def test_without_ptys_tcp_is_taken(program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pty", "termios", "tty", "fcntl"):
        monkeypatch.setitem(sys.modules, name, None)
    with serving(Machine(program("echo_polled").image)) as name:
        assert name.startswith("socket://127.0.0.1:")


_SCRIPT = """
import sys
from pathlib import Path
from onnxino_tools.emulator.command import emulate
image, port_file = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
emulate(image, tcp="127.0.0.1:0", port_file=port_file, say=lambda text: print(text, flush=True))
print("ended well", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(program: Callable[..., Any], tmp_path: Path, number: int) -> None:
    image, port_file = tmp_path / "image.bin", tmp_path / "port"
    image.write_bytes(program("echo_polled").image)
    command = [sys.executable, "-c", _SCRIPT, str(image), str(port_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not port_file.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert "its serial port is socket://127.0.0.1:" in out
    assert "ended well" in out
    assert err == ""
    assert not port_file.exists()
