"""PPI: connects events to tasks without the core."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral

CHANNELS = 20  # programmable ones; the twelve with fixed ends connect peripherals that are not modelled


class Ppi(Peripheral):
    """`trigger(address, times)` writes 1 to a task register so many times."""

    name = "PPI"

    def __init__(self, chip: Chip, trigger: Callable[[int, int], None]) -> None:
        super().__init__(chip, 0x4001F000)
        self._trigger = trigger
        self._groups = [0] * 6
        for n in range(6):
            self.tasks[8 * n] = lambda n=n: self._enable(self.enabled | self._groups[n])
            self.tasks[8 * n + 4] = lambda n=n: self._enable(self.enabled & ~self._groups[n])
            self.writers[0x800 + 4 * n] = lambda value, n=n: self._set_group(n, value)
            self.readers[0x800 + 4 * n] = lambda n=n: self._groups[n]
        for offset in (0x500, 0x504, 0x508):
            self.readers[offset] = lambda: self.enabled
        self.writers[0x500] = self._enable
        self.writers[0x504] = lambda value: self._enable(self.enabled | value)
        self.writers[0x508] = lambda value: self._enable(self.enabled & ~value)
        self.reset()

    def reset(self) -> None:
        self.enabled = 0
        self._groups = [0] * 6
        self.registers = {0x510 + 4 * i: 0 for i in range(2 * CHANNELS)} | {0x910 + 4 * i: 0 for i in range(32)}
        self._routes: dict[int, list[int]] = {}
        super().reset()

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset in self.registers:
            self._connect()

    def _set_group(self, index: int, value: int) -> None:
        self._groups[index] = value

    def _enable(self, value: int) -> None:
        self.enabled = value & 0xFFFFFFFF
        self._connect()

    def _connect(self) -> None:
        self._routes = {}
        for n in range(CHANNELS):
            event = self.registers[0x510 + 8 * n]
            if self.enabled >> n & 1 and event:
                ends = (self.registers[0x514 + 8 * n], self.registers[0x910 + 4 * n])
                self._routes.setdefault(event, []).extend(task for task in ends if task)

    def publish(self, event: int, times: int) -> None:
        if self._routes:
            for task in self._routes.get(event, ()):
                self._trigger(task, times)
