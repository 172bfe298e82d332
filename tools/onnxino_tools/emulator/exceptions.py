"""Taking and leaving exceptions: what the NVIC decides, done to the core's registers, with its cost in cycles."""

from __future__ import annotations

from typing import Protocol

from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.core import ENTRY_CYCLES, RETURN_CYCLES, Core
from onnxino_tools.emulator.counting import CounterState
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.memory import Memory
from onnxino_tools.emulator.peripherals.nvic import HARDFAULT

_STACKING_FAILED = 1 << 12  # CFSR.STKERR


class FaultNote(Protocol):
    def fault(self, fault: EmulatorFault) -> None: ...


class Exceptions:
    """Works between two blocks, when the engine stands. A vector that is no code is noted as a fault with `note`."""

    def __init__(self, note: FaultNote, core: Core, bus: Bus, memory: Memory, state: CounterState) -> None:
        self._note = note
        self._core = core
        self._bus = bus
        self._memory = memory
        self._state = state

    def take_pending(self) -> None:
        """Enters the most urgent exception that may be taken now; remembers when one is only masked."""
        nvic, core = self._bus.nvic, self._core
        self._state.masked = 0
        if not nvic.pending & nvic.enabled:
            return
        exception = nvic.ready(bool(core["primask"] & 1), core["basepri"], bool(core["faultmask"] & 1))
        if exception is not None:
            self.enter(exception)
        else:
            self._state.masked = 1

    def enter(self, exception: int) -> None:
        """Stacks the context and starts the handler."""
        nvic, system = self._bus.nvic, self._bus.system
        handler = self._vector(system.vtor + 4 * exception)
        if not handler & 1:
            what = f"the vector of exception {exception} is 0x{handler:08x}: no Thumb address"
            self._note.fault(EmulatorFault("undefined", what))
            return
        nvic.take(exception)
        if not self._core.enter(exception, handler, self._core["pc"], system.stack_align_8):
            system.set_fault_status(_STACKING_FAILED, 0, None)
            if exception != HARDFAULT:
                where = f"the stack pointer 0x{self._core['sp']:08x} is outside of RAM"
                self._note.fault(EmulatorFault("bus", f"exception {exception} cannot be taken: {where}"))
        self._state.cycles += ENTRY_CYCLES
        self._state.taken = self._state.next = 0

    def _vector(self, address: int) -> int:
        """0 where VTOR leads to nothing."""
        from unicorn.unicorn import UcError

        try:
            return int.from_bytes(self._memory.code(address & 0xFFFFFFFF, 4), "little")
        except UcError:
            return 0

    def leave(self, code: int) -> None:
        """Exception return; `code` is EXC_RETURN as the engine leaves it in the program counter."""
        from unicorn.unicorn import UcError

        number = self._core["ipsr"]
        self._bus.nvic.leave(number)
        if number != HARDFAULT:
            self._core["faultmask"] = 0
        try:
            self._core.leave(code | 0xFF000001, self._bus.system.stack_align_8)
        except UcError:
            where = "the stack pointer is outside of RAM"
            self._note.fault(EmulatorFault("bus", f"return from exception {number} cannot be done: {where}"))
        self._state.cycles += RETURN_CYCLES
        self._state.taken = 0
