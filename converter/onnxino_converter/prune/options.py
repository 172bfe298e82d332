"""The options of prune(), checked: ratios, names of layers, criteria."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, get_args

from onnxino.errors import InputError

Granularity = Literal["channel", "weight", "n:m"]
Criterion = Literal["l1", "l2", "l1-next", "bn", "taylor"]
Scope = Literal["global", "layer"]
GRANULARITIES: tuple[str, ...] = get_args(Granularity)
CRITERIA: tuple[str, ...] = get_args(Criterion)
SCOPES: tuple[str, ...] = get_args(Scope)


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(known)}")


def check_ratio(ratio: object, where: str = "ratio") -> float:
    """A ratio as a float. Raises InputError unless 0 <= ratio < 1."""
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not math.isfinite(ratio):
        raise InputError(f"{where} is {ratio!r}; expected a number from 0 up to (not including) 1")
    if not 0 <= ratio < 1:
        hint = f"{ratio:g} % is {ratio / 100:g}" if 1 < ratio < 100 else "a ratio of 0.5 removes one half"
        raise InputError(f"{where} is {ratio:g}; expected a number from 0 up to (not including) 1", hint)
    return float(ratio)


def check_criterion(criterion: str, granularity: str, scores: Mapping[str, Any] | None) -> None:
    check_choice("criterion", criterion, CRITERIA)
    if criterion in ("bn", "l1-next") and granularity != "channel":
        raise InputError(
            f"criterion {criterion!r} ranks channels, and granularity is {granularity!r}; expected l1, l2 or taylor",
            "prune with granularity='channel', or with criterion='l1'",
        )
    if criterion == "taylor" and scores is None:
        raise InputError(
            "criterion 'taylor' needs scores: an array for each weight, by its initializer's name",
            "onnxino_tools.train.taylor_scores(module, images, labels) computes them",
        )
    if criterion != "taylor" and scores is not None:
        raise InputError(f"scores are given, and criterion {criterion!r} does not use them", "give criterion='taylor'")


def check_multiple(multiple: object) -> None:
    if isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1:
        raise InputError(f"multiple is {multiple!r}; expected a whole number from 1")


def check_names(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Raises InputError for the first name that is not known."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
            listed = ", ".join(list(known)[:20]) + (", ..." if len(known) > 20 else "")
            hint = f"did you mean '{near[0]}'?" if near else f"the layers are: {listed or 'none'}"
            raise InputError(f"{where}: the model has no layer '{name}'", hint)


def check_exclude(exclude: object) -> None:
    """A plain string would be taken for its letters."""
    if isinstance(exclude, str):
        raise InputError(f"exclude is the text {exclude!r}; expected a list of layer names", f"exclude=[{exclude!r}]")
