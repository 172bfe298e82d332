"""Without a C compiler: counts each kind of request once per model with the slow Python hook, and repeats what CYCCNT
showed.

Cycles hardly depend on the data, so the second inference of a model would count what the first one did. A request's
kind is its version and command, told from its frame on the line; it ends with the answer of the same kind, whatever is
asked and answered meanwhile. A kind that was not seen since the model changed is run with the hook, and the differences
between its reads of CYCCNT are kept; later ones run without a hook, 20 to 60 times faster, and each read moves time by
the difference that was kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxino_tools.emulator.counting import CounterState

_REPLY = 0x80  # in the command of an answer
NOTE = (
    "{why}: cycles are counted once per model and kind of request, and repeated for the following ones "
    "(pip install 'onnxino[toolchain]' counts them all)"
)


class _Kinds:
    """Finds version and command of each frame in one direction of the line: the second and third byte after a zero,
    as the first is COBS's and neither is zero."""

    def __init__(self) -> None:
        self._head = bytearray()

    def of(self, data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            zero = data.find(0, start)
            end = len(data) if zero < 0 else zero
            missing = max(3 - len(self._head), 0)
            self._head += data[start : min(end, start + missing)]
            if missing and len(self._head) == 3:
                yield bytes(self._head[1:])
            if zero < 0:
                return
            self._head.clear()
            start = zero + 1


class Replay:
    """`counts`: whether the hook is needed now; asked between two runs of the engine.."""

    def __init__(self, state: CounterState) -> None:
        self.counts = True
        self._state = state
        self._known: dict[
            bytes, list[tuple[object, int]]
        ] = {}  # per kind: (where CYCCNT was read, cycles since the read before)
        self._asked, self._told = _Kinds(), _Kinds()
        self.waiting: list[bytes] = []  # kinds that wait for their answer; the first is carried out
        self._recording: list[tuple[object, int]] | None = None
        self._position = 0
        self._last = 0

    def received(self, data: bytes) -> None:
        """The host wrote."""
        for kind in self._asked.of(data):
            if kind not in self.waiting:  # as often as it was repeated
                self.waiting.append(kind)
                if len(self.waiting) == 1:
                    self._begin()

    def _begin(self) -> None:
        self._position = 0
        self._recording = None if self.waiting[0] in self._known else []
        self.counts = self._recording is not None

    def sent(self, data: bytes) -> None:
        """The device sent: with the answer to its request, what was recorded is complete."""
        for version, command in self._told.of(data):
            kind = bytes((version, command & ~_REPLY))
            if not command & _REPLY or kind not in self.waiting:
                continue
            first = kind == self.waiting[0]
            self.waiting.remove(kind)
            if first:
                if self._recording is not None:
                    self._known[kind] = self._recording
                self._recording = None
                if self.waiting:
                    self._begin()

    def read(self, where: object) -> None:
        """CYCCNT is about to be read at `where`."""
        if not self.waiting:
            return
        if self._recording is not None:
            self._recording.append((where, self._state.cycles - self._last))
        else:
            known = self._known.get(self.waiting[0], [])
            if self._position < len(known) and known[self._position][0] == where:
                if self._position:
                    self._state.cycles = max(self._state.cycles, self._last + known[self._position][1])
            else:
                self._known.pop(self.waiting[0], None)  # it took another way than the one recorded: count the next one
            self._position += 1
        self._last = self._state.cycles

    def restarted(self) -> None:
        """The device starts anew: it answers nothing that it was asked before."""
        self.waiting.clear()
        self._recording = None
        self.counts = True

    def forget(self) -> None:
        """The model changed."""
        self._known.clear()
