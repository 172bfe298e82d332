"""What one instruction costs on a Cortex-M4F, in cycles, from what can be seen in the code alone: an estimate.

Zero wait states. The sum over a block is Σ cost(instruction, instruction before); a taken branch adds REFILL to that.
Source of the figures: the instruction tables of the core's Technical Reference Manual and its notes on pairing. In
words:
    everything else (ALU, MUL, MLA, SMLAD, SIMD, VADD, VMUL, VCVT, VMOV)   1
    a load                                     2, or 1 right after another load whose result is not its address
    a store                                    1, or 2 with a register offset (1 right after a load)
    LDRD, STRD                                 3
    LDM, STM, PUSH, POP of n words             1 + n
    VLDR, VSTR of one word, of two             2, 3
    SDIV, UDIV                                 6
    VMLA, VFMA and their kin                   3
    VDIV, VSQRT                                14
    a load or store whose address is computed by the instruction right before it    + 1
    an FPU result (arithmetic, conversion) that the very next instruction reads     + 1
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

REFILL = 2  # cycles to refill the pipeline after a taken branch

_LOADS = frozenset((
    "ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrt", "ldrbt", "ldrht", "ldrsbt", "ldrsht", "ldrex", "ldrexb",
    "ldrexh",
))  # fmt: skip
_STORES = frozenset(["str", "strb", "strh", "strt", "strbt", "strht", "strex", "strexb", "strexh"])
_PAIRS = frozenset(["ldrd", "strd"])
_FLOAT_MEMORY = frozenset(["vldr", "vstr"])
_MULTIPLE = ("ldm", "stm", "vldm", "vstm", "push", "pop", "vpush", "vpop")
_FUSED = frozenset(["vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms"])
_FLOAT_RESULT = _FUSED | frozenset((
    "vadd", "vsub", "vmul", "vnmul", "vdiv", "vsqrt", "vcvt", "vcvtr", "vcvtb", "vcvtt",
))  # fmt: skip
_NO_RESULT = frozenset(["it", "cmp", "cmn", "tst", "teq", "nop"])
_BRANCHES = frozenset(["b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh"])
_FLAG_SETTING = frozenset((
    "add", "sub", "mov", "and", "orr", "eor", "lsl", "lsr", "asr", "ror", "rsb", "bic", "mvn", "adc", "sbc",
    "mul", "orn", "rrx",
))  # fmt: skip
_FIXED = {"sdiv": 6, "udiv": 6, "vdiv": 14, "vsqrt": 14, "tbb": 2, "tbh": 2}
_CONDITION = re.compile("(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)$")
_ALWAYS = (0, 15)  # capstone's condition codes for "no condition" (ARM_CC_INVALID, ARM_CC_AL)


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the cost rules need to know of one instruction. Registers are names; `s`/`d` registers appear as s0..s31."""

    address: int
    size: int
    name: str  # mnemonic without condition, width and flag suffix
    conditional: bool
    registers: tuple[str, ...]  # register operands in order, register lists included
    address_registers: frozenset[str]
    indexed: bool  # the address has a register offset
    reads: frozenset[str]  # FPU registers that it reads
    writes_pc: bool
    literal: bool  # loads from a pc-relative address
    text: str
    address_base: str = ""  # register that the address starts from
    displacement: int = 0  # added to it; 0 where the base is used first and changed afterwards

    @property
    def is_branch(self) -> bool:
        return self.name in _BRANCHES or self.writes_pc

    @property
    def branch(self) -> str:
        """'' for no branch, 'always', or 'maybe' when it depends on a condition."""
        if not self.is_branch:
            return ""
        return "maybe" if self.conditional or self.name in ("cbz", "cbnz") else "always"

    @property
    def is_load(self) -> bool:
        return self.name in _LOADS and not self.writes_pc

    @property
    def is_float(self) -> bool:
        return self.name.startswith("v")

    @property
    def words(self) -> int:
        """32-bit words that a multiple transfer moves."""
        moved = self.registers if self.name in ("push", "pop", "vpush", "vpop") else self.registers[1:]
        return sum(2 if name[0] == "d" else 1 for name in moved)


def instruction(insn: Any) -> Instruction:
    """Reads a capstone instruction (detail mode)."""
    conditional = insn.cc not in _ALWAYS
    name = insn.mnemonic.split(".")[0]
    if conditional and name not in ("it",):
        name = _CONDITION.sub("", name)
    if name.endswith("s") and name[:-1] in _FLAG_SETTING:
        name = name[:-1]
    registers: list[str] = []
    address_registers: set[str] = set()
    indexed = False
    base, displacement = "", 0
    for operand in insn.operands:
        if operand.type == 1:  # register
            registers.append(insn.reg_name(operand.reg))
        elif operand.type == 3:  # memory
            parts = [insn.reg_name(r) for r in (operand.mem.base, operand.mem.index) if r]
            address_registers.update(parts)
            indexed = bool(operand.mem.index)
            base, displacement = (parts or [""])[0], 0 if insn.post_index else operand.mem.disp
    writes_pc = "pc" in registers and (
        name.startswith(("pop", "ldm")) or (name in ("ldr", "mov", "add") and registers[0] == "pc")
    )
    literal = "pc" in address_registers and (name in _LOADS or name in ("ldrd", "vldr"))
    reads = _float_reads(name, registers) if name.startswith("v") else frozenset[str]()
    return Instruction(
        insn.address, insn.size, name, conditional, tuple(registers), frozenset(address_registers), indexed, reads,
        writes_pc, literal, f"{insn.mnemonic} {insn.op_str}".strip(), base, displacement,
    )  # fmt: skip


def _halves(register: str) -> frozenset[str]:
    """A double register as its two single ones."""
    if register[0] == "d" and register[1:].isdigit():
        number = 2 * int(register[1:])
        return frozenset((f"s{number}", f"s{number + 1}"))
    return frozenset((register,))


def _float_reads(name: str, registers: list[str]) -> frozenset[str]:
    if name in ("vldr", "vpop", "vmrs", "vmsr") or name.startswith("vldm"):
        return frozenset()
    whole = name in _FUSED or name in ("vstr", "vpush", "vcmp", "vcmpe") or name.startswith("vstm")
    sources = registers if whole else registers[1:]
    return frozenset(half for register in sources for half in _halves(register) if half[0] == "s" and half != "sp")


def cost(insn: Instruction, before: Instruction | None) -> int:
    """Cycles of `insn`, given the instruction executed right before it (None: nothing that matters). Without REFILL."""
    return _base_cost(insn, before) + _stalls(insn, before)


def _base_cost(insn: Instruction, before: Instruction | None) -> int:
    name = insn.name
    if name in _LOADS or name in _STORES:
        paired = before is not None and before.is_load and before.registers[0] not in insn.address_registers
        if name in _LOADS:
            return 1 if paired else 2
        return 2 if insn.indexed and not paired else 1
    if name in _PAIRS:
        return 3
    if name in _FLOAT_MEMORY:
        return 3 if insn.registers[0][0] == "d" else 2
    if name.startswith(_MULTIPLE):
        return 1 + insn.words
    if name in _FUSED:
        return 3
    if name == "vmov" and len(insn.registers) >= 3:
        return 2
    return _FIXED.get(name, 1)


def _stalls(insn: Instruction, before: Instruction | None) -> int:
    if before is None or not before.registers:
        return 0
    result = before.registers[0]
    if before.name in _FLOAT_RESULT:
        return 1 if _halves(result) & insn.reads else 0
    moves = insn.name in _LOADS or insn.name in _STORES or insn.name in _PAIRS
    computes = not (
        before.name in _LOADS or before.name in _STORES or before.name in _PAIRS or before.is_float or before.is_branch
        or before.name in _NO_RESULT or before.name.startswith(_MULTIPLE)
    )  # fmt: skip
    return 1 if moves and computes and result in insn.address_registers else 0
