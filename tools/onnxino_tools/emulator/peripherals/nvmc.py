"""NVMC: erasing and writing the flash, with the time it takes. The core halts meanwhile, as it runs from flash."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.base import Chip, Peripheral
from onnxino_tools.emulator.peripherals.flash_cells import (
    ERASE_CYCLES,
    FLASH_SIZE,
    PAGE_SIZE,
    WRITE_CYCLES,
    FlashAccess,
    FlashCells,
)
from onnxino_tools.emulator.scheduler import CLOCK_HZ

ERASE_ALL_CYCLES = CLOCK_HZ * 169 // 1000
READ, WRITE, ERASE = 0, 1, 2
WRITES_PER_WORD = 2  # between two erases


class Nvmc(Peripheral):
    """`stall(cycles)` lets time pass while the core stands still; `changed()` is called after each erase,
    `power_failed()` when `cells` say so in the middle of an operation."""

    name = "NVMC"

    def __init__(
        self, chip: Chip, flash: FlashAccess, stall: Callable[[int], None], changed: Callable[[], None]
    ) -> None:
        super().__init__(chip, 0x4001E000)
        self.cells = FlashCells(flash)
        self.power_failed: Callable[[], None] = lambda: None
        self._stall = stall
        self._changed = changed
        self._writes: dict[int, int] = {}  # word address -> writes since its page was erased
        self.readers = {0x400: lambda: 1, 0x408: lambda: 1}
        self.writers = {
            0x508: self._erase_page,
            0x50C: self._erase_all,
            0x504: self._configure,
            0x518: self._erase_partial,
        }
        self.erased_pages = 0
        self.written_words = 0
        self.reset()

    def reset(self) -> None:
        self.registers = {0x504: READ, 0x514: 0, 0x51C: 10, 0x540: 0, 0x548: 0, 0x54C: 0}

    def application_state(self) -> None:
        self.registers[0x540] = 1  # the bootloader switches the instruction cache on

    def _configure(self, value: int) -> None:
        self.registers[0x504] = value & 3

    def _erase_page(self, address: int) -> None:
        if not self._may_erase(address):
            return
        page = address & -PAGE_SIZE
        done, part = self.cells.begin()
        self.cells.erase(page, done or part)
        self.forget_writes(page)
        self.erased_pages += 1
        self._changed()
        self._stall(int(ERASE_CYCLES * (done or part)))
        if not done:
            self.power_failed()

    def forget_writes(self, page: int) -> None:
        """Each word of the page may be written twice again."""
        for word in range(page, page + PAGE_SIZE, 4):
            self._writes.pop(word, None)

    def _erase_partial(self, address: int) -> None:
        """ERASEPAGEPARTIAL: the page counts as erased at once; the time is what was asked for (ms)."""
        if self._may_erase(address):
            self.cells.erase(address & -PAGE_SIZE)
            self._stall(CLOCK_HZ // 1000 * (self.registers[0x51C] & 0x7F))

    def _may_erase(self, address: int) -> bool:
        if self.registers[0x504] != ERASE:
            self._refuse(
                f"page erase at 0x{address:08x} while NVMC.CONFIG is {self.registers[0x504]} and not 2 (erase enable)"
            )
            return False
        if address >= FLASH_SIZE:
            self._refuse(f"page erase at 0x{address:08x}, outside of the flash (0 to 0xfffff)")
            return False
        return True

    def _erase_all(self, value: int) -> None:
        if value & 1 and self._may_erase(0):
            for page in range(0, FLASH_SIZE, PAGE_SIZE):
                self.cells.erase(page)
            self._writes.clear()
            self._stall(ERASE_ALL_CYCLES)

    def store(self, address: int, size: int, value: int) -> bool:
        """A store of the core to flash. True if the chip takes it; a fault is noted otherwise."""
        if self.registers[0x504] != WRITE:
            self.chip.fault(
                EmulatorFault(
                    "flash-write",
                    f"store of {size} bytes to flash at 0x{address:08x} while NVMC.CONFIG is not 1 (write enable)",
                    "flash is written through the NVMC, word by word, after its page was erased",
                )
            )  # fmt: skip
            return False
        if size != 4 or address % 4:
            self._refuse(f"flash write of {size} bytes at 0x{address:08x}: only aligned 32-bit words can be written")
            return False
        done, part = self.cells.begin()
        self.cells.program(address, value.to_bytes(4, "little"), done or part)
        count = self._writes[address] = self._writes.get(address, 0) + 1
        if count > WRITES_PER_WORD:
            self.chip.warn(
                f"flash word 0x{address:08x} written more than {WRITES_PER_WORD} times since its page was erased"
            )
        self.written_words += 1
        self._stall(int(WRITE_CYCLES * (done or part)))
        if not done:
            self.power_failed()
        return True

    def _refuse(self, what: str) -> None:
        self.chip.fault(EmulatorFault("nvmc", what))
