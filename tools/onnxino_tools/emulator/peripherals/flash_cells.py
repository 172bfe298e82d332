"""The cells of the flash: erasing sets bits, programming clears them, and a loss of power in the middle does half of
it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from onnxino_tools.emulator.scheduler import CLOCK_HZ

FLASH_SIZE = 0x100000
PAGE_SIZE = 4096
ERASE_CYCLES = CLOCK_HZ * 85 // 1000  # a page: 85 ms
WRITE_CYCLES = CLOCK_HZ * 41 // 1_000_000  # a word: 41 us


class FlashAccess(Protocol):
    """Raw access to the flash array, past all protection."""

    def flash_read(self, address: int, size: int) -> bytes: ...

    def flash_write(self, address: int, data: bytes) -> None: ...


class FlashCells:
    """Counts operations (the erase of a page, the write of a word), and can let the power fail in the middle of one.

    `guarded`: ranges of addresses that belong to the bootloader; `touched` says what was done to them.
    """

    def __init__(self, access: FlashAccess) -> None:
        self._access = access
        self._random = random.Random(0)
        self.guarded: list[range] = []
        self.touched: list[str] = []
        self.count = 0
        self.cut_after: int | None = None  # operations until the power fails in the middle of the next
        self.on_cut: Callable[[], None] = lambda: None
        self.powered = True

    def seed(self, seed: int) -> None:
        """Of everything random in here."""
        self._random.seed(seed)

    def begin(self, wanted: int = 1) -> tuple[int, float]:
        """How many of so many operations can be done, and to what part (0 to 1) the one after them: less than
        `wanted` means that the power fails in it."""
        if not self.powered:
            return 0, 0.0
        if self.cut_after is None or self.cut_after >= wanted:
            if self.cut_after is not None:
                self.cut_after -= wanted
            self.count += wanted
            return wanted, 0.0
        done, self.cut_after = self.cut_after, None
        self.count += done + 1
        self.on_cut()
        return done, self._random.uniform(0.02, 0.98)

    def erase(self, page: int, part: float = 1.0) -> None:
        """A page of 4096 bytes. `part` < 1: each bit that was 0 is 1 with that probability, else it stays."""
        if part <= 0:
            return
        self._note("erased", page, PAGE_SIZE)
        if part >= 1:
            self._access.flash_write(page, b"\xff" * PAGE_SIZE)
        else:
            old = int.from_bytes(self._access.flash_read(page, PAGE_SIZE), "little")
            new = old | self._bits(PAGE_SIZE, part)
            self._access.flash_write(page, new.to_bytes(PAGE_SIZE, "little"))

    def program(self, address: int, data: bytes, part: float = 1.0) -> None:
        """Bits fall, none rises. `part` < 1: each bit that should fall does with that probability."""
        if not data or part <= 0:
            return
        self._note("written", address, len(data))
        size = len(data)
        keep = int.from_bytes(data, "little")
        if part < 1:
            keep |= ~self._bits(size, part) & (1 << 8 * size) - 1
        old = int.from_bytes(self._access.flash_read(address, size), "little")
        self._access.flash_write(address, (old & keep).to_bytes(size, "little"))

    def program_words(self, address: int, data: bytes, done: int, part: float) -> None:
        """`done` whole words of `data`, and `part` of the next."""
        self.program(address, data[: 4 * done])
        self.program(address + 4 * done, data[4 * done : 4 * done + 4], part)

    def noise(self, size: int) -> bytes:
        """What RAM holds after power-on: anything."""
        return self._random.randbytes(size)

    def _bits(self, size: int, part: float) -> int:
        """Random bits, each set with probability `part` (in steps of 1/16)."""
        value, count = 0, 8 * size
        level = min(max(round(part * 16), 1), 15)
        for step in range(4):
            bits = self._random.getrandbits(count)
            value = value | bits if level >> step & 1 else value & bits
        return value

    def _note(self, what: str, address: int, size: int) -> None:
        for area in self.guarded:
            if address < area.stop and area.start < address + size:
                text = f"{size} bytes at 0x{address:08x} {what}"
                if text not in self.touched:
                    self.touched.append(text)
