"""The MPU's registers. Of its rules the right to execute is enforced (the bootloader leaves RAM execute-never)."""

from __future__ import annotations

REGIONS = 8


class Mpu:
    """Eight regions; the one with the highest number that holds an address decides."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.control = 0
        self._number = 0
        self._base = [0] * REGIONS
        self._attributes = [0] * REGIONS

    def left_by_bootloader(self) -> None:
        """Region 0: 1 MB flash, executable. Region 1: 256 KB RAM, execute-never. On, with the default map for the
        rest."""
        self._base[0], self._attributes[0] = 0x00000000, 0x03000000 | 19 << 1 | 1
        self._base[1], self._attributes[1] = 0x20000000, 0x13000000 | 17 << 1 | 1
        self.control = 5

    def may_execute(self, address: int) -> bool:
        if not self.control & 1:
            return True
        for number in reversed(range(REGIONS)):
            attributes = self._attributes[number]
            size = 2 << (attributes >> 1 & 31)
            base = self._base[number] & ~(size - 1)
            inside = attributes & 1 and base <= address < base + size
            disabled = size >= 256 and attributes >> 8 >> ((address - base) * 8 // size) & 1 if inside else False
            if inside and not disabled:
                return not attributes >> 28 & 1
        return bool(self.control & 4) and not 0x40000000 <= address < 0x60000000

    def read(self, offset: int) -> int:
        index = self._number & 7
        if offset == 0xD90:
            return REGIONS << 8
        if offset == 0xD94:
            return self.control
        if offset == 0xD98:
            return self._number
        return self._base[index] | index if offset in (0xD9C, 0xDA4, 0xDAC, 0xDB4) else self._attributes[index]

    def write(self, offset: int, value: int) -> None:
        if offset == 0xD94:
            self.control = value & 7
        elif offset == 0xD98:
            self._number = value & 7
        elif offset in (0xD9C, 0xDA4, 0xDAC, 0xDB4):
            if value & 0x10:
                self._number = value & 7
            self._base[self._number] = value & 0xFFFFFFE0
        elif offset != 0xD90:
            self._attributes[self._number] = value
