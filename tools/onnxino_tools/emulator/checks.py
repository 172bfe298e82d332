"""Looks at each block of code before its first execution: its cost, and whether the core may execute it as it is set
up."""

from __future__ import annotations

from typing import Protocol

from onnxino_tools.emulator.blocks import Block, BlockDecoder
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.counting import CounterState
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.system import SystemControl


class Notes(Protocol):
    def fault(self, fault: EmulatorFault) -> None: ...

    def keep_error(self, error: BaseException) -> None: ...


class BlockChecks:
    """Checks that cost nothing while the code runs, because the result holds until FPU or MPU settings change."""

    def __init__(
        self, notes: Notes, system: SystemControl, core: Core, state: CounterState, decoder: BlockDecoder
    ) -> None:
        self._notes = notes
        self._system = system
        self._core = core
        self._state = state
        self._decoder = decoder
        self.fpu_pending = False  # the block that runs now uses the FPU, but may switch it on before

    def decode(self, address: int, size: int) -> Block | None:
        """The block's cost, or None after noting a fault. Called by the counters, inside of the engine."""
        try:
            block, insns = self._decoder.decode(address, size)
            if not self._system.mpu.may_execute(address):
                self._notes.fault(
                    EmulatorFault(
                        "execute-never",
                        f"code at 0x{address:08x}, where the MPU forbids execution",
                        "the bootloader leaves the MPU on with RAM execute-never: write MPU.CTRL = 0 first",
                    )
                )
                return None
            if not self._system.fpu_enabled and any(insn.is_float for insn in insns):
                first = next(i for i, insn in enumerate(insns) if insn.is_float)
                if not any(insn.name.startswith("st") for insn in insns[:first]):
                    self._core["pc"] = insns[first].address
                    self._fpu_fault(insns[first].text)
                    return None
                self.fpu_pending = True  # look again when the block is over
                self._state.deadline = 0
            return block
        except BaseException as error:
            self._notes.keep_error(error)
            return None

    def after_block(self) -> None:
        if self.fpu_pending:
            self.fpu_pending = False
            if not self._system.fpu_enabled:
                self._fpu_fault("an FPU instruction")

    def _fpu_fault(self, text: str) -> None:
        self._notes.fault(
            EmulatorFault(
                "fpu-disabled",
                f"{text}: the FPU is not enabled",
                "write SCB.CPACR (0xe000ed88) |= 0xf00000, then DSB and ISB",
            )
        )
