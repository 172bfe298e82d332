"""EmulatorFault: what the firmware did that the chip would answer with a fault, with the state of the core at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxino.errors import OnnxinoError

REGISTER_NAMES = (*(f"r{i}" for i in range(13)), "sp", "lr", "pc", "xpsr")


class EmulatorFault(OnnxinoError):
    """The emulated core faulted. `pc`, `lr` and `registers` (name -> 32-bit value) hold its state, `kind` a short stable name.

    `kind` is one of: unmapped, alignment, undefined, fpu-disabled, flash-write, easydma, nvmc, execute-never, breakpoint, bus, uarte,
    stack, lockup.
    """

    def __init__(self, kind: str, what: str, hint: str | None = None) -> None:
        super().__init__(what, hint)
        self.kind = kind
        self.what = what
        self.pc = 0
        self.lr = 0
        self.registers: dict[str, int] = {}

    def located(self, registers: Mapping[str, int], symbol: Callable[[int], str | None]) -> EmulatorFault:
        """Adds the core's registers and, where an ELF is known, the names of the functions; returns itself."""
        self.registers = dict(registers)
        self.pc, self.lr = registers["pc"], registers["lr"]
        self.message = f"{self.what} (pc {_place(self.pc, symbol)}, lr {_place(self.lr, symbol)})"
        self.args = (self.message,)
        return self

    def dump(self) -> str:
        """All registers, four in a line."""
        cells = [f"{name:>4} {value:08x}" for name, value in self.registers.items()]
        return "\n".join("  ".join(cells[i : i + 4]) for i in range(0, len(cells), 4))


def _place(address: int, symbol: Callable[[int], str | None]) -> str:
    name = symbol(address)
    return f"0x{address:08x} in {name}" if name else f"0x{address:08x}"
