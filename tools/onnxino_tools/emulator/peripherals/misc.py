"""Small ones: the temperature sensor, the random number generator, and the two read-only information pages."""

from __future__ import annotations

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral

DATARDY = VALRDY = 0x100


class Temperature(Peripheral):
    """25 degrees Celsius, always, 36 us after START."""

    name = "TEMP"

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip, 0x4000C000, 12)
        self.tasks = {
            0x00: lambda: chip.scheduler.after(36 * 64, lambda: self.event(DATARDY)) and None,
            0x04: lambda: None,
        }
        self.readers = {0x508: lambda: 100}  # quarter degrees

    def reset(self) -> None:
        super().reset()


class Random(Peripheral):
    """A deterministic sequence (xorshift) instead of noise: runs repeat."""

    name = "RNG"

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip, 0x4000D000, 13)
        self._state = 0x2545F491
        self.registers = {0x200: 0, 0x504: 0}
        self._running = False
        self.tasks = {0x00: self._start, 0x04: self._stop}
        self.readers = {0x508: lambda: self._state & 0xFF}

    def reset(self) -> None:
        self._running = False
        self.registers = {0x200: 0, 0x504: 0}
        super().reset()

    def _start(self) -> None:
        self._running = True
        self.chip.scheduler.after(120 * 64, self._next)

    def _stop(self) -> None:
        self._running = False

    def _next(self) -> None:
        if not self._running:
            return
        for shift in (13, -17, 5):
            moved = self._state << shift if shift > 0 else self._state >> -shift
            self._state = (self._state ^ moved) & 0xFFFFFFFF
        self.event(VALRDY)
        if self.registers[0x200] & 1:
            self._running = False
        else:
            self.chip.scheduler.after(120 * 64, self._next)


def ficr(device_id: int) -> bytes:
    """The factory information page (4096 bytes) of an nRF52840 with this 64-bit number."""
    page = bytearray(b"\xff" * 4096)
    words = {
        0x10: 4096, 0x14: 256, 0x60: device_id & 0xFFFFFFFF, 0x64: device_id >> 32, 0xA0: 1,
        0xA4: device_id & 0xFFFFFFFF, 0xA8: (device_id >> 32 & 0xFFFF) | 0xC000, 0x100: 0x52840, 0x104: 0x41414430,
        0x108: 0x2004, 0x10C: 256, 0x110: 1024, 0x130: 8, 0x134: 3,
    }  # fmt: skip
    for offset, value in words.items():
        page[offset : offset + 4] = value.to_bytes(4, "little")
    return bytes(page)


def uicr() -> bytes:
    """The user information page as on a board with bootloader BL1: the reset pin is P0.18, nothing else is set."""
    page = bytearray(b"\xff" * 4096)
    for offset in (0x200, 0x204):
        page[offset : offset + 4] = (18).to_bytes(4, "little")
    return bytes(page)
