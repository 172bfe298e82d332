"""EmulatorFault: what the firmware did that the chip would answer with a fault, with the state of the core at that
moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxino.errors import OnnxinoError

# CFSR: bit 0 IACCVIOL, 9 PRECISERR, 15 BFARVALID, 16 UNDEFINSTR, 17 INVSTATE, 19 NOCP, 24 UNALIGNED
_STATUS = {
    "unmapped": 1 << 9 | 1 << 15, "bus": 1 << 9 | 1 << 15, "flash-write": 1 << 9 | 1 << 15, "alignment": 1 << 24,
    "undefined": 1 << 16, "fpu-disabled": 1 << 19, "execute-never": 1, "jump": 1 << 8, "breakpoint": 0,
}  # fmt: skip
REGISTER_NAMES = (*(f"r{i}" for i in range(13)), "sp", "lr", "pc", "xpsr")


class EmulatorFault(OnnxinoError):
    """The emulated core faulted. `pc`, `lr` and `registers` (name -> 32-bit value) hold its state, `kind` a short
    stable name.

    `kind` is one of: unmapped, jump, bus, alignment, undefined, fpu-disabled, execute-never, flash-write, breakpoint
    (faults of the core); nvmc, easydma, uarte, usbd (what the chip would silently get wrong); usb (a device
    that the host does not accept).
    """

    def __init__(self, kind: str, what: str, hint: str | None = None, address: int | None = None) -> None:
        super().__init__(what, hint)
        self.address = address  # of the access, where the core would report it
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

    @property
    def status(self) -> int | None:
        """The bit of SCB.CFSR that this fault sets; None for what is no fault of the core (the chip would quietly do
        the wrong thing)."""
        return _STATUS.get(self.kind)

    def dump(self) -> str:
        """All registers, four in a line."""
        cells = [f"{name:>4} {value:08x}" for name, value in self.registers.items()]
        return "\n".join("  ".join(cells[i : i + 4]) for i in range(0, len(cells), 4))


def _place(address: int, symbol: Callable[[int], str | None]) -> str:
    name = symbol(address)
    return f"0x{address:08x} in {name}" if name else f"0x{address:08x}"
