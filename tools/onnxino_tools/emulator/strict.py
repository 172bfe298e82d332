"""Strict mode: looks at each instruction that must not be unaligned (LDRD, LDM, VLDR and their kin) before it runs.

Unicorn lets them pass; the chip takes a UsageFault. Seeing every instruction is slow (below a million a second), so
this is a mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxino_tools.emulator.blocks import BlockDecoder
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.fault import EmulatorFault

_ALIGNED = (
    "ldrd",
    "strd",
    "ldm",
    "stm",
    "vldr",
    "vstr",
    "vldm",
    "vstm",
    "ldrex",
    "strex",
    "push",
    "pop",
    "vpush",
    "vpop",
)
_BYTES = ("ldrexb", "strexb", "ldrexh", "strexh")


class AlignmentCheck:
    """`fault` notes the fault; the engine is stopped before the instruction."""

    def __init__(self, uc: Any, core: Core, decoder: BlockDecoder, fault: Callable[[EmulatorFault], None]) -> None:
        import unicorn

        self._uc = uc
        self._core = core
        self._decoder = decoder
        self._fault = fault
        self._addresses: dict[int, tuple[str, str, int] | None] = {}  # address -> text, base register, displacement
        uc.hook_add(unicorn.UC_HOOK_CODE, self._look)

    def forget(self) -> None:
        self._addresses.clear()

    def _look(self, _uc: Any, address: int, size: int, _user: Any) -> None:
        if address not in self._addresses:
            self._addresses[address] = self._access(address, size)
        access = self._addresses[address]
        if access is None:
            return
        text, base, displacement = access
        start = (address + 4 & ~3 if base == "pc" else self._core[base]) + displacement & 0xFFFFFFFF
        if start & 3:
            self._fault(
                EmulatorFault(
                    "alignment", f"{text}: address 0x{start:08x} is not a multiple of 4",
                    "only single loads and stores may be unaligned: use memcpy for data of unknown alignment",
                )
            )  # fmt: skip
            self._uc.emu_stop()

    def _access(self, address: int, size: int) -> tuple[str, str, int] | None:
        insn = self._decoder.instructions(address, size)[0]
        if not insn.name.startswith(_ALIGNED) or insn.name in _BYTES:
            return None
        if insn.name in ("push", "pop", "vpush", "vpop"):
            return insn.text, "sp", 0
        if insn.address_base:
            return insn.text, insn.address_base, insn.displacement
        return (insn.text, insn.registers[0], 0) if insn.registers else None
