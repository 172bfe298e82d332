"""Checks of single options: each raises InputError with what was found, where, and what was expected."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Sequence
from typing import Any

from onnxino.errors import InputError

HUGE = 1e300  # a greater integer is none that float() takes; NaN is not within it either


def number(where: str, value: object, low: float, high: float = math.inf, *, below: bool = False) -> None:
    """A finite int or float, low <= value <= high (value < high with `below`)."""
    ok = isinstance(value, (int, float)) and not isinstance(value, bool) and -HUGE <= value <= HUGE
    if not ok or not low <= float(value) <= high or (below and float(value) >= high):  # type: ignore[arg-type]
        expected = _range("a number", low, high, below)
        raise InputError(f"{where} is {shown(value)}; expected {expected}", _share(value, high) if ok else None)


def _share(value: Any, high: float) -> str | None:
    """A hint for per cent where a share is expected."""
    return f"did you mean {value / 100:g}?" if high == 1 and 2 <= value <= 100 else None


def integer(where: str, value: object, low: int, high: float = math.inf) -> None:
    """An int, low <= value <= high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{where} is {shown(value)}; expected {_range('an integer', low, high, False)}")


def choice(where: str, value: object, choices: Sequence[str]) -> None:
    """One of these words."""
    if value not in choices:
        raise InputError(f"{where} is {shown(value)}; expected one of {', '.join(choices)}", near(value, choices))


def flag(where: str, value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{where} is {shown(value)}; expected true or false")


def text(where: str, value: object) -> None:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} is {shown(value)}; expected a text")


def texts(where: str, value: object) -> tuple[str, ...]:
    """A list of strings, as a tuple."""
    if isinstance(value, (list, tuple)):
        parts: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        if all(isinstance(part, str) for part in parts):
            return tuple(parts)
    raise InputError(f"{where} is {value!r}; expected a list of texts")


def near(value: object, known: Collection[str]) -> str | None:
    """A hint that names the nearest known word, or None."""
    found = difflib.get_close_matches(str(value), list(known), n=1)
    return f"did you mean {found[0]}?" if found else None


def unknown(where: str, key: str, known: Collection[str]) -> InputError:
    """The error for a key that no section has."""
    hint = near(key, known) or f"known: {', '.join(known)}"
    return InputError(f"{where} has no '{key}'", hint)


def shown(value: object) -> str:
    """A value as a person would write it in a recipe."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "missing"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _range(what: str, low: float, high: float, below: bool) -> str:
    if math.isinf(high):
        return f"{what} of {low:g} or more"
    return f"{what} of {low:g} or more, below {high:g}" if below else f"{what} of {low:g} to {high:g}"
