"""Ctrl-C, SIGTERM and SIGHUP at a moment of our choosing: an exception inside a callback of the emulator's engine would
be lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

# Windows has no SIGHUP. A closed terminal sends it, a shutdown or `timeout` sends SIGTERM.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """The signal `number` asked this program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupt:
    """Notes a signal that asks the program to end, and raises Interrupted at the next `check`; a second Ctrl-C raises
    at once. A context manager.

    Outside of the main thread, where signals cannot be caught, it does nothing. SIGHUP stays ignored where it was
    (nohup).
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raises Interrupted if a signal came."""
        if self.number is not None:
            raise Interrupted(self.number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Only a person repeats from impatience: a terminal that closes sends SIGHUP twice.
        if self.number is not None and number == signal.SIGINT:
            raise Interrupted(number)
        if self.number is None:
            self.number = number

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
