"""What all nRF52840 peripherals share: tasks at 0x000, events at 0x100, interrupt enables at 0x300, registers above."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from onnxino_tools.emulator.fault import EmulatorFault
    from onnxino_tools.emulator.scheduler import Scheduler

STOP = 0x04  # in most peripherals: harmless where nothing runs
RAM_BASE = 0x20000000
RAM_SIZE = 0x40000


class Chip(Protocol):
    """What a peripheral may use of the machine."""

    @property
    def scheduler(self) -> Scheduler: ...

    def ram_read(self, address: int, size: int) -> bytes: ...

    def ram_write(self, address: int, data: bytes) -> None: ...

    def set_line(self, irq: int, level: bool) -> None:
        """Level of a peripheral's interrupt line into the NVIC."""

    def publish(self, event: int, times: int = 1) -> None:
        """An event happened at this register address so many times: PPI channels may trigger tasks."""

    def request_stop(self) -> None:
        """Leave the engine at the next block boundary."""

    def fault(self, fault: EmulatorFault) -> None:
        """Note a fault; it is raised at the next block boundary."""

    def warn(self, text: str) -> None:
        """Something the chip would accept but that cannot be what was meant; each text is noted once."""


class Peripheral:
    """One page of registers. Subclasses fill `tasks`, `readers`, `writers` and `registers` (reset values of the plain
    ones)."""

    name = "peripheral"
    events_end = 0x200

    def __init__(self, chip: Chip, base: int, irq: int | None = None) -> None:
        self.chip = chip
        self.base = base
        self.irq = irq
        self.tasks: dict[int, Callable[[], None]] = {}
        self.readers: dict[int, Callable[[], int]] = {}
        self.writers: dict[int, Callable[[int], None]] = {}
        self.registers: dict[int, int] = {}
        self.events: set[int] = set()
        self.known_events: frozenset[int] = frozenset()
        self.interrupts = 0  # INTEN: bit (offset of the event - 0x100) / 4

    # --- what the core does ---
    def read(self, offset: int) -> int:
        """The 32-bit register at `offset`."""
        if 0x100 <= offset < self.events_end:
            return 1 if offset in self.events else 0
        if 0x300 <= offset <= 0x308 and self.irq is not None:
            return self.interrupts
        reader = self.readers.get(offset)
        if reader is not None:
            return reader()
        value = self.registers.get(offset)
        if value is None:
            self.unknown("read", offset)
            return 0
        return value

    def write(self, offset: int, value: int) -> None:
        """A 32-bit store to `offset`."""
        if offset < 0x100:
            task = self.tasks.get(offset)
            if task is None:
                self.unknown("write", offset)
            elif value & 1:
                task()
        elif offset < self.events_end:
            if value:
                self.event(offset)
            else:
                self.clear_event(offset)
        elif 0x300 <= offset <= 0x308 and self.irq is not None:
            self._write_interrupts(offset, value)
        else:
            writer = self.writers.get(offset)
            if writer is not None:
                writer(value)
            else:
                if offset not in self.registers:
                    self.unknown("write", offset)
                self.registers[offset] = value

    def trigger(self, offset: int, times: int) -> None:
        """A task triggered by PPI."""
        for _ in range(times):
            self.write(offset, 1)

    def reset(self) -> None:
        """Back to the state after a reset; subclasses set their registers."""
        self.events.clear()
        self.interrupts = 0
        self.update_line()

    # --- what the peripheral does ---
    def event(self, offset: int, times: int = 1) -> None:
        """Sets an event, its interrupt line, and triggers (so many times) what PPI connects to it."""
        self.events.add(offset)
        if self.interrupts >> ((offset - 0x100) >> 2) & 1:
            self.update_line()
        self.chip.publish(self.base + offset, times)

    def clear_event(self, offset: int) -> None:
        self.events.discard(offset)
        if self.interrupts >> ((offset - 0x100) >> 2) & 1:
            self.update_line()

    def update_line(self) -> None:
        if self.irq is not None:
            high = any(self.interrupts >> ((offset - 0x100) >> 2) & 1 for offset in self.events)
            self.chip.set_line(self.irq, high)

    def unknown(self, what: str, offset: int) -> None:
        self.chip.warn(f"{what} of {self.name} register 0x{self.base + offset:08x}, which is not modelled")

    def _write_interrupts(self, offset: int, value: int) -> None:
        if offset == 0x300:
            self.interrupts = value
        elif offset == 0x304:
            self.interrupts |= value
        else:
            self.interrupts &= ~value
        self.update_line()
        self.interrupts_changed()

    def interrupts_changed(self) -> None:
        """For peripherals whose events exist only while they are enabled (RTC)."""


class Quiet(Peripheral):
    """A peripheral that keeps what is written and does nothing: its registers may be touched, its function is not
    modelled."""

    def __init__(self, chip: Chip, base: int, name: str) -> None:
        super().__init__(chip, base)
        self.name = name

    def read(self, offset: int) -> int:
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset < 0x100 and value and offset != STOP:
            self.chip.warn(f"task 0x{self.base + offset:08x} of {self.name}, which is not modelled")
        self.registers[offset] = value

    def reset(self) -> None:
        self.registers.clear()
