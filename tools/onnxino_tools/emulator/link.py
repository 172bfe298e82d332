"""EmulatorTransport: the byte stream to a Machine in this process, with the interface of a serial port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from onnxino.errors import LinkError
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.machine import Machine
from onnxino_tools.emulator.usb.host import UsbHost
from onnxino_tools.transport import BAUD_RATE

_CLOSING = 2.5
_ENUMERATION = 15.0  # seconds until a board's USB port must be there
_IDLE_STEP = 64_000  # cycles (1 ms) that pass at a time while the firmware waits


class EmulatorTransport:
    """Timeouts are emulated time, so that results do not depend on the speed of this computer.

    Where the machine has USB it is its USB port, opened at `baud_rate` with DTR; the transport breaks when the device
    leaves the bus. Without counting ("off") no time passes while the core computes, and a firmware that never waits is
    not interrupted. Raises LinkError when no USB port appears.
    """

    name = "emulator"

    def __init__(self, machine: Machine, baud_rate: int = BAUD_RATE) -> None:
        self.machine = machine
        self._closed = False
        self._enumeration = 0
        if machine.usb is not None:
            self._open_usb(machine.usb, baud_rate)

    def _open_usb(self, usb: UsbHost, baud_rate: int) -> None:
        self._run(lambda: usb.configured, _ENUMERATION)
        usb.set_line(baud_rate, dtr=True)
        self._enumeration = usb.enumerations
        self.machine.line.read()  # what is left of the connection before

    def write(self, data: bytes) -> None:
        """Host -> device; the device sees the bytes when it runs, which is in `read`. Raises LinkError after
        `close`."""
        self._check_open()
        self.machine.line.write(data)

    def read(self, timeout: float) -> bytes:
        """Runs the device until it sends something. At least one byte, or b"" after `timeout` seconds of emulated time.

        Raises LinkError (from the EmulatorFault) if the firmware faulted, or after `close`.
        """
        self._check_open()
        line = self.machine.line
        self._run(lambda: line.has_data or not self._there(), timeout)
        data = line.read()
        if not data:
            self._check_open()
        return data

    def _run(self, done: Callable[[], bool], timeout: float) -> None:
        machine = self.machine
        scheduler = machine.scheduler
        end = scheduler.now + max(int(timeout * machine.board.clock_hz), 1)
        try:
            while not done() and (left := end - scheduler.now) > 0:
                if machine.run(until=done, max_cycles=left) == "idle":
                    machine.skip(min(_IDLE_STEP, max(end - scheduler.now, 0)))
        except EmulatorFault as fault:
            raise LinkError(f"the device faulted: {fault.message}", fault.hint) from fault

    def _there(self) -> bool:
        usb = self.machine.usb
        return usb is None or (usb.configured and usb.enumerations == self._enumeration)

    def close(self) -> None:
        """May be called twice. A USB port is closed: DTR falls, and the device hears of it."""
        usb = self.machine.usb
        if not self._closed and usb is not None and self._there():
            usb.set_line(dtr=False)
            with suppress(LinkError):
                self._run(lambda: usb.settled, _CLOSING)
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("the connection to the emulator is closed")
        if not self._there():
            raise LinkError("the connection to the emulator broke: the board disappeared from the USB")

    def __enter__(self) -> EmulatorTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
