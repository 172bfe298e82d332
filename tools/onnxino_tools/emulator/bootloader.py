"""The bootloader at work: what happens between a reset and the application, and the flashing, in emulated time.

The core stands meanwhile: the bootloader is modelled by what it does (docs/emulator.md), not run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from onnxino_tools.emulator.bootloader_flash import (
    SETTINGS,
    SOFTDEVICE,
    SOFTDEVICE_APPLICATION,
    Generation,
)
from onnxino_tools.emulator.bootloader_protocol import (
    APPLICATION,
    FLASH_SIZE,
    PAGE_SIZE,
    FlashWrite,
    Reply,
    Restart,
    SamBa,
)
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.memory import Memory
from onnxino_tools.emulator.peripherals.flash_cells import ERASE_CYCLES, WRITE_CYCLES
from onnxino_tools.emulator.scheduler import CLOCK_HZ, Event

MAGIC = 0x07738135  # in RAM during the window: a reset that finds it was the second of a double-tap
TOUCHED = 0xB0  # in GPREGRET: the application asks for the bootloader
UPDATE = 0x5F27A93D  # at SETTINGS
WINDOW = CLOCK_HZ // 2
MICROSECOND = CLOCK_HZ // 1_000_000


class Owner(Protocol):
    """What the bootloader does to the machine."""

    def hand_over(self, start: int) -> None:
        """Starts the application (or SoftDevice) whose vectors are at `start`."""

    def restart(self) -> None:
        """A soft reset."""

    def power_failed(self) -> None: ...

    def bootloader_usb(self, on: bool) -> None:
        """The bootloader switches its own USB device on or off."""

    def bootloader_busy(self, busy: bool) -> None:
        """The core stands while flash is written: USB packets are refused (NAK) meanwhile."""

    def bootloader_sends(self, data: bytes) -> None: ...


class _Job:
    """A flash operation that runs: `finish(part)` does it to that part when its time is over or the power fails."""

    def __init__(self, start: int, cycles: int, finish: Callable[[float], None], event: Event) -> None:
        self.start = start
        self.cycles = cycles
        self.finish = finish
        self.event = event


class Bootloader:
    """`active` from a reset until the application starts; `staying`: it waits for commands (`receive`)."""

    def __init__(self, generation: Generation, owner: Owner, bus: Bus, memory: Memory) -> None:
        self.generation = generation
        self.active = self.staying = False
        self.warnings: list[str] = []
        self._owner = owner
        self._bus = bus
        self._memory = memory
        self._cells = bus.nvmc.cells
        self._job: _Job | None = None
        self._protocol = SamBa(memory.flash_read, generation.limit)

    @property
    def busy(self) -> bool:
        """It erases or writes flash: the core stands, and nothing waits for the host."""
        return self._job is not None

    def start(self) -> None:
        """After a reset of the chip (`interrupt` was called before)."""
        self._protocol = SamBa(self._memory.flash_read, self.generation.limit)
        self._protocol.warnings = self.warnings
        self.active, self.staying = True, False
        if self._magic == MAGIC:
            self._stay()
            return
        self._magic = MAGIC
        self._bus.scheduler.after(WINDOW, self._window_over)

    def _window_over(self) -> None:
        self._magic = 0
        touched = self._bus.power.gpregret == TOUCHED  # BL1 looks at it before it looks for an application
        if self.generation.forwards and self._word(SETTINGS) == UPDATE:
            self._update()
        elif (start := self.application) is None or touched:
            self._stay()
        else:
            self.active = False
            self._owner.hand_over(start)

    @property
    def application(self) -> int | None:
        """The address of the vectors that it would start, or None: then it stays."""
        if self._valid(APPLICATION):
            return APPLICATION
        if self.generation.forwards and self._valid(SOFTDEVICE_APPLICATION):
            return SOFTDEVICE
        return None

    def _valid(self, address: int) -> bool:
        return self.generation.valid(self._word(address), self._word(address + 4))

    def _stay(self) -> None:
        self._bus.power.gpregret = 0
        self._magic = 0
        self.staying = True
        self._owner.bootloader_usb(True)

    def _update(self) -> None:
        """BL2: the SoftDevice that was put elsewhere is copied to its place."""
        source, size = self._word(SETTINGS + 4), self._word(SETTINGS + 8)
        data = self._memory.flash_read(source, min(size, FLASH_SIZE - SOFTDEVICE))
        data += b"\xff" * (-len(data) % PAGE_SIZE)
        self._write(SOFTDEVICE, data, len(data), lambda: self._erase(SETTINGS, 1, self._owner.restart))

    # --- commands ---
    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        if self.staying:
            self._protocol.feed(data)
            self._work()

    def _work(self) -> None:
        while self._job is None and self.staying:
            action = self._protocol.next()
            if action is None:
                return
            if isinstance(action, Reply):
                self._owner.bootloader_sends(action.data)
            elif isinstance(action, FlashWrite):
                self._write(action.address, action.data, action.erase, self._work)
            else:
                self.staying = False
                self._bus.scheduler.after(MICROSECOND, partial(self._leave, isinstance(action, Restart)))

    def _leave(self, restart: bool) -> None:
        """After the packet that brought the command was acknowledged."""
        self._owner.bootloader_usb(False)
        if restart:
            self._owner.restart()

    # --- flash, with the time that it takes ---
    def _write(self, address: int, data: bytes, erase: int, then: Callable[[], None]) -> None:
        self._erase(address, erase // PAGE_SIZE, lambda: self._program(address, data, then))

    def _erase(self, page: int, count: int, then: Callable[[], None]) -> None:
        if count == 0:
            then()
            return
        done, part = self._cells.begin()

        def finish(part: float) -> None:
            self._cells.erase(page, part)
            self._bus.nvmc.forget_writes(page)

        self._run(ERASE_CYCLES, done or part, finish, lambda: self._erase(page + PAGE_SIZE, count - 1, then))

    def _program(self, address: int, data: bytes, then: Callable[[], None]) -> None:
        words = -(-len(data) // 4)
        done, part = self._cells.begin(words)

        def finish(part: float) -> None:
            done = int(words * part)
            self._cells.program_words(address, data, done, words * part - done)

        self._run(words * WRITE_CYCLES, (done + part) / words, finish, then)

    def _run(self, cycles: int, part: float, finish: Callable[[float], None], then: Callable[[], None]) -> None:
        """Calls `finish` after the time of the operation, then `then`; with `part` < 1 the power fails before."""
        scheduler = self._bus.scheduler

        def over() -> None:
            if part < 1:
                self._owner.power_failed()
                return
            self._job = None
            finish(1.0)
            self._owner.bootloader_busy(False)
            then()

        self._owner.bootloader_busy(True)
        self._job = _Job(scheduler.now, cycles, finish, scheduler.after(int(cycles * part), over))

    def interrupt(self) -> None:
        """A reset or the loss of power: the flash operation that runs is done in part; nothing goes on."""
        job, self._job = self._job, None
        if job is not None:
            job.event.cancel()
            job.finish(min((self._bus.scheduler.now - job.start) / job.cycles, 0.999))
            self._owner.bootloader_busy(False)
        self.active = self.staying = False

    # --- memory ---
    @property
    def _magic(self) -> int:
        return int.from_bytes(self._memory.ram_read(self.generation.magic_address, 4), "little")

    @_magic.setter
    def _magic(self, value: int) -> None:
        self._memory.ram_write(self.generation.magic_address, value.to_bytes(4, "little"))

    def _word(self, address: int) -> int:
        return int.from_bytes(self._memory.flash_read(address, 4), "little")
