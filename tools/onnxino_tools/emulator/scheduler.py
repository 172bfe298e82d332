"""One time base for the whole chip, in cycles of the 64 MHz core clock, and the events that wait on it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

CLOCK_HZ = 64_000_000
NEVER = 1 << 62


class ActiveCycles(Protocol):
    """What the scheduler needs of the block counter: cycles in which the core ran, and where it has to stop next."""

    cycles: int
    deadline: int


class Event:
    """A callback at a time; `cancel` makes it void. `outside`: it belongs to the world around the chip."""

    __slots__ = ("callback", "outside", "time")

    def __init__(self, time: int, callback: Callable[[], None], outside: bool = False) -> None:
        self.time = time
        self.outside = outside
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Scheduler:
    """now = cycles the core ran + cycles it slept (WFI). Timers, RTC and baud pacing use `now`; CYCCNT stops while the
    core sleeps."""

    def __init__(self, active: ActiveCycles) -> None:
        self.active = active
        self.slept = 0
        self._heap: list[tuple[int, int, Event]] = []
        self._order = 0
        self._sweep_at = 64

    @property
    def now(self) -> int:
        return self.active.cycles + self.slept

    def at(self, time: int, callback: Callable[[], None], outside: bool = False) -> Event:
        """Calls `callback` when `now` reaches `time` (cycles); the core stops at the first block boundary after it.

        A reset of the chip (`clear`) drops all events but those from `outside`: host, cable, power.
        """
        event = Event(time, callback, outside)
        self._order += 1
        heapq.heappush(self._heap, (time, self._order, event))
        if len(self._heap) > self._sweep_at:
            self._sweep()
        self.update_deadline()
        return event

    def after(self, cycles: int, callback: Callable[[], None], outside: bool = False) -> Event:
        return self.at(self.now + cycles, callback, outside)

    def _sweep(self) -> None:
        """Drops cancelled events: those far ahead would pile up, because they are never reached."""
        self._heap = [entry for entry in self._heap if entry[2].callback is not None]
        heapq.heapify(self._heap)
        self._sweep_at = max(64, 2 * len(self._heap))

    def next_time(self) -> int:
        """The time of the next event, or NEVER."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER

    def update_deadline(self) -> None:
        self.active.deadline = max(self.next_time() - self.slept, 0)

    def run_due(self) -> None:
        """Calls everything that is due."""
        while self.next_time() <= self.now:
            event = heapq.heappop(self._heap)[2]
            if event.callback is not None:
                event.callback()
        self.update_deadline()

    def clear(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].outside]
        heapq.heapify(self._heap)
        self.update_deadline()
