"""In how many steps, and how fast, a network is pruned."""

from __future__ import annotations

from typing import Literal, get_args

from onnxino.errors import InputError
from onnxino_converter.prune.options import check_choice, check_ratio

Schedule = Literal["one-shot", "iterative", "polynomial"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)


def schedule(kind: Schedule, ratio: float, steps: int = 1) -> list[float]:
    """The share that is removed after each step, of the network as it was at first; the last one is `ratio`.

    one-shot: all at once (steps is 1). iterative: each step removes the same share of what is left,
    1 - (1 - ratio)^(k / steps), as in S. Han et al., NeurIPS 2015, and J. Frankle, M. Carbin, ICLR 2019. polynomial:
    much at first, little in the end, ratio * (1 - (1 - k / steps)^3), from M. Zhu, S. Gupta, To prune, or not to
    prune, 2017 (equation 1, from sparsity 0). k counts from 1.

    Raises InputError for an unknown kind, a ratio outside of 0 <= ratio < 1, or steps below 1.
    """
    check_choice("schedule", kind, SCHEDULES)
    goal = check_ratio(ratio)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"steps is {steps!r}; expected a whole number from 1")
    if kind == "one-shot":
        if steps != 1:
            raise InputError(f"steps is {steps}, but one-shot takes one step", "steps=1; or schedule='iterative'")
        return [goal]
    if kind == "iterative":
        return [*(1 - (1 - goal) ** (k / steps) for k in range(1, steps)), goal]
    return [*(goal * (1 - (1 - k / steps) ** 3) for k in range(1, steps)), goal]
