"""Without a C compiler: counts each kind of request once per model with the slow Python hook, and repeats what CYCCNT
showed.

Cycles hardly depend on the data, so the second inference of a model would count what the first one did. A request is
what the host sends between two answers of the device; its kind is told from the second and third byte after leading
zeros (version and
command of the protocol's frame; the first is COBS). A kind that was not seen since the model changed is run with the
hook, and the
differences between its reads of CYCCNT are kept; later ones run without a hook, 20 to 60 times faster, and each read
moves time by the difference that
was kept.
"""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.counting import CounterState

_KIND = slice(1, 3)
NOTE = (
    "{why}: cycles are counted once per model and kind of request, and repeated for the following ones "
    "(pip install 'onnxino[toolchain]' counts them all)"
)


class Replay:
    """`hook(on)` switches the counting hook; it is called outside of the engine only."""

    def __init__(self, state: CounterState, hook: Callable[[bool], None]) -> None:
        self._state = state
        self._hook = hook
        self._known: dict[
            bytes, list[tuple[object, int]]
        ] = {}  # per kind: (where CYCCNT was read, cycles since the read before)
        self._request = bytearray()
        self._kind: bytes | None = None
        self._answered = True
        self._recording: list[tuple[object, int]] | None = None
        self._position = 0
        self._last = 0

    def received(self, data: bytes) -> None:
        """The host wrote: decide whether this request has to be counted."""
        if self._answered:
            self._request.clear()
            self._answered, self._kind, self._recording = False, None, None
        if self._kind is None:
            self._request = (self._request + data[:16]).lstrip(b"\0")
            if len(self._request) >= _KIND.stop:
                self._begin(bytes(self._request[_KIND]))

    def _begin(self, kind: bytes) -> None:
        self._kind = kind
        self._position = 0
        self._recording = None if kind in self._known else []
        self._hook(self._recording is not None)

    def sent(self) -> None:
        """The device answered: what was recorded is complete."""
        if self._recording is not None and self._kind is not None:
            self._known[self._kind] = self._recording
        self._recording = None
        self._answered = True

    def read(self, where: object) -> None:
        """CYCCNT is about to be read at `where`."""
        if self._answered or self._kind is None:
            return
        if self._recording is not None:
            self._recording.append((where, self._state.cycles - self._last))
        else:
            known = self._known.get(self._kind, [])
            if self._position < len(known) and known[self._position][0] == where:
                if self._position:
                    self._state.cycles = max(self._state.cycles, self._last + known[self._position][1])
            else:
                self._known.pop(self._kind, None)  # it took another way than the one recorded: count the next one
            self._position += 1
        self._last = self._state.cycles

    def forget(self) -> None:
        """The model changed."""
        self._known.clear()
