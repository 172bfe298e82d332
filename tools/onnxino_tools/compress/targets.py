"""Targets: the smallest ratio of pruning at which a network keeps to all of them, searched before any training.

Sizes and time follow from the shapes alone, so that nothing needs to be trained to know them: each step of the search
prunes, quantizes with a handful of images, converts, and (for milliseconds) runs one inference in the emulator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onnxino.errors import InputError
from onnxino_tools.compress.options import Targets

Sizes = Mapping[str, float]
STEPS = 95  # ratios 0, 0.01, ..., 0.95
UNITS = {
    "macs": ("multiply-adds", ""),
    "weight_bytes": ("bytes of weights", " bytes"),
    "arena_bytes": ("bytes of working memory", " bytes"),
    "ms": ("ms, estimated", " ms"),
}


@dataclass(frozen=True)
class Found:
    """The ratio, the sizes that the search saw at it, and all that were tried: [(ratio, sizes)], in order."""

    ratio: float
    sizes: dict[str, float]
    tried: list[tuple[float, dict[str, float]]]


class TargetMissedError(InputError):
    """A target cannot be met. best: the sizes that were reached; ratio: with what."""

    def __init__(self, message: str, hint: str, best: dict[str, float], ratio: float | None) -> None:
        super().__init__(message, hint)
        self.best, self.ratio = best, ratio


def search(targets: Targets, sizes: Callable[[float], Sizes]) -> Found:
    """Bisection over the ratios 0, 0.01, ..., 0.95. sizes: macs, weight_bytes, arena_bytes and ms (where a target asks
    for it) of the network at a ratio; they must not grow with it.

    Raises TargetMissedError where even the largest ratio misses a target.
    """
    tried: dict[int, dict[str, float]] = {}

    def holds(step: int) -> bool:
        if step not in tried:
            found = sizes(step / 100)
            tried[step] = {name: found[name] for name in targets.given()}
        return not misses(targets, tried[step])

    if not holds(0):
        if not holds(STEPS):
            raise missed(targets, tried[STEPS], STEPS / 100)
        low, high = 0, STEPS  # `low` misses, `high` holds
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle, high)
    else:
        high = 0
    return Found(high / 100, tried[high], [(step / 100, found) for step, found in tried.items()])


def misses(targets: Targets, sizes: Sizes) -> dict[str, float]:
    """By how much each target is missed that is."""
    return {name: sizes[name] - most for name, most in targets.given().items() if sizes[name] > most}


def missed(targets: Targets, sizes: Mapping[str, float], ratio: float | None = None) -> TargetMissedError:
    """The error: what was reached, and by how much it misses."""
    over = misses(targets, sizes)
    given = targets.given()
    parts = [_over(name, sizes[name], given[name]) for name in over]
    kept = [f"{figure(sizes[name])} {UNITS[name][0]}" for name in given if name not in over]
    with_what = "the result has" if ratio is None else f"the most that pruning takes (ratio {ratio:g}) leaves"
    also = f"; kept: {', '.join(kept)}" if kept else ""
    return TargetMissedError(
        f"the target cannot be met: the best that was reached: {with_what} {'; '.join(parts)}{also}",
        "give a larger target; or begin with a smaller network, a smaller input, or fewer layers",
        dict(sizes),
        ratio,
    )


def inaccurate(wanted: float, reached: float) -> TargetMissedError:
    """The error of a result that classifies fewer of the validation images than asked for. Shares, 0..1."""
    return TargetMissedError(
        f"the target cannot be met: the result classifies {100 * reached:.2f} % of the validation images right, "
        f"{100 * (wanted - reached):.2f} points less than {100 * wanted:g} %",
        "prune less, or --prune auto --max-drop 0.02; train for longer: --fine-tune EPOCHS; or give a lower accuracy",
        {"accuracy": reached},
        None,
    )


def _over(name: str, value: float, most: float) -> str:
    if math.isinf(value):
        return "no time at all: it does not fit the board"
    excess = value - most
    share = f"{100 * excess / most:.1f} %"
    return f"{figure(value)} {UNITS[name][0]}, {figure(excess)}{UNITS[name][1]} ({share}) more than {figure(most)}"


def figure(value: float) -> str:
    """Counts with separators, milliseconds with two digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
