"""The undocumented registers that the work-arounds of the USBD's errata write to, and whether they were written."""

from __future__ import annotations

from onnxino_tools.emulator.peripherals.base import Chip, Peripheral

_LOCK, _KEY = 0xC00, 0x9375
_ERRATUM_171, _ERRATUM_187 = 0xC14, 0xD14
_NEEDED = {_ERRATUM_171: (171, 0xC0), _ERRATUM_187: (187, 3)}


class UsbErrata(Peripheral):
    """Page 0x4006E000. 0xC00 reads 0 while the page is locked; each write of the key changes that."""

    name = "USBD errata registers"

    def __init__(self, chip: Chip) -> None:
        super().__init__(chip, 0x4006E000)
        self._unlocked = False
        self.reset()

    def reset(self) -> None:
        self._unlocked = False
        self.registers = {_ERRATUM_171: 0, _ERRATUM_187: 0}
        super().reset()

    def read(self, offset: int) -> int:
        return int(self._unlocked) if offset == _LOCK else self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == _LOCK:
            self._unlocked ^= value == _KEY
        elif offset not in self.registers:
            self.unknown("write", offset)
        elif not self._unlocked:
            self.chip.warn(f"write of 0x{self.base + offset:08x} while 0x4006ec00 is locked: ignored")
        else:
            self.registers[offset] = value

    def check_enabling(self) -> None:
        """ENABLE is about to be written."""
        for offset, (number, value) in _NEEDED.items():
            if self.registers[offset] != value:
                self.chip.warn(
                    f"USBD enabled without the work-around of erratum {number}: "
                    f"0x{self.base + offset:08x} is {self.registers[offset]}, not {value}"
                )

    def check_running(self) -> None:
        """The device goes on the bus: the work-arounds of the start have to be undone."""
        for offset, (number, _) in _NEEDED.items():
            if self.registers[offset] != 0:
                self.chip.warn(
                    f"the work-around of erratum {number} was not undone after READY: "
                    f"0x{self.base + offset:08x} is {self.registers[offset]}"
                )
