"""Registers of the core, and taking and leaving exceptions by hand: Unicorn has no NVIC and does neither."""

from __future__ import annotations

import struct
from typing import Any

from onnxino_tools.emulator.fault import REGISTER_NAMES

FPCA = 4  # CONTROL bit: the FPU was used since the last exception entry
SPSEL = 2
ENTRY_CYCLES = 12
RETURN_CYCLES = 10


class Core:
    """Reads and writes registers of a Unicorn engine by name."""

    def __init__(self, uc: Any) -> None:
        from unicorn import arm_const as arm

        self.uc = uc
        self._ids: dict[str, int] = {f"r{i}": arm.UC_ARM_REG_R0 + i for i in range(13)}
        self._ids |= {f"s{i}": arm.UC_ARM_REG_S0 + i for i in range(32)}
        # capstone's names of r9 to r12
        self._ids |= {name: self._ids[f"r{9 + i}"] for i, name in enumerate(("sb", "sl", "fp", "ip"))}
        for name in (
            "sp",
            "lr",
            "pc",
            "xpsr",
            "control",
            "primask",
            "basepri",
            "faultmask",
            "msp",
            "psp",
            "ipsr",
            "fpscr",
        ):
            self._ids[name] = getattr(arm, f"UC_ARM_REG_{name.upper()}")

    def __getitem__(self, name: str) -> int:
        return int(self.uc.reg_read(self._ids[name]))

    def __setitem__(self, name: str, value: int) -> None:
        self.uc.reg_write(self._ids[name], value)

    def registers(self) -> dict[str, int]:
        """All that a fault report shows."""
        return {name: self[name] for name in REGISTER_NAMES}

    def reset(self, stack: int, start: int) -> None:
        """As after a reset: handler mode left, masks off, main stack."""
        self["xpsr"] = 0x01000000
        for name in ("control", "primask", "basepri", "faultmask", "fpscr"):
            self[name] = 0
        for name in (*(f"r{i}" for i in range(13)), *(f"s{i}" for i in range(32)), "psp"):
            self[name] = 0
        self["lr"] = 0xFFFFFFFF
        self["msp"] = stack & ~3
        self["sp"] = stack & ~3
        self["pc"] = start & ~1

    def enter(self, exception: int, handler: int, return_to: int, align: bool) -> bool:
        """Stacks the frame and starts `handler`. `return_to` is where the interrupted code goes on.

        False when the stack lies outside of RAM: the handler is started even so, as on the chip.
        """
        from unicorn.unicorn import UcError

        control, xpsr = self["control"], self["xpsr"]
        thread = self["ipsr"] == 0
        on_process_stack = thread and bool(control & SPSEL)
        floating = bool(control & FPCA)
        sp = self["sp"]
        size = 0x68 if floating else 0x20
        frame = sp - size
        padded = align and bool(frame & 4)
        frame &= ~4 if align else ~0
        xpsr = xpsr & ~0x200 | (0x200 if padded else 0) | 0x01000000
        words = [self[name] for name in ("r0", "r1", "r2", "r3", "r12", "lr")] + [return_to & ~1, xpsr]
        data = struct.pack("<8I", *words)
        if floating:
            data += struct.pack("<18I", *(self[f"s{i}"] for i in range(16)), self["fpscr"], 0)
        stacked = True
        try:
            self.uc.mem_write(frame, data)
        except UcError:
            stacked = False
        self["sp"] = frame
        code = 0xFFFFFFF1 if not thread else 0xFFFFFFFD if on_process_stack else 0xFFFFFFF9
        self["xpsr"] = 0x01000000 | exception  # Unicorn changes to the main stack by itself
        self["control"] = control & ~(FPCA | SPSEL) & 7
        self["lr"] = code & ~0x10 if floating else code
        self["pc"] = handler & ~1
        return stacked

    def leave(self, code: int, align: bool) -> None:
        """Unstacks the frame that EXC_RETURN `code` names. The caller told the NVIC before."""
        process = code & 0xF == 0xD
        floating = not code & 0x10
        control = self["control"]
        handler_next = code & 0xF == 1
        frame = self["psp"] if process else self["msp"]
        words = struct.unpack("<8I", self.uc.mem_read(frame, 32))
        size = 0x20
        if floating:
            values = struct.unpack("<17I", self.uc.mem_read(frame + 32, 68))
            for i in range(16):
                self[f"s{i}"] = values[i]
            self["fpscr"] = values[16]
            size = 0x68
        xpsr = words[7]
        sp = frame + size | (4 if align and xpsr & 0x200 else 0)
        self["psp" if process else "msp"] = sp
        for name, value in zip(("r0", "r1", "r2", "r3", "r12", "lr"), words, strict=False):
            self[name] = value
        self["xpsr"] = xpsr & ~0x200 | 0x01000000
        if not handler_next:
            self["control"] = control & 1 | (SPSEL if process else 0) | (FPCA if floating else 0)
        elif floating:
            self["control"] = control | FPCA
        self["pc"] = words[6] & ~1
