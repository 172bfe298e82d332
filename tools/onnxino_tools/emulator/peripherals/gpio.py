"""GPIO ports P0 and P1 (one page): outputs, directions, and inputs that the host may set."""

from __future__ import annotations

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral


class Gpio(Peripheral):
    """`levels[port]` are the levels that the outside world drives (bit per pin); read pins show them, or OUT where DIR
    is set."""

    name = "GPIO"

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip, 0x50000000)
        self.levels = [0, 0]
        self.out = [0, 0]
        self.direction = [0, 0]
        self.reset()

    def reset(self) -> None:
        self.out, self.direction = [0, 0], [0, 0]
        self.registers = {0x700 + 4 * pin: 2 for pin in range(32)} | {0xA00 + 4 * pin: 2 for pin in range(16)}
        self.registers |= {0x520: 0, 0x524: 0, 0x820: 0, 0x824: 0}

    def pin(self, port: int, number: int) -> bool:
        """The level that the firmware drives on an output pin."""
        return bool(self.out[port] >> number & self.direction[port] >> number & 1)

    def read(self, offset: int) -> int:
        port, register = (1, offset - 0x300) if offset >= 0x800 and offset < 0xA80 else (0, offset)
        if register in (0x504, 0x508, 0x50C):
            return self.out[port]
        if register == 0x510:
            return (self.out[port] & self.direction[port]) | (self.levels[port] & ~self.direction[port])
        if register in (0x514, 0x518, 0x51C):
            return self.direction[port]
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        port, register = (1, offset - 0x300) if offset >= 0x800 and offset < 0xA80 else (0, offset)
        if register in (0x504, 0x508, 0x50C):
            self.out[port] = _changed(self.out[port], register - 0x504, value)
        elif register in (0x514, 0x518, 0x51C):
            self._set_direction(port, _changed(self.direction[port], register - 0x514, value))
        else:
            super().write(offset, value)
            if 0x700 <= register < 0x780:
                number = (register - 0x700) >> 2
                mask = 1 << number
                self.direction[port] = (self.direction[port] & ~mask) | (mask if value & 1 else 0)

    def _set_direction(self, port: int, value: int) -> None:
        self.direction[port] = value
        base = 0x700 + 0x300 * port
        for number in range(32 if port == 0 else 16):
            self.registers[base + 4 * number] = (self.registers[base + 4 * number] & ~1) | (value >> number & 1)


def _changed(old: int, which: int, value: int) -> int:
    """Plain, SET (4) or CLR (8) register."""
    return value if which == 0 else old | value if which == 4 else old & ~value
