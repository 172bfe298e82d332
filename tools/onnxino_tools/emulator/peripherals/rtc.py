"""RTC0 to RTC2: 24-bit counters at 32,768 Hz / (PRESCALER + 1)."""

from __future__ import annotations

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral
from onnxino_tools.emulator.scheduler import CLOCK_HZ, Event

TICK, OVERFLOW, COMPARE = 0x100, 0x104, 0x140
MASK = 0xFFFFFF


class Rtc(Peripheral):
    """Events happen only while EVTEN or INTEN enables them."""

    def __init__(self, chip: Chip, base: int, irq: int, name: str, channels: int) -> None:
        super().__init__(chip, base, irq)
        self.name = name
        self.channels = channels
        self._planned: Event | None = None
        self.tasks = {0x00: self._start, 0x04: self._stop, 0x08: self._clear, 0x0C: self._overflow}
        self.readers = {
            0x340: lambda: self._routed,
            0x344: lambda: self._routed,
            0x348: lambda: self._routed,
            0x504: self.value,
        }
        self.writers = {
            0x340: lambda value: self._route(value), 0x344: lambda value: self._route(self._routed | value),
            0x348: lambda value: self._route(self._routed & ~value), 0x508: self._set_prescaler,
        }  # fmt: skip
        for i in range(channels):
            self.readers[0x540 + 4 * i] = lambda i=i: self._compare[i]
            self.writers[0x540 + 4 * i] = lambda value, i=i: self._set_compare(i, value)
        self.reset()

    def reset(self) -> None:
        self.registers = {0x508: 0}
        self._compare = [0] * self.channels
        self._routed = 0
        self._running = False
        self._value = 0
        self._since = 0  # in cycles
        if self._planned is not None:
            self._planned.cancel()
        self._planned = None
        super().reset()

    def left_by_bootloader(self) -> None:
        """The bootloader's system timer: running, with the interrupt of COMPARE0 enabled in the peripheral."""
        self._running = True
        self.interrupts = 1 << 16
        self._compare[0] = 0x7FFFFF
        self._plan()

    def value(self) -> int:
        return (self._value + self._ticks()) & MASK if self._running else self._value

    def _ticks(self) -> int:
        elapsed = self.chip.scheduler.now - self._since
        return elapsed * 32768 // (CLOCK_HZ * (self.registers[0x508] + 1))

    def _time_of(self, ticks: int) -> int:
        """When `ticks` after the reference point have passed, in cycles."""
        return self._since - (-ticks * CLOCK_HZ * (self.registers[0x508] + 1) // 32768)

    def _start(self) -> None:
        if not self._running:
            self._running = True
            self._since = self.chip.scheduler.now
            self._plan()

    def _stop(self) -> None:
        self._value = self.value()
        self._running = False
        self._plan()

    def _clear(self) -> None:
        self._set_value(0)

    def _overflow(self) -> None:
        self._set_value(0xFFFFF0)

    def _set_value(self, value: int) -> None:
        self._value = value
        self._since = self.chip.scheduler.now
        self._plan()

    def _set_prescaler(self, value: int) -> None:
        if self._running:
            self.chip.warn(f"{self.name}.PRESCALER written while it runs: ignored")
        else:
            self.registers[0x508] = value & 0xFFF

    def _set_compare(self, index: int, value: int) -> None:
        self._compare[index] = value & MASK
        self._plan()

    def _route(self, value: int) -> None:
        self._routed = value & 0xFFFFFFFF
        self._plan()

    def interrupts_changed(self) -> None:
        self._plan()

    def _enabled(self, offset: int) -> bool:
        return bool((self._routed | self.interrupts) >> ((offset - 0x100) >> 2) & 1)

    def _plan(self) -> None:
        """Schedules the nearest enabled event."""
        if self._planned is not None:
            self._planned.cancel()
            self._planned = None
        if not self._running:
            return
        now = self.value()
        waits = [
            (compare - now - 1 & MASK) + 1 for i, compare in enumerate(self._compare) if self._enabled(COMPARE + 4 * i)
        ]
        if self._enabled(TICK):
            waits.append(1)
        if self._enabled(OVERFLOW):
            waits.append(MASK + 1 - now)
        if waits:
            self._planned = self.chip.scheduler.at(self._time_of(self._ticks() + min(waits)), self._due)

    def _due(self) -> None:
        self._planned = None
        now = self.value()
        for i, compare in enumerate(self._compare):
            if compare == now and self._enabled(COMPARE + 4 * i):
                self.event(COMPARE + 4 * i)
        if self._enabled(TICK):
            self.event(TICK)
        if now == 0 and self._enabled(OVERFLOW):
            self.event(OVERFLOW)
        self._plan()
