"""NVIC: which exception is pending, enabled and urgent enough. Exceptions are numbered as in IPSR (16 + irq)."""

from __future__ import annotations

from collections.abc import Callable

IRQS = 48
HARDFAULT, SVC, PENDSV, SYSTICK = 3, 11, 14, 15
_ALWAYS = 1 << HARDFAULT | 1 << SVC | 1 << PENDSV | 1 << SYSTICK | 1 << 2
_MASK = (1 << (16 + IRQS)) - 1
THREAD = 256  # the priority of no exception


class Nvic:
    """`changed()` is called when an exception became ready that was not."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.reset()

    def reset(self) -> None:
        self.pending = 0
        self.enabled = _ALWAYS
        self.lines = 0  # levels of the peripherals' interrupt lines
        self.active: list[int] = []  # nested, innermost last
        self.group_bits = 0
        self._priority = [0] * (16 + IRQS)
        self._priority[2], self._priority[HARDFAULT] = -2, -1

    @property
    def current(self) -> int:
        return self.active[-1] if self.active else 0

    def set_line(self, irq: int, level: bool) -> None:
        bit = 1 << (16 + irq)
        if not level:
            self.lines &= ~bit
        elif not self.lines & bit:
            self.lines |= bit
            self.set_pending(16 + irq, True)

    def set_pending(self, exception: int, pend: bool) -> None:
        bit = 1 << exception
        if pend:
            self.pending |= bit
            if self.enabled & bit:
                self._changed()
        else:
            self.pending = self.pending & ~bit | self.lines & bit  # a line that is still high pends again

    def _group(self, priority: int) -> int:
        """The part of a priority that decides about preemption (three bits are implemented)."""
        return priority if priority < 0 or priority >= THREAD else priority & 0xFF & (0xFF << (self.group_bits + 1))

    def running_priority(self) -> int:
        return min((self._group(self._priority[exception]) for exception in self.active), default=THREAD)

    def ready(self, primask: bool = False, basepri: int = 0, faultmask: bool = False) -> int | None:
        """The most urgent pending exception that may be taken now, or None."""
        candidates = self.pending & self.enabled
        if not candidates:
            return None
        limit = self.running_priority()
        if basepri:
            limit = min(limit, self._group(basepri & 0xE0))
        if primask:
            limit = min(limit, 0)
        if faultmask:
            limit = min(limit, -1)
        best = self._best(candidates)
        return best if self._group(self._priority[best]) < limit else None

    def _best(self, candidates: int) -> int:
        numbers = [n for n in range(16 + IRQS) if candidates >> n & 1]
        return min(numbers, key=lambda n: (self._priority[n], n))

    def highest_pending(self) -> int:
        candidates = self.pending & self.enabled
        return self._best(candidates) if candidates else 0

    def take(self, exception: int) -> None:
        self.pending &= ~(1 << exception)
        self.active.append(exception)

    def leave(self, exception: int) -> None:
        if exception in self.active:
            self.active.remove(exception)
        if self.lines >> exception & 1:
            self.set_pending(exception, True)

    # --- registers ---
    def read(self, offset: int) -> int:
        if offset >= 0x400:
            first = 16 + offset - 0x400
            return sum(
                (self._priority[n] & 0xFF) << 8 * i for i, n in enumerate(range(first, first + 4)) if n < 16 + IRQS
            )
        shift = 16 + 32 * ((offset & 0x7F) >> 2)
        kind = offset & ~0x7F
        if kind == 0x300:
            source = sum(1 << n for n in self.active)
        else:
            source = self.enabled if kind in (0x100, 0x180) else self.pending
        return source >> shift & 0xFFFFFFFF

    def write(self, offset: int, value: int) -> None:
        if offset == 0xF00:  # STIR
            self.set_pending(16 + (value & 0x1FF) % IRQS, True)
            return
        if offset >= 0x400:
            self._set_priorities(16 + offset - 0x400, value)
            return
        bits = value << (16 + 32 * ((offset & 0x7F) >> 2)) & _MASK
        kind = offset & ~0x7F
        if kind == 0x100:
            self.enabled |= bits
        elif kind == 0x180:
            self.enabled &= ~bits
        elif kind == 0x200:
            self.pending |= bits
        elif kind == 0x280:
            self.pending = self.pending & ~bits | self.lines & bits
        if self.pending & self.enabled:
            self._changed()

    def _set_priorities(self, first: int, value: int) -> None:
        for i in range(4):
            if first + i < 16 + IRQS:
                self._priority[first + i] = value >> 8 * i & 0xE0
        self._changed()

    def system_priorities(self, offset: int) -> int:
        first = 4 + offset - 0xD18
        return sum((self._priority[first + i] & 0xFF) << 8 * i for i in range(4))

    def set_system_priorities(self, offset: int, value: int) -> None:
        self._set_priorities(4 + offset - 0xD18, value)
