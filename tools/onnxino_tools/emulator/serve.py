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
from typing import Protocol

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.machine import Machine
from onnxino_tools.emulator.ports import Port, Pty, TcpPort
from onnxino_tools.emulator.usb.follow import PortFollower
from onnxino_tools.emulator.usb.host import UsbHost
from onnxino_tools.emulator.usb.ports import Rfc2217Port, UsbPort, UsbPty

_SLICE = 3_200_000  # cycles (50 ms) that run between two looks at the port
_AHEAD = 128_000  # cycles (2 ms) that emulated time may run ahead of the wall while USB packets are on their way
_LEAST = 640  # cycles (10 us) that pass at least: the clock of the host is coarser
_STANDING = 0.05  # seconds between two looks at a board that stands
_WAIT = 0.25  # seconds that an idle emulator sleeps at most before it looks whether it should stop


class Owner(Protocol):
    """Of the board: called between two slices of its time; while `stands` it does not run.

    `crashed` gets what the application faulted with, and raises it where that is the end.
    """

    stands: bool

    def look(self) -> None: ...

    def crashed(self, fault: EmulatorFault) -> None: ...


class _Nobody:
    stands = False

    def look(self) -> None:
        """Nobody does anything to the board."""

    def crashed(self, fault: EmulatorFault) -> None:
        raise fault


def serve(
    machine: Machine,
    *,
    pty: bool = True,
    tcp: str | None = None,
    port_file: Path | None = None,
    ready: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    owner: Owner | None = None,
) -> None:
    """Serves the machine's serial port on a pty, or on TCP ("127.0.0.1:0") where `tcp` is given or the system has no
    ptys.

    `ready(name)` is called with the name to open (a device path, socket://host:port, or rfc2217://host:port where the
    machine has USB); `port_file` receives it too. A USB port is ready when the device is enumerated the first time;
    then it comes and goes with the device, behind the same name, and programs that have it open see a hang-up.
    Returns on SIGINT, SIGTERM (when called in the main thread) or when `stop` is set. Clients may leave and come back.
    Time that the firmware spends waiting for the host passes as fast as on the wall; computing takes what it takes.
    `owner` may do something to the board meanwhile, and decides what a crash of the firmware means.
    Raises EmulatorFault when the firmware faults, LinkError or InputError when the port cannot be made.
    """
    stop = stop or threading.Event()
    owner = owner or _Nobody()
    address = tcp if tcp is not None else None if pty and has_pty() else "127.0.0.1:0"

    def announce(name: str) -> None:
        if port_file is not None:
            _write_whole(port_file, name + "\n")
        if ready is not None:
            ready(name)

    try:
        with _signals(stop):
            if machine.usb is not None:
                _serve_usb(machine, machine.usb, address, announce, stop, owner)
            else:
                _serve_uart(machine, address, announce, stop, owner)
    finally:
        if port_file is not None:
            port_file.unlink(missing_ok=True)


def _serve_uart(
    machine: Machine, address: str | None, announce: Callable[[str], None], stop: threading.Event, owner: Owner
) -> None:
    port: Port = TcpPort(address) if address is not None else Pty()
    try:
        announce(port.name)
        _loop(machine, port, stop, owner)
    finally:
        port.close()


def _serve_usb(
    machine: Machine,
    usb: UsbHost,
    address: str | None,
    announce: Callable[[str], None],
    stop: threading.Event,
    owner: Owner,
) -> None:
    port: UsbPort = Rfc2217Port(address) if address is not None else UsbPty()
    try:
        _usb_loop(machine, usb, port, announce, stop, owner)
    finally:
        port.close()


def has_pty() -> bool:
    """Whether this system has pseudo-terminals."""
    try:
        for name in ("pty", "termios", "tty"):
            importlib.import_module(name)
    except ImportError:
        return False
    return hasattr(os, "openpty")


def _loop(machine: Machine, port: Port, stop: threading.Event, owner: Owner) -> None:
    line = machine.line

    def once() -> None:
        data = port.read()
        if data:
            line.write(data)
        reason = machine.run(until=lambda: line.has_data or stop.is_set(), max_cycles=_SLICE, max_sleep=0)
        if line.has_data:
            port.write(line.read())
        elif reason == "idle":
            _wait(machine, port)

    _repeat(once, stop, owner)


def _repeat(once: Callable[[], None], stop: threading.Event, owner: Owner) -> None:
    while not stop.is_set():
        owner.look()
        if owner.stands:
            time.sleep(_STANDING)
            continue
        try:
            once()
        except EmulatorFault as fault:
            owner.crashed(fault)


def _usb_loop(
    machine: Machine,
    usb: UsbHost,
    port: UsbPort,
    announce: Callable[[str], None],
    stop: threading.Event,
    owner: Owner,
) -> None:
    line, announced = machine.line, False
    follower = PortFollower(usb, line, port)

    def something() -> bool:
        return (line.has_data and not port.full) or usb.configured != port.present or stop.is_set()

    def once() -> None:
        nonlocal announced
        follower.update()
        if port.present and not announced:
            announced = True
            announce(port.name)
        reason = machine.run(until=something, max_cycles=_SLICE, max_sleep=_AHEAD if usb.busy else 0)
        if line.has_data and not port.full:
            follower.send()
        elif reason == "idle":
            _wait(machine, port)

    _repeat(once, stop, owner)


def _wait(machine: Machine, port: Port | UsbPort) -> None:
    """Lets as much time pass in the machine as on the wall, up to its next event."""
    ahead = machine.scheduler.next_time() - machine.scheduler.now
    start = time.monotonic()
    port.wait(max(min(_WAIT, ahead / machine.board.clock_hz), 0))
    passed = int((time.monotonic() - start) * machine.board.clock_hz)
    machine.skip(min(max(passed, _LEAST), ahead))
    machine.run(max_cycles=_SLICE, max_sleep=0)  # the firmware sees that time passed before it sees what came


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
