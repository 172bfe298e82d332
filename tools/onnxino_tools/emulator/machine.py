"""Machine: an nRF52840 that runs a firmware image, in this process, without a serial port.

machine = Machine(image, model)
machine.uart_write(b"...")
machine.run()                    # until the firmware waits for the host
machine.uart_read()
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnxino.boards import NANO33BLE, Board
from onnxino.errors import MissingExtraError
from onnxino_tools.emulator.blocks import BlockDecoder
from onnxino_tools.emulator.boot import check_contents, check_image
from onnxino_tools.emulator.bootloader_flash import generation_named
from onnxino_tools.emulator.checks import BlockChecks
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.counted import Counted
from onnxino_tools.emulator.counting import new_state
from onnxino_tools.emulator.deferred import DeferredSignals
from onnxino_tools.emulator.exceptions import Exceptions
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.fault_desk import FaultDesk
from onnxino_tools.emulator.line import HostLine
from onnxino_tools.emulator.link_faults import LinkFaults
from onnxino_tools.emulator.memory import Memory
from onnxino_tools.emulator.peripherals.clock_power import RESET_LOCKUP
from onnxino_tools.emulator.peripherals.misc import ficr, uicr
from onnxino_tools.emulator.peripherals.nvic import SVC
from onnxino_tools.emulator.scheduler import CLOCK_HZ, NEVER, Scheduler
from onnxino_tools.emulator.startup import Startup
from onnxino_tools.emulator.state import FlashState, board_flash
from onnxino_tools.emulator.strict import AlignmentCheck
from onnxino_tools.emulator.symbols import Symbols
from onnxino_tools.emulator.watch import map_watched

_NO_END = 0xF0000000  # an address that no code reaches
_WFI, _SEV = b"\x30\xbf", b"\x40\xbf"
_UNDEFINED, _SUPERVISOR, _BREAKPOINT, _EXCEPTION_RETURN = 1, 2, 7, 8  # Unicorn's interrupt numbers
_LONGEST = 16_000_000  # cycles in one go, so that Ctrl-C gets through where the engine calls no Python
DEVICE_ID = 0x0123_4567_89AB_CDEF


class Machine(Counted):
    """The board: without `bootloader`, as the bootloader hands it over to the application.

    `image` is linked at `board.image_address`, vectors first; `model` (an .oxm file) is placed at
    `board.model_address`.
    `count`: "native" (compiled hook), "python" (slow hook), "off" (no counting, no time while the core computes), or
    "auto": native where a C compiler is at hand, else each kind of request is counted once per model and repeated
    (`count_note` says so).
    `wait_states`: cycles added for each word that is read as data from flash (docs/emulator.md says which reads are
    seen).
    `baud_pacing`: bytes take their time on the wire. `elf`: for names in fault messages. `strict`: also checks the
    alignment of each LDRD, LDM, VLDR and their kin (slow). `faults`: "raise" an EmulatorFault, or "deliver" those of
    the core to the firmware's HardFault handler as the chip does (with a bootloader, a core that locks up is reset).
    `bootloader`: "bl1" or "bl2": each reset goes through it, and without `image` the board comes without application.
    `usb`: a host is plugged into the USB port (`usb`, a UsbHost). `flash_state`: a file that holds the flash
    (FlashState); image and model are written over what is in it. `link_faults`: injected in `line`. `seed`: of what
    is random (RAM after power-on, half-done flash writes).
    Raises InputError if image or model do not fit or the state file does not, MissingExtraError without unicorn and
    capstone.
    """

    def __init__(
        self,
        image: bytes | None = None,
        model: bytes | None = None,
        *,
        bootloader: str | None = None,
        usb: bool = False,
        flash_state: Path | str | None = None,
        link_faults: LinkFaults | None = None,
        seed: int = 0,
        count: str = "auto",
        wait_states: int = 0,
        baud_pacing: bool = False,
        elf: bytes = b"",
        strict: bool = False,
        faults: str = "raise",
        board: Board = NANO33BLE,
    ) -> None:
        try:
            import capstone  # noqa: F401  # pyright: ignore[reportUnusedImport]
            import unicorn
            from unicorn.unicorn import Uc, UcError
        except ImportError as error:
            raise MissingExtraError("the emulator", "emulator") from error
        generation = None if bootloader is None else generation_named(bootloader)
        room = None if generation is None else generation.application_end - board.image_address
        check_contents(image, model, board, room, needed=generation is None and flash_state is None)
        self.board = board
        self.warnings = []
        self.uc = Uc(
            unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS, unicorn.arm_const.UC_CPU_ARM_CORTEX_M4
        )
        self._unicorn_error = UcError
        self._state = new_state()
        self.scheduler = Scheduler(self._state)
        self.core = Core(self.uc)
        information = uicr() if generation is None else generation.uicr(uicr())
        self.file = FlashState(flash_state, board.name, bootloader or "", information) if flash_state else None
        self.memory = Memory(self.uc, ficr(DEVICE_ID), information, None if self.file is None else self.file.flash)
        self.memory.note = self.fault
        self.memory.code_changed = self._code_changed
        self._decoder = BlockDecoder(self.memory.code, wait_states)
        self._counter = None
        self.bus = Bus(self, self.memory, self.scheduler, paced=baud_pacing)
        self._checks = BlockChecks(self, self.bus.system, self.core, self._state, self._decoder)
        self._exceptions = Exceptions(self, self.core, self.bus, self.memory, self._state)
        self._desk = FaultDesk(self.core, self.bus, self._exceptions, self._state, self._decoder, Symbols(elf))
        self._desk.delivers = faults == "deliver"
        self.bus.nvmc.cells.seed(seed)
        board_flash(self.memory, self.bus.nvmc.cells, generation, self.file is None or self.file.created)
        if image is not None:
            self.memory.flash_write(board.image_address, image)
        if model is not None:
            self.memory.flash_write(board.model_address, model)
        if image is None and generation is None:
            check_image(self.memory.flash_read(board.image_address, board.image_size), None, board)
        self.count_note = None
        self.replay = None
        self._counter = self._make_counter(count)
        self._hooked = False
        self._counting = count != "off"
        if wait_states:
            map_watched(self.uc, self.memory, self.bus.nvmc.store, self._state, self._counter, wait_states)
        self.memory.map_flash(watched=bool(wait_states))
        self.bus.map()
        self.uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        self._strict = AlignmentCheck(self.uc, self.core, self._decoder, self.fault) if strict else None
        self._interrupt: int | None = None
        self._fault: EmulatorFault | None = None
        self._reset_reason = 0
        self.sleeping = False
        self._sleep_left = 0
        self._signals = DeferredSignals(self.request_stop)
        self.resets = 0
        self.startup = Startup(self, self.bus, self.memory, self.core, board, generation)
        self.usb = self.plug_in_host() if usb else None
        self.line = HostLine(self, link_faults)
        if generation is not None:
            self.startup.power_on()
            self.start_up()
        else:
            self._press_reset()

    # --- for the user ---
    @property
    def delivered(self) -> list[EmulatorFault]:
        """Faults that the firmware's HardFault handler got."""
        return self._desk.delivered

    def skip(self, cycles: int) -> None:
        """Lets time pass while the firmware waits (asleep or polling)."""
        if self.sleeping or self.startup.standing:
            self.scheduler.slept += cycles
        else:
            self._state.cycles += cycles
        self.scheduler.update_deadline()

    def run(
        self,
        max_instructions: int | None = None,
        until: Callable[[], bool] | None = None,
        max_cycles: int | None = None,
        max_sleep: int = CLOCK_HZ,
    ) -> str:
        """Runs the core until something ends it, and says what.

        "idle": the firmware polls for the host, or sleeps for more than `max_sleep` cycles in this call; "until":
        `until()` became true (it is looked at when the device sent something or an event happened); "limit": the
        instructions or cycles
        (sleep included) are used up. Raises EmulatorFault for what the chip would fault on, and what the handlers of
        signals raise (KeyboardInterrupt): they are called when the engine stands, and the machine can run on.
        """
        state = self._state
        self._sleep_left = max_sleep
        state.limit = state.instructions + max_instructions if max_instructions is not None else NEVER
        end = self.scheduler.at(self.scheduler.now + max_cycles, self.request_stop) if max_cycles is not None else None
        self.bus.uarte0.idle_polls = 0
        try:
            with self._signals:
                while True:
                    self._signals.deliver()
                    reason = self._step(until, end.time if end is not None else NEVER)
                    if reason is not None:
                        return reason
        finally:
            if end is not None:
                end.cancel()

    # --- the loop ---
    def _step(self, until: Callable[[], bool] | None, end: int) -> str | None:
        state = self._state
        state.stop = state.flags = 0
        self.scheduler.run_due()
        if self._fault is not None:
            raise self._fault
        if self.startup.failing:
            self.lose_power()
        if self._reset_reason:
            self._soft_reset()
        if until is not None and until():
            return "until"
        if self.scheduler.now >= end or state.instructions >= state.limit:
            return "limit"
        if self.startup.standing:
            return None if self._pass_time(end, self.startup.busy) else "idle"
        if self.bus.uarte0.idle_polls >= self.bus.uarte0.idle_after:
            return "idle"
        if self.sleeping and not self._wake(end):
            return "idle"
        if not self.sleeping:
            if not self._counting or self.replay is not None:
                self._set_hook(self.replay is not None and self.replay.counts)
            self._exceptions.take_pending()
            self._execute()
        return None

    def _wake(self, end: int) -> bool:
        """Ends the sleep, or moves time to the next event. False if that is too far away."""
        if self.bus.nvic.ready(False, self.core["basepri"]) is not None:
            self.sleeping = False
            self.bus.systick.resume()
            return True
        return self._pass_time(end)

    def _pass_time(self, end: int, free: bool = False) -> bool:
        """Moves time to the next event. False if that is too far away; `free`: it is never."""
        wait = max(min(self.scheduler.next_time(), end) - self.scheduler.now, 0)
        passes = wait if free else min(wait, self._sleep_left)
        self.scheduler.slept += passes
        if not free:
            self._sleep_left -= passes
        return passes == wait

    def _execute(self) -> None:
        state, core = self._state, self.core
        state.stop = 0
        self._interrupt = None
        self.scheduler.update_deadline()
        state.deadline = min(state.deadline, state.cycles + _LONGEST)
        error = None
        try:
            self.uc.emu_start(core["pc"] | 1, _NO_END)
        except self._unicorn_error as raised:
            error = raised
        if self.bus.error is not None:
            kept, self.bus.error = self.bus.error, None
            raise kept
        if self._fault is not None:
            self._raise()
        elif self._interrupt is not None:
            self._exception(self._interrupt)
        elif error is not None:
            self._engine_error(error)
        elif not self._stopped_at_block() and self._before_pc() == _WFI:
            self._sleep()
        self._checks.after_block()
        if self._fault is not None:
            self._raise()

    def _stopped_at_block(self) -> bool:
        return self._state.stop == 2  # set by the hook, or where a register was read

    def _sleep(self) -> None:
        self.sleeping = True
        self.bus.systick.pause()

    def _before_pc(self) -> bytes:
        pc = self.core["pc"]
        return self.memory.code(pc - 2, 2) if pc >= 2 else b""

    def _engine_error(self, error: Any) -> None:
        """WFE ends the engine with an error, as do undefined instructions and bad jumps."""
        code = self._before_pc()
        if code == b"\x20\xbf":
            pc = self.core["pc"]
            if pc < 4 or self.memory.code(pc - 4, 2) != _SEV:
                self._sleep()
            return
        self.fault(EmulatorFault("undefined", f"the core cannot execute what it finds ({error})"))
        self._raise()

    def _exception(self, number: int) -> None:
        if number == _EXCEPTION_RETURN:
            self._exceptions.leave(self.core["pc"])
        elif number == _SUPERVISOR:
            self._exceptions.enter(SVC)
        elif number == _BREAKPOINT:
            self.fault(EmulatorFault("breakpoint", "BKPT instruction, and no debugger is connected"))
            self._raise()
        else:
            self.fault(EmulatorFault("undefined", f"undefined instruction or bad access (engine exception {number})"))
            self._raise()

    def keep_error(self, error: BaseException) -> None:
        """An exception inside of a callback of the engine: raised when the engine has stopped."""
        self.bus.error = self.bus.error or error
        self.request_stop()

    def _on_interrupt(self, _uc: Any, number: int, _user: Any) -> None:
        self._interrupt = number
        self.uc.emu_stop()

    # --- reset ---
    def _soft_reset(self) -> None:
        reason, self._reset_reason = self._reset_reason, 0
        self.bus.power.reset_reasons |= reason
        self.resets += 1
        self.start_up()

    def start_up(self) -> None:
        """After any reset."""
        self.sleeping = False
        self._fault = None
        self._reset_reason = 0
        self._checks.fpu_pending = False
        if self.replay is not None:
            self.replay.restarted()
        self.startup.start()

    def application_starts(self) -> None:
        if self.startup.bootloader is not None:  # it may have written code and model
            self._code_changed()
            self.flash_changed()
        self.rights_changed()
        self._set_hook(True)
        self._state.taken = self._state.next = self._state.flags = 0

    # --- Engine, for the bus ---
    def request_stop(self) -> None:
        if not self._state.stop:
            self._state.stop = 1

    def fault(self, fault: EmulatorFault) -> None:
        if self._fault is None:
            self._fault = fault
        self.request_stop()

    def _raise(self) -> None:
        """Raises the fault that was noted, unless it is delivered to the firmware."""
        fault, self._fault = self._fault, None
        assert fault is not None
        try:
            self._desk.handle(fault, self._hooked)
            fault = self._fault  # set where the handler's vector is no code
        except EmulatorFault:
            if not self._desk.delivers or fault.status is None or self.startup.bootloader is None:
                self._fault = fault
                raise
        if fault is not None and self.startup.bootloader is not None:
            self._fault = None
            self.warn(f"the core locked up and was reset: {fault.message}")
            self.request_reset(RESET_LOCKUP)

    def stall(self, cycles: int) -> None:
        self._state.cycles += cycles

    def request_reset(self, reason: int) -> None:
        self._reset_reason |= reason
        self.request_stop()
