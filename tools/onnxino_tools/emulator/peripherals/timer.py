"""TIMER0 to TIMER4: 16 MHz timers with compare and capture, and counters for what PPI feeds them."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral
from onnxino_tools.emulator.scheduler import Event

_BITS = {0: 16, 1: 8, 2: 24, 3: 32}
COMPARE = 0x140


class Timer(Peripheral):
    """`channels` compare registers (4 in TIMER0 to 2, 6 in TIMER3 and 4)."""

    def __init__(self, chip: Chip, base: int, irq: int, name: str, channels: int) -> None:
        super().__init__(chip, base, irq)
        self.name = name
        self.channels = channels
        self._events: dict[int, Event] = {}  # the next match of each compare register
        self._moved: set[int] = set()  # captured since: that match does not come
        self.on_poll: Callable[[], None] = lambda: None  # a counter was captured and had not moved
        self.tasks = {0x00: self._start, 0x04: self._stop, 0x08: self._count, 0x0C: self._clear, 0x10: self._stop}
        for i in range(channels):
            self.tasks[0x40 + 4 * i] = lambda i=i: self._capture(i)
            self.writers[0x540 + 4 * i] = lambda value, i=i: self._set_compare(i, value)
            self.readers[0x540 + 4 * i] = lambda i=i: self._compare[i]
        for offset in (0x504, 0x508, 0x510):
            self.writers[offset] = lambda value, at=offset: self._configure(at, value)
        self.reset()

    def reset(self) -> None:
        self.registers = {0x200: 0, 0x504: 0, 0x508: 0, 0x510: 4}
        self._compare = [0] * self.channels
        self._running = False
        self._value = 0  # the count at `_since`
        self._since = 0
        self._cancel()
        super().reset()

    @property
    def is_counter(self) -> bool:
        return self.registers[0x504] != 0

    @property
    def _mask(self) -> int:
        return (1 << _BITS[self.registers[0x508] & 3]) - 1

    @property
    def _shift(self) -> int:
        return 2 + min(self.registers[0x510] & 15, 9)  # core cycles per tick, as a power of two

    def value(self) -> int:
        """The count now."""
        if self._running and not self.is_counter:
            return (self._value + (self._elapsed() >> self._shift)) & self._mask
        return self._value & self._mask

    def _elapsed(self) -> int:
        return self.chip.scheduler.now - self._since

    def _settle(self) -> None:
        """Moves the reference point to now, keeping the fraction of a tick."""
        if self._running and not self.is_counter:
            ticks = self._elapsed() >> self._shift
            self._value = (self._value + ticks) & self._mask
            self._since += ticks << self._shift
        else:
            self._since = self.chip.scheduler.now

    def _start(self) -> None:
        if not self._running:
            self._running = True
            self._since = self.chip.scheduler.now
            self._plan()

    def _stop(self) -> None:
        self._settle()
        self._running = False
        self._cancel()

    def _clear(self) -> None:
        self._value = 0
        self._since = self.chip.scheduler.now
        self._plan()

    def _count(self) -> None:
        if self.is_counter and self._running:
            self._value = (self._value + 1) & self._mask
            for i, compare in enumerate(self._compare):
                if compare & self._mask == self._value:
                    self._matched(i)

    def trigger(self, offset: int, times: int) -> None:
        """Counts many at once where no compare register lies between."""
        mask, value = self._mask, self._value
        counting = offset == 0x08 and self.is_counter and self._running
        if counting and not any(0 < (compare - value & mask) <= times for compare in self._compare):
            self._value = (value + times) & mask
        else:
            super().trigger(offset, times)

    def _capture(self, index: int) -> None:
        value = self.value()
        if self.is_counter and value == self._compare[index]:
            self.on_poll()
        self._compare[index] = value
        if index in self._events:
            self._moved.add(index)  # the match is a full turn away: what is planned is not too late to look again
        else:
            self._plan_one(index)

    def _set_compare(self, index: int, value: int) -> None:
        self._compare[index] = value
        self._plan_one(index)

    def _configure(self, offset: int, value: int) -> None:
        self._settle()
        self.registers[offset] = value
        self._plan()

    def _cancel(self) -> None:
        for event in self._events.values():
            event.cancel()
        self._events.clear()
        self._moved.clear()

    def _plan(self) -> None:
        """Schedules the next match of each compare register."""
        self._cancel()
        if self._running and not self.is_counter:
            self._settle()
            for index in range(self.channels):
                self._plan_one(index)

    def _plan_one(self, index: int) -> None:
        """A match with the present count comes after a full turn."""
        self._moved.discard(index)
        if index in self._events:
            self._events.pop(index).cancel()
        if self._running and not self.is_counter:
            value = self._value + (self._elapsed() >> self._shift)
            ticks = ((self._compare[index] - value - 1) & self._mask) + 1
            time = self._since + (value - self._value + ticks << self._shift)
            self._events[index] = self.chip.scheduler.at(time, lambda: self._match_in_time(index))

    def _match_in_time(self, index: int) -> None:
        self._settle()
        if index not in self._moved:
            self._matched(index)
        self._plan_one(index)

    def _matched(self, index: int) -> None:
        self.event(COMPARE + 4 * index)
        if self.registers[0x200] >> index & 1:
            self._clear()
        if self.registers[0x200] >> (index + 8) & 1:
            self._stop()
