"""Counting, as a part of Machine: the hook, what it counted, and the repeating of what was counted before."""

from __future__ import annotations

from typing import Any

from onnxino_tools.emulator.checks import BlockChecks
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.counting import Counter, CounterState, PythonCounter, make_counter
from onnxino_tools.emulator.replay import NOTE, Replay
from onnxino_tools.emulator.surroundings import Surroundings

IDLE_COUNTED = 32  # polls for the host that find nothing, close together
IDLE_UNCOUNTED = 128  # computing takes no time there: our firmware takes what its buffer holds in 102 polls
ACCESS_CYCLES = 8  # what a register access counts where blocks are not counted


class Counted(Surroundings):
    """With the hook, each block is counted; without it register accesses are, and the engine stops in them only."""

    uc: Any
    core: Core
    count_note: str | None  # how it counts, where the user has to know
    _state: CounterState
    _checks: BlockChecks
    _counter: Counter | None
    _hooked: bool

    # --- for the user ---
    @property
    def instructions(self) -> int:
        """Instructions executed while blocks were counted."""
        return self._state.instructions

    @property
    def cycles(self) -> int:
        """Estimated cycles in which the core ran (64 MHz; sleep not included)."""
        return self._state.cycles

    @property
    def time(self) -> float:
        """Seconds of emulated time since power-on, sleep included."""
        return self.scheduler.now / self.board.clock_hz

    @property
    def flash_reads(self) -> int:
        """Words read as data from the model region; counted only with wait states."""
        return self._state.flash_reads

    @property
    def counting(self) -> str:
        """ "native", "python" or "off"."""
        return self._counter.kind if self._counter is not None and self._hooked else "off"

    # --- the hook ---
    def _make_counter(self, count: str) -> Counter:
        counter = make_counter(count, self.uc, self._state, self._checks.decode)
        if count == "auto" and isinstance(counter, PythonCounter):
            self.replay = Replay(self._state)
            self.count_note = NOTE.format(why=counter.why)
        return counter

    def _started(self) -> bool:
        """Whether the firmware's start-up is over, whose checks (FPU, execute-never) need the hook."""
        bus = self.bus
        return bus.system.fpu_enabled and bus.uarte0.listening

    def _set_hook(self, on: bool) -> None:
        if self._counter is None or on == self._hooked or (not on and not self._started()):
            return
        if on:
            self._counter.install()
            self._state.taken = self._state.next = 0
        else:
            self._counter.remove()
        self._hooked = on
        self.bus.uarte0.idle_after = IDLE_COUNTED if on else IDLE_UNCOUNTED

    def _code_changed(self) -> None:
        if self._counter is not None:
            self._counter.forget()
            self.uc.ctl_remove_cache(0, 0x100000)

    # --- Engine, for the bus ---
    def rights_changed(self) -> None:
        if self._counter is not None:
            self._counter.forget()

    def cycle_count(self) -> int:
        return self._state.cycles

    def cycle_counter_read(self) -> None:
        if self.replay is not None:
            self.replay.read((self.core["lr"], self.core["sp"]))

    def flash_changed(self) -> None:
        if self.replay is not None:
            self.replay.forget()

    def sent(self, data: bytes) -> None:
        if self.replay is not None:
            self.replay.sent(data)

    def access(self) -> None:
        if not self._hooked:
            self._state.cycles += ACCESS_CYCLES

    def after_read(self) -> None:
        """Without a hook the engine can only be stopped here. The read is repeated; it changes nothing
        (docs/emulator.md)."""
        if not self._hooked and (self._state.stop or self._state.cycles >= self._state.deadline):
            self._state.stop = 2
            self.uc.emu_stop()
