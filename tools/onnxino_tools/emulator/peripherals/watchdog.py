"""WDT: once started it cannot be stopped, and it survives a soft reset."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral
from onnxino_tools.emulator.scheduler import CLOCK_HZ, Event

RELOAD = 0x6E524635
TIMEOUT = 0x100


class Watchdog(Peripheral):
    """`bite()` resets the chip."""

    name = "WDT"

    def __init__(self, chip: Chip, bite: Callable[[], None]) -> None:
        super().__init__(chip, 0x40010000, 16)
        self._bite = bite
        self.running = False
        self._deadline = 0
        self._waiting = 0
        self._event: Event | None = None
        self.registers = {0x504: 0xFFFFFFFF, 0x508: 1, 0x50C: 1}
        self.tasks = {0x00: self._start}
        self.readers = {0x400: lambda: int(self.running), 0x404: lambda: self._waiting}
        for i in range(8):
            self.writers[0x600 + 4 * i] = lambda value, i=i: self._reload(i, value)

    def reset(self) -> None:
        """A soft reset does not reach it; after a power-on it is made anew. Its event goes back into the cleared
        schedule."""
        if self.running:
            self._event = self.chip.scheduler.at(self._deadline, self._expired)

    def power_on(self) -> None:
        self.running = False
        self.registers = {0x504: 0xFFFFFFFF, 0x508: 1, 0x50C: 1}
        self.events.clear()
        self.interrupts = 0

    def write(self, offset: int, value: int) -> None:
        if self.running and offset in (0x504, 0x508, 0x50C):
            return  # locked once it runs
        super().write(offset, value)

    def _start(self) -> None:
        if not self.running:
            self.running = True
            self._restart()

    def _restart(self) -> None:
        if self._event is not None:
            self._event.cancel()
        self._waiting = self.registers[0x508] & 0xFF
        self._deadline = self.chip.scheduler.now + (self.registers[0x504] + 1) * CLOCK_HZ // 32768
        self._event = self.chip.scheduler.at(self._deadline, self._expired)

    def _reload(self, index: int, value: int) -> None:
        if value == RELOAD:
            self._waiting &= ~(1 << index)
            if self.running and not self._waiting:
                self._restart()

    def _expired(self) -> None:
        self.event(TIMEOUT)
        self.power_on()  # its own reset stops it, a soft one does not
        self._bite()
