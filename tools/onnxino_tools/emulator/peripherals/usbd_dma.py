"""EasyDMA of the USBD: one transfer between RAM and an endpoint's buffer at a time."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.base import RAM_BASE, RAM_SIZE, Chip
from onnxino_tools.emulator.scheduler import Event
from onnxino_tools.emulator.usb.device import PACKET_SIZE

_START = 64  # cycles; then one for each byte


class UsbDma:
    """`end`: the time at which the transfer that runs is over, 0 where none runs."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self.end = 0
        self._event: Event | None = None
        self._done: Callable[[], None] = lambda: None

    def reset(self) -> None:
        if self._event is not None:
            self._event.cancel()
        self._event = None
        self.end = 0

    def begin(self, what: str, pointer: int, size: int, done: Callable[[], None]) -> bool:
        """Starts a transfer; `done()` moves the data at its end. False where the chip would do something else."""
        if size > PACKET_SIZE:
            self._fault("usbd", f"USBD: {what} with MAXCNT {size}: a packet has up to {PACKET_SIZE} bytes")
            return False
        if pointer < RAM_BASE or pointer + size > RAM_BASE + RAM_SIZE:
            where = f"0x{pointer:08x}, {size} bytes: not in RAM (0x20000000 to 0x2003ffff)"
            self._fault("easydma", f"EasyDMA of USBD ({what}) at {where}", "copy constants to RAM first")
            return False
        self._done = done
        self.end = self._chip.scheduler.now + _START + size
        self._event = self._chip.scheduler.at(self.end, self.settle)
        return True

    def _fault(self, kind: str, what: str, hint: str | None = None) -> None:
        self._chip.fault(EmulatorFault(kind, what, hint))

    def settle(self) -> None:
        """Ends the transfer if its time is over."""
        if self.end and self._chip.scheduler.now >= self.end:
            self.finish()

    def finish(self) -> None:
        """Ends the transfer at once."""
        if not self.end:
            return
        self.reset()
        self._chip.scheduler.update_deadline()
        self._done()
