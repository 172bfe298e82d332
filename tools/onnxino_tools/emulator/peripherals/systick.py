"""SysTick: counts the core's cycles down; it stands while the core sleeps, as on this chip."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.scheduler import Event, Scheduler


class SysTick:
    """`pend()` makes its exception pending. Counts active cycles: `pause` and `resume` stand for sleep and waking."""

    def __init__(self, scheduler: Scheduler, pend: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._pend = pend
        self._event: Event | None = None
        self.reset()

    def reset(self) -> None:
        self._control = 0
        self._reload = 0
        self._flag = False
        self._value = 0  # at `_since`, in active cycles
        self._since = 0
        self.pause()

    def _cycles(self) -> int:
        return self._scheduler.active.cycles

    def _current(self) -> int:
        if not self._control & 1 or self._reload == 0:
            return self._value
        return (self._value - (self._cycles() - self._since)) % (self._reload + 1)

    def read(self, offset: int) -> int:
        if offset == 0x10:
            value = self._control | (1 << 16 if self._flag else 0)
            self._flag = False
            return value
        return {0x14: self._reload, 0x18: self._current(), 0x1C: 0xC0000000}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x10:
            self._value, self._since = self._current(), self._cycles()
            self._control = value & 7
        elif offset == 0x14:
            self._value, self._since = self._current(), self._cycles()
            self._reload = value & 0xFFFFFF
        elif offset == 0x18:
            self._value, self._since, self._flag = 0, self._cycles(), False
        self.resume()

    def pause(self) -> None:
        if self._event is not None:
            self._event.cancel()
            self._event = None

    def resume(self) -> None:
        """Plans the next time that the count reaches zero."""
        self.pause()
        if self._control & 1 and self._reload:
            self._event = self._scheduler.after(self._current() or self._reload + 1, self._zero)

    def _zero(self) -> None:
        self._event = None
        self._flag = True
        if self._control & 2:
            self._pend()
        self.resume()
