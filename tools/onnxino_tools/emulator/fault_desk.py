"""What happens to a noted fault: it is raised with all that is known, or delivered to the firmware's handler."""

from __future__ import annotations

from onnxino_tools.emulator.blocks import BlockDecoder
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.costs import REFILL, Instruction, cost
from onnxino_tools.emulator.counting import CounterState
from onnxino_tools.emulator.exceptions import Exceptions
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.nvic import HARDFAULT
from onnxino_tools.emulator.symbols import Symbols

_FORCED = 1 << 30  # in HFSR
_NOT_BEGUN = ("fpu-disabled", "execute-never")  # found before the block was counted


class FaultDesk:
    """`delivered` lists the faults that the firmware's HardFault handler got (Machine's faults="deliver")."""

    def __init__(
        self, core: Core, bus: Bus, exceptions: Exceptions, state: CounterState, decoder: BlockDecoder, symbols: Symbols
    ) -> None:
        self._core = core
        self._bus = bus
        self._exceptions = exceptions
        self._state = state
        self._decoder = decoder
        self._symbols = symbols
        self.delivers = False
        self.delivered: list[EmulatorFault] = []

    def handle(self, fault: EmulatorFault, counted: bool) -> None:
        """Raises the fault, or starts the HardFault handler. `counted`: blocks are counted when they begin."""
        registers = self._core.registers()
        if counted and fault.kind not in _NOT_BEGUN:
            self._uncount(registers["pc"])
        fault.located(registers, self._symbols.name)
        if not self.delivers or fault.status is None:
            raise fault
        if HARDFAULT in self._bus.nvic.active:
            fault.message = f"fault inside of the HardFault handler, the core locks up: {fault.message}"
            raise fault
        self.delivered.append(fault)
        self._bus.system.set_fault_status(fault.status, _FORCED, fault.address)
        self._exceptions.enter(HARDFAULT)

    def _uncount(self, pc: int) -> None:
        """Takes back what was counted when the block began but is not executed."""
        state = self._state
        if not state.address <= pc < state.next:
            return
        before: Instruction | None = None
        for insn in self._decoder.instructions(pc, state.next - pc):
            state.instructions -= 1
            state.cycles -= cost(insn, before) + (REFILL if insn.branch == "always" else 0)
            before = insn
        state.taken = 0
