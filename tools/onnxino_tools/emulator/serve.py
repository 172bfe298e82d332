"""Runs a Machine behind a serial port that other programs open, until it is told to stop."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from onnxino_tools.emulator.machine import Machine
from onnxino_tools.emulator.ports import Port, Pty, TcpPort

_SLICE = 3_200_000  # cycles (50 ms) that run between two looks at the port
_LEAST = 640  # cycles (10 us) that pass at least: the clock of the host is coarser
_WAIT = 0.25  # seconds that an idle emulator sleeps at most before it looks whether it should stop


def serve(
    machine: Machine,
    *,
    pty: bool = True,
    tcp: str | None = None,
    port_file: Path | None = None,
    ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serves the machine's serial port on a pty, or on TCP ("127.0.0.1:0") where `tcp` is given or the system has no
    ptys.

    `ready(name)` is called with the name to open (a device path, or socket://host:port); `port_file` receives it too.
    Returns on SIGINT, SIGTERM (when called in the main thread) or when `stop` is set. Clients may leave and come back.
    Time
    that the firmware spends waiting for the host passes as fast as on the wall; computing takes what it takes.
    Raises EmulatorFault when the firmware faults, LinkError or InputError when the port cannot be made.
    """
    stop = stop or threading.Event()
    port: Port = TcpPort(tcp) if tcp is not None else Pty() if pty and has_pty() else TcpPort("127.0.0.1:0")
    try:
        with _signals(stop):
            if port_file is not None:
                _write_whole(port_file, port.name + "\n")
            if ready is not None:
                ready(port.name)
            _loop(machine, port, stop)
    finally:
        port.close()
        if port_file is not None:
            port_file.unlink(missing_ok=True)


def has_pty() -> bool:
    """Whether this system has pseudo-terminals."""
    try:
        for name in ("pty", "termios", "tty"):
            importlib.import_module(name)
    except ImportError:
        return False
    return hasattr(os, "openpty")


def _loop(machine: Machine, port: Port, stop: threading.Event) -> None:
    line = machine.line
    while not stop.is_set():
        data = port.read()
        if data:
            line.write(data)
        reason = machine.run(until=lambda: line.has_data or stop.is_set(), max_cycles=_SLICE, max_sleep=0)
        if line.has_data:
            port.write(line.read())
        elif reason == "idle":
            _wait(machine, port)


def _wait(machine: Machine, port: Port) -> None:
    """Lets as much time pass in the machine as on the wall, up to its next event."""
    ahead = machine.scheduler.next_time() - machine.scheduler.now
    start = time.monotonic()
    port.wait(max(min(_WAIT, ahead / machine.board.clock_hz), 0))
    passed = int((time.monotonic() - start) * machine.board.clock_hz)
    machine.skip(min(max(passed, _LEAST), ahead))


@contextmanager
def _signals(stop: threading.Event) -> Generator[None]:
    """SIGINT and SIGTERM set `stop`: an exception in the middle of a callback of the engine would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _write_whole(path: Path, text: str) -> None:
    """Readers see the file complete or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
