"""What the user sees: data on stdout, talk on stderr, safe on every console encoding; tables and the progress bar."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextvars import ContextVar
from typing import TextIO

_silent = ContextVar("silent", default=False)
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


def write(stream: TextIO, text: str, end: str = "\n") -> None:
    """Writes text; what the stream's encoding cannot hold (cp936, ascii) comes out as an escape."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    safe = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(safe + end)
    stream.flush()


def ensure_streams() -> None:
    """Puts the null device where stdin, stdout or stderr is closed (`>&-`; Python has None there), in this order: else
    the next file that is opened would get the closed one's number, and with it what libraries print."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


class Said:
    """Whether this command has written data to stdout: an error after it must not add a second JSON value."""

    data = False


def out(text: str = "") -> None:
    """One line of data on stdout."""
    Said.data = True
    write(sys.stdout, text)


def talk(text: str = "") -> None:
    """One line of talk on stderr; lost where the terminal is gone, which must not stop the work."""
    if _silent.get():
        return
    with contextlib.suppress(OSError):
        write(sys.stderr, text)


@contextlib.contextmanager
def silence() -> Generator[None]:
    """No talk within this block: for functions that others call from Python."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def out_json(value: object) -> None:
    """The result as JSON on stdout; ASCII only, so that it passes through every pipe."""
    out(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Something worth knowing that is not an error."""
    talk(f"{paint('note:', 'cyan', sys.stderr)} {text}")


def error(message: str, hint: str | None = None) -> None:
    """The end of a failed command: what was found, and what to do about it."""
    talk(f"{paint('error:', 'red', sys.stderr)} {message}")
    if hint:
        talk(f"{paint('hint:', 'cyan', sys.stderr)} {hint}")


def paint(text: str, colour: str, stream: TextIO) -> str:
    """Colours text where the stream is a terminal and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty() or os.name == "nt":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def can_show(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding holds these characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def table(rows: Sequence[Sequence[object]], right: Iterable[int] = (), indent: str = "  ") -> list[str]:
    """Aligns rows of cells; columns listed in `right` are aligned to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells), default=0))]
    on_right = set(right)
    lines: list[str] = []
    for row in cells:
        parts = [c.rjust(widths[i]) if i in on_right else c.ljust(widths[i]) for i, c in enumerate(row)]
        lines.append((indent + "  ".join(parts)).rstrip())
    return lines


def size(count: int) -> str:
    """A number of bytes for people: 15,972 bytes (15.6 KB)."""
    return f"{count:,} bytes" if count < 10_240 else f"{count:,} bytes ({count / 1024:.1f} KB)"


def counted(count: int, noun: str) -> str:
    """1 image, 1,000 images."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


class Progress:
    """A progress bar with rate and time left on stderr; silent where it is no terminal. A context manager."""

    def __init__(self, total: int, unit: str, label: str = "") -> None:
        self.total = total
        self.unit = unit
        self.label = label
        self.done = 0
        self.active = sys.stderr.isatty()
        self._start = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, done: int) -> None:
        """Sets how much is done; draws at most ten times a second."""
        self.done = done
        now = time.monotonic()
        if self.active and (now - self._drawn >= 0.1 or done >= self.total):
            self._drawn = now
            with contextlib.suppress(OSError):
                write(sys.stderr, "\r" + self._line(now - self._start), end="\x1b[K")

    def close(self) -> None:
        """Removes the bar, so that what follows begins on a clean line."""
        if self.active and self._drawn:
            with contextlib.suppress(OSError):
                write(sys.stderr, "\r\x1b[K", end="")
        self.active = False

    def _line(self, seconds: float) -> str:
        total = max(self.total, 1)
        share = min(self.done / total, 1.0)
        rate = self.done / seconds if seconds > 0 else 0.0
        left = f"{_clock((total - self.done) / rate)} left" if rate > 0 and self.done else ""
        number = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
        text = f" {self.done:,}/{self.total:,}  {share:4.0%}  {number} {self.unit}/s  {left}"
        room = shutil.get_terminal_size().columns - len(text) - len(self.label) - 4
        full, empty = ("━", "─") if can_show("━─", sys.stderr) else ("#", ".")
        width = max(0, min(30, room))
        filled = round(share * width)
        return f"{self.label} {full * filled}{empty * (width - filled)}{text}".strip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
