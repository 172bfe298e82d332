"""Which layers can be pruned how far: each is pruned alone, and the network evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino_converter.prune.groups import groups
from onnxino_converter.prune.options import Criterion, Granularity, check_ratio
from onnxino_converter.prune.pruner import prune

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Row:
    """What one layer (or group of layers) costs: after pruning it alone by this ratio the network scores `value`."""

    name: str
    ratio: float
    value: float
    drop: float  # the unpruned network's value less this one; below zero where it got better


@dataclass(frozen=True)
class Sensitivity:
    """baseline: the value of the network as it is. table: a row for each layer and ratio, ratios ascending."""

    baseline: float
    table: list[Row]

    def propose(self, max_drop: float) -> dict[str, float]:
        """Ratios for all layers that together are expected to cost no more than max_drop, in the units of the values.

        Each layer gets the greatest ratio that alone costs no more than a limit, which is the same for all and as high
        as the sum of their drops allows; between the ratios that were tried drops are interpolated. An estimate: it
        takes drops to add up, and knows nothing of what fine-tuning restores. Raises InputError unless max_drop >= 0.
        """
        if not math.isfinite(max_drop) or max_drop < 0:
            raise InputError(f"max_drop is {max_drop!r}; expected a number from 0, in the units of the evaluation")
        curves = self._curves()
        low, high = 0.0, float(max_drop)
        for _ in range(50):
            middle = (low + high) / 2
            if sum(min(middle, float(drops[-1])) for _, drops in curves.values()) <= max_drop:
                low = middle
            else:
                high = middle
        limit = high if sum(min(high, float(d[-1])) for _, d in curves.values()) <= max_drop else low
        return {name: _reach(ratios, drops, limit) for name, (ratios, drops) in curves.items()}

    def _curves(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Name -> ratios from 0, and drops that never fall: what a smaller ratio costs a greater one costs too."""
        result: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        for name in dict.fromkeys(row.name for row in self.table):
            rows = sorted((row for row in self.table if row.name == name), key=lambda row: row.ratio)
            ratios = np.array([0.0, *(row.ratio for row in rows)])
            result[name] = ratios, np.maximum.accumulate([0.0, *(max(row.drop, 0.0) for row in rows)])
        return result


def _reach(ratios: NDArray[np.float64], drops: NDArray[np.float64], limit: float) -> float:
    """The greatest ratio whose drop stays within the limit, on straight lines between the points."""
    fits = int(np.flatnonzero(drops <= limit)[-1])
    if fits == len(ratios) - 1:
        return float(ratios[-1])
    share = (limit - drops[fits]) / (drops[fits + 1] - drops[fits])
    return float(ratios[fits] + share * (ratios[fits + 1] - ratios[fits]))


def sensitivity(
    model: ModelProto | str | Path | bytes,
    evaluate: Callable[[ModelProto], float],
    *,
    granularity: Granularity = "channel",
    ratios: Sequence[float] = (0.25, 0.5, 0.75),
    criterion: Criterion = "l1",
    scores: Mapping[str, NDArray[Any]] | None = None,
    exclude: Collection[str] = (),
    multiple: int = 1,
    progress: Callable[[Row, int], None] | None = None,
) -> Sensitivity:
    """Prune each group (channel) or layer (weight) alone by each ratio, and evaluate the result.

    evaluate: a model -> its value, the greater the better (accuracy on validation images, never on test images).
    progress: called with each row, and how many there will be. Other arguments as those of prune(). Raises what prune()
    does, InputError for granularity n:m, empty ratios and values that are not finite; whatever evaluate() raises.
    """
    if granularity == "n:m":
        raise InputError("sensitivity: N:M has no ratio to vary; expected granularity 'channel' or 'weight'")
    tried = sorted({check_ratio(ratio) for ratio in ratios} - {0.0})
    if not tried:
        raise InputError("sensitivity: ratios hold nothing above 0; expected such as (0.25, 0.5, 0.75)")

    def pruned(ratio: dict[str, float]) -> ModelProto:
        options: dict[str, Any] = {"criterion": criterion, "scores": scores, "exclude": exclude}
        return prune(model, granularity=granularity, ratio=ratio, multiple=multiple, **options).model

    names = _names(model, granularity, criterion, scores, exclude)
    baseline = _value(evaluate, pruned({}))
    table: list[Row] = []
    for name in names:
        for ratio in tried:
            value = _value(evaluate, pruned({name: ratio}))
            table.append(Row(name, ratio, value, baseline - value))
            if progress is not None:
                progress(table[-1], len(names) * len(tried))
    return Sensitivity(baseline, table)


def _names(
    model: Any, granularity: Granularity, criterion: Criterion, scores: Any, exclude: Collection[str]
) -> list[str]:
    """The groups or layers that can be pruned."""
    found = prune(model, granularity=granularity, ratio={}, criterion=criterion, scores=scores, exclude=exclude)
    able = [change.name for change in found.changes]
    if granularity == "weight":
        return able
    return [group.name for group in groups(model) if all(layer in able for layer in group.layers)]


def _value(evaluate: Callable[[ModelProto], float], model: ModelProto) -> float:
    value = float(evaluate(model))
    if not math.isfinite(value):
        raise InputError(f"sensitivity: the evaluation gave {value}; expected a finite number, such as an accuracy")
    return value
