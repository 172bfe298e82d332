"""Signals while the engine runs: their handlers are called between two steps, where what they raise gets through.

Python calls handlers wherever its code runs next, which is inside of a callback of the engine: an exception raised
there (KeyboardInterrupt) is printed and lost, and the firmware runs on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# Those whose handlers may raise: Ctrl-C, the ends asked for by others, and alarms (timeouts). Not all exist on Windows.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]


class DeferredSignals:
    """A context manager; may be entered again and again. `arrived` is called in the place of the handlers.

    In other threads than the main one, where no handlers are called, it does nothing.
    """

    def __init__(self, arrived: Callable[[], None]) -> None:
        self._arrived = arrived
        self._before: dict[int, Any] = {}
        self._noted: list[tuple[int, FrameType | None]] = []
        self._active = False

    def deliver(self) -> None:
        """Calls the handlers of the signals that arrived; raises what they raise."""
        while self._noted:
            number, frame = self._noted.pop(0)
            self._before[number](number, frame)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._active:
            self._noted.append((number, frame))
            self._arrived()
        else:  # on the way in or out
            self._before[number](number, frame)

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler) and handler != self._note:
                    self._before[number] = handler
                    signal.signal(number, self._note)
            self._active = True

    def __exit__(self, *_: object) -> None:
        if self._active:
            self._active = False
            for number, handler in self._before.items():
                if signal.getsignal(number) == self._note:  # else: a handler has set another one
                    signal.signal(number, handler)
            self.deliver()
