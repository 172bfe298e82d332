"""Turns a translated block of code into its cost: how many instructions, how many cycles, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnxino_tools.emulator.costs import REFILL, Instruction, cost, instruction

CONDITIONAL = 1  # the block ends in a branch that may not be taken
MAY_UNMASK = 2  # the block ends in an instruction that may unmask interrupts (CPSIE, MSR)


@dataclass(slots=True)
class Block:
    """size in bytes; cycles without the refill of a conditional branch at the end."""

    size: int
    instructions: int
    cycles: int
    flags: int


class BlockDecoder:
    """Decodes blocks with capstone. `read(address, size)` gives code bytes; `flash_wait_states` are added per literal
    load."""

    def __init__(self, read: Callable[[int, int], bytes], flash_wait_states: int = 0) -> None:
        import capstone

        self._capstone: Any = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB + capstone.CS_MODE_MCLASS)
        self._capstone.detail = True
        self._read = read
        self._wait_states = flash_wait_states
        # The last instruction of a block that was cut in the middle of straight code, by the address after it.
        self._before: dict[int, Instruction] = {}

    def instructions(self, address: int, size: int) -> list[Instruction]:
        """The instructions of a block; what capstone cannot read counts as one of one cycle."""
        code = self._read(address, size)
        found: list[Instruction] = []
        at = 0
        while at < size:
            for insn in self._capstone.disasm(code[at:], address + at):
                found.append(instruction(insn))
                at += insn.size
            if at < size:
                length = 4 if int.from_bytes(code[at : at + 2], "little") >> 11 in (0x1D, 0x1E, 0x1F) else 2
                found.append(_unknown(address + at, length))
                at += length
        return found

    def decode(self, address: int, size: int) -> tuple[Block, list[Instruction]]:
        """The cost of the block of `size` bytes at `address`, and its instructions."""
        insns = self.instructions(address, size)
        cycles = 0
        before = self._before.get(address)
        for insn in insns:
            cycles += cost(insn, before)
            if insn.literal and address < 0x00800000:
                cycles += self._wait_states
            before = insn
        flags = 0
        if insns:
            last = insns[-1]
            if last.branch == "always":
                cycles += REFILL
            elif last.branch == "maybe":
                flags |= CONDITIONAL
            else:
                self._before[address + size] = last
            if last.name in ("cpsie", "msr"):
                flags |= MAY_UNMASK
        return Block(size, len(insns), cycles, flags), insns


def _unknown(address: int, size: int) -> Instruction:
    none = frozenset[str]()
    return Instruction(address, size, "?", False, (), none, False, none, False, False, "?")
