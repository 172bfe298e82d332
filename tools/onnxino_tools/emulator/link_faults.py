"""Faults between the host's port and the board, on purpose and repeatable: lost, flipped and doubled bytes, stalls,
the cable pulled at any byte, and power that fails in the middle of a flash write.

    LinkFaults.parse("seed=7,drop=1e-4,from-device.flip=@100+@250,stall=1e-5:50ms,unplug=@5000:1s,brownout=@40")
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxino.errors import InputError
from onnxino_tools.emulator.scheduler import CLOCK_HZ, NEVER, Scheduler

if TYPE_CHECKING:
    from onnxino_tools.emulator.machine import Machine

TO_DEVICE, FROM_DEVICE = "to-device", "from-device"
DIRECTIONS = (TO_DEVICE, FROM_DEVICE)
BYTE_KINDS = ("drop", "flip", "duplicate", "stall", "unplug")
KINDS = (*BYTE_KINDS, "brownout")
_SECONDS = {"stall": 0.05, "unplug": 0.5, "brownout": 0.5}
_HINT = (
    "a list like seed=7,drop=1e-4,from-device.flip=@100+@250,stall=1e-5:50ms,unplug=@5000:1s,brownout=@40 is expected; "
    "docs/emulator.md explains it"
)


@dataclass(frozen=True)
class FaultRule:
    """One kind of fault, at a `rate` (probability per byte, or per flash operation for a brown-out) or `at` given
    numbers, counted from 0.

    `direction`: to-device, from-device, or None for both (each counts for itself). `seconds`: how long a stall lasts,
    or until the power is back.
    """

    kind: str
    direction: str | None = None
    rate: float = 0.0
    at: tuple[int, ...] = ()
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"there is no link fault '{self.kind}'; known are {', '.join(KINDS)}", _HINT)
        if self.direction not in (None, *DIRECTIONS):
            raise InputError(f"there is no direction '{self.direction}'; known are {', '.join(DIRECTIONS)}", _HINT)
        if self.kind == "brownout" and self.direction is not None:
            raise InputError("a brown-out happens in a flash write and has no direction", _HINT)
        if not 0 <= self.rate < 1 or any(number < 0 for number in self.at) or not (self.rate or self.at):
            raise InputError(f"{self.kind}: neither a rate between 0 and 1 nor a list of numbers", _HINT)
        if self.seconds is not None and self.kind not in _SECONDS:
            raise InputError(
                f"{self.kind}: a time of {self.seconds:g} s was given, but it takes none; {', '.join(_SECONDS)} do",
                _HINT,
            )
        if self.seconds is not None and not 0 < self.seconds <= 3600:
            raise InputError(f"{self.kind}: a time of {self.seconds:g} s; above 0 and up to 3600 was expected", _HINT)

    @property
    def cycles(self) -> int:
        seconds = _SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds
        return int(seconds * CLOCK_HZ)


class _Occasions:
    """The numbers (of bytes or operations) at which one rule strikes, in order."""

    def __init__(self, rule: FaultRule, source: random.Random) -> None:
        self.rule = rule
        self._random = source
        self._at = sorted(set(rule.at), reverse=True)
        self._rated = -1
        self.next = 0
        if rule.rate:
            self._draw()
        self._choose()

    def advance(self) -> None:
        """The rule has struck at `next`."""
        if self._at and self._at[-1] == self.next:
            self._at.pop()
        if self._rated == self.next:
            self._draw()
        self._choose()

    def _draw(self) -> None:
        """The gap between two events of a fixed probability is distributed geometrically."""
        gap = int(math.log(1.0 - self._random.random()) / math.log1p(-self.rule.rate))
        self._rated += 1 + gap

    def _choose(self) -> None:
        candidates = [self._at[-1]] if self._at else []
        if self.rule.rate:
            candidates.append(self._rated)
        self.next = min(candidates, default=NEVER)


class Channel:
    """One direction of the line. `deliver(data)` gets what passes."""

    def __init__(
        self, faults: LinkFaults, direction: str, scheduler: Scheduler, deliver: Callable[[bytes], None]
    ) -> None:
        self._faults = faults
        self._direction = direction
        self._scheduler = scheduler
        self._deliver = deliver
        self._queue = bytearray()
        self._stalled = False
        self._occasions = [
            _Occasions(rule, faults.random)
            for rule in faults.rules
            if rule.kind in BYTE_KINDS and rule.direction in (None, direction)
        ]
        self.position = 0  # number of the next byte

    def push(self, data: bytes) -> None:
        """Bytes that enter the line."""
        self._queue += data
        while self._queue and not self._stalled:
            self._step()

    def clear(self) -> None:
        """What is in the line is lost."""
        self.position += len(self._queue)
        self._queue.clear()

    def _step(self) -> None:
        """Passes on the bytes before the next fault, or does the fault."""
        gap = min((occasion.next for occasion in self._occasions), default=NEVER) - self.position
        if gap > 0:
            free = bytes(self._queue[:gap])
            del self._queue[: len(free)]
            self.position += len(free)
            self._deliver(free)
            return
        out = bytes(self._queue[:1])
        for occasion in self._occasions:
            while occasion.next <= self.position:
                struck = occasion.next == self.position
                occasion.advance()
                if not struck:
                    continue
                self._faults.count(self._direction, occasion.rule.kind)
                if occasion.rule.kind == "stall":
                    self._stall(occasion.rule.cycles)
                    return
                if occasion.rule.kind == "unplug":
                    self.clear()
                    self._faults.unplug(occasion.rule.cycles)
                    return
                out = self._spoil(occasion.rule.kind, out)
        del self._queue[:1]
        self.position += 1
        if out:
            self._deliver(out)

    def _spoil(self, kind: str, data: bytes) -> bytes:
        if kind == "drop":
            return b""
        if kind == "duplicate":
            return data * 2
        return bytes(byte ^ 1 << self._faults.random.randrange(8) for byte in data)

    def _stall(self, cycles: int) -> None:
        self._stalled = True

        def over() -> None:
            self._stalled = False
            self.push(b"")

        self._scheduler.after(cycles, over, outside=True)


class LinkFaults:
    """Rules for one machine (`Machine(link_faults=...)`). `counters`: what was injected, by "direction.kind", and
    "brownout"."""

    def __init__(self, rules: list[FaultRule], seed: int = 0) -> None:
        self.rules = rules
        self.seed = seed
        self.random = random.Random(seed)
        self.counters: dict[str, int] = {}
        self._machine: Machine | None = None
        self._brownouts = [_Occasions(rule, self.random) for rule in rules if rule.kind == "brownout"]

    @classmethod
    def parse(cls, text: str) -> LinkFaults:
        """From `[seed=N,][DIRECTION.]KIND=WHEN[:TIME],...`. Raises InputError."""
        rules: list[FaultRule] = []
        seed = 0
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = part.partition("=")
            if not equals:
                raise InputError(f"link faults: '{part}' says no '='", _HINT)
            if name == "seed":
                seed = _whole(part, value)
            else:
                rules.append(_rule(part, name, value))
        if not rules:
            raise InputError(f"link faults: '{text}' names no fault", _HINT)
        return cls(rules, seed)

    def attach(self, machine: Machine) -> None:
        """Done by the machine."""
        if self._machine is not None:
            raise InputError("these link faults belong to another machine already")
        self._machine = machine
        self._arm()

    def channel(self, direction: str, scheduler: Scheduler, deliver: Callable[[bytes], None]) -> Channel:
        """One direction of the machine's line."""
        return Channel(self, direction, scheduler, deliver)

    def count(self, direction: str | None, kind: str) -> None:
        name = kind if direction is None else f"{direction}.{kind}"
        self.counters[name] = self.counters.get(name, 0) + 1

    @property
    def total(self) -> int:
        """All that were injected."""
        return sum(self.counters.values())

    def unplug(self, cycles: int) -> None:
        """The cable is pulled now, and plugged in again after so many cycles."""
        assert self._machine is not None
        self._machine.startup.replug_after = cycles
        self._machine.startup.power_failed()

    # --- brown-outs ---
    def _arm(self) -> None:
        """Sets the flash cells to the next operation in which the power fails."""
        if self._machine is None or not self._brownouts:
            return
        cells = self._machine.bus.nvmc.cells
        for occasion in self._brownouts:
            while occasion.next < cells.count:
                occasion.advance()
        nearest = min(self._brownouts, key=lambda occasion: occasion.next)
        cells.cut_after = nearest.next - cells.count if nearest.next < NEVER else None
        cells.on_cut = lambda: self._cut(nearest)

    def _cut(self, occasion: _Occasions) -> None:
        assert self._machine is not None
        self.count(None, "brownout")
        self._machine.startup.replug_after = occasion.rule.cycles
        self._arm()


def _rule(part: str, name: str, value: str) -> FaultRule:
    direction, dot, kind = name.rpartition(".")
    when, colon, time = value.partition(":")
    seconds = _seconds(part, time) if colon else None
    chosen = direction if dot else None
    if when.startswith("@"):
        at = tuple(_whole(part, number.removeprefix("@")) for number in when.split("+"))
        return FaultRule(kind, chosen, at=at, seconds=seconds)
    try:
        rate = float(when)
    except ValueError:
        raise InputError(f"link faults: '{when}' in '{part}' is neither a rate nor @NUMBER", _HINT) from None
    return FaultRule(kind, chosen, rate=rate, seconds=seconds)


def _whole(part: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"link faults: '{text}' in '{part}' is no whole number", _HINT)
    return int(text)


def _seconds(part: str, text: str) -> float:
    scale = 1e-3 if text.endswith("ms") else 1.0
    try:
        return float(text.removesuffix("ms").removesuffix("s")) * scale
    except ValueError:
        raise InputError(f"link faults: '{text}' in '{part}' is no time (50ms, 1s)", _HINT) from None
