"""`--port emulator`: the emulated board with its bootloader, in this process, as the only board on its USB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import LinkError
from onnxino_tools.boards import APPLICATION, BOOTLOADER, ConnectedBoard
from onnxino_tools.flasher.ports import TOUCH_BAUD_RATE
from onnxino_tools.transport import BAUD_RATE

if TYPE_CHECKING:
    from types import TracebackType

    from onnxino_tools.emulator.machine import Machine
    from onnxino_tools.emulator.usb.host import UsbHost

PORT = "emulator"
_IDLE_STEP = 64_000  # cycles (1 ms) that pass at a time while the board waits


class EmulatedPorts:
    """See Ports. All time is emulated. A context manager.

    bootloader: "bl1" or "bl2"; None: that of the state file, "bl2" for a new one. state: the file that is the board's
    flash; None: a new board whose flash is gone afterwards. Raises InputError.
    """

    def __init__(
        self, bootloader: str | None = None, state: Path | None = None, machine: Machine | None = None
    ) -> None:
        if machine is None:
            from onnxino_tools.emulator import Machine
            from onnxino_tools.emulator.state import bootloader_of

            bootloader = bootloader or (bootloader_of(state) if state is not None else None) or "bl2"
            machine = Machine(bootloader=bootloader, usb=True, flash_state=state, faults="deliver")
        if machine.usb is None:
            raise LinkError("this emulated board is not plugged into USB")
        self.machine = machine
        self.usb: UsbHost = machine.usb

    def boards(self) -> list[ConnectedBoard]:
        """See Ports."""
        usb = self.usb
        if not usb.configured:
            return []
        mode = {APPLICATION: "application", BOOTLOADER: "bootloader"}.get(usb.product_id or 0, "unknown")
        return [ConnectedBoard(PORT, mode, usb.product_id or 0, usb.serial_number or "")]

    def open(self, port: str) -> EmulatedPort:
        """See Ports."""
        return EmulatedPort(self)

    def touch(self, port: str) -> None:
        """See Ports."""
        usb = self.usb
        usb.set_line(115200, dtr=True)
        usb.set_line(TOUCH_BAUD_RATE, dtr=True)
        usb.set_line(dtr=False)
        self.sleep(0.1)

    def sleep(self, seconds: float) -> None:
        """See Ports."""
        end = self._after(seconds)
        while (left := end - self.machine.scheduler.now) > 0:
            self.step(left, stop_at_data=False)

    def now(self) -> float:
        """See Ports."""
        return self.machine.scheduler.now / self.machine.board.clock_hz

    def step(self, cycles: int, *, stop_at_data: bool = True) -> None:
        """Runs the board until it sends something, or for `cycles` at most."""
        from onnxino_tools.emulator.fault import EmulatorFault

        machine = self.machine
        end = machine.scheduler.now + cycles
        try:
            if machine.run(until=lambda: stop_at_data and machine.line.has_data, max_cycles=cycles) == "idle":
                machine.skip(min(_IDLE_STEP, max(end - machine.scheduler.now, 0)))
        except EmulatorFault as fault:
            raise LinkError(f"the emulated board faulted: {fault.message}", fault.hint) from fault

    def _after(self, seconds: float) -> int:
        return self.machine.scheduler.now + max(int(seconds * self.machine.board.clock_hz), 1)

    def close(self) -> None:
        """Frees the state file."""
        self.machine.close()

    def __enter__(self) -> EmulatedPorts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EmulatedPort:
    """See Transport: the board's USB serial port, opened. It breaks when the board disappears from the bus."""

    name = PORT

    def __init__(self, ports: EmulatedPorts) -> None:
        self._ports = ports
        self._usb = ports.usb
        self._line = ports.machine.line
        self._usb.set_line(BAUD_RATE, dtr=True)
        self._enumeration = self._usb.enumerations
        self._open = True
        self._line.read()  # what the last program left

    def write(self, data: bytes) -> None:
        """See Transport."""
        self._check()
        self._line.write(data)

    def read(self, timeout: float) -> bytes:
        """See Transport. Timeouts are emulated time."""
        scheduler = self._ports.machine.scheduler
        end = scheduler.now + max(int(timeout * self._ports.machine.board.clock_hz), 1)
        while True:
            self._check()
            data = self._line.read()
            if data:
                return data
            left = end - scheduler.now
            if left <= 0:
                return b""
            self._ports.step(left)

    def close(self) -> None:
        """See Transport."""
        if self._open and self._there():
            self._usb.set_line(dtr=False)
        self._open = False

    def _there(self) -> bool:
        return self._usb.configured and self._usb.enumerations == self._enumeration

    def _check(self) -> None:
        if not self._open or not self._there():
            raise LinkError(f"the connection to {self.name} broke: the board disappeared from the USB")
