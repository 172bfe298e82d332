"""Structured pruning: which channels go, and the surgery that takes them out of every weight."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ConvertError, InputError
from onnxino_converter.prune.groups import Found, Group, find_groups
from onnxino_converter.prune.importance import Floats, Scores, channel_importance, relative
from onnxino_converter.prune.labels import FIXED, Vector
from onnxino_converter.prune.options import check_names, check_ratio
from onnxino_converter.prune.result import LayerChange, Pruned, Skipped
from onnxino_converter.prune.trace import Trace, trace
from onnxino_converter.quantize.graph import FloatGraph

if TYPE_CHECKING:
    from collections.abc import Callable

Ratio = float | Mapping[str, float]
Bools = NDArray[np.bool_]


def prune_channels(
    graph: FloatGraph,
    ratio: Ratio,
    criterion: str,
    scope: str,
    scores: Scores,
    exclude: Collection[str],
    multiple: int,
) -> Pruned:
    """Remove channels of the graph's groups, and name the layers that keep theirs."""
    names = _names(trace(graph))
    check_names(exclude, names, "exclude")
    state = trace(graph, frozenset(name for given in exclude for name in names[given]))
    found = find_groups(state)
    skipped = {layer.name: reason for layer in state.layers if (reason := layer.reason or state.why(layer.labels))}
    importance: list[tuple[Found, Floats]] = []
    for one in found:
        values = channel_importance(one.group, graph.constants, criterion, scores)
        if values is None:
            what = "BatchNormalization scales" if criterion == "bn" else "weights read"
            reason = f"no {what} its channels, and the criterion is '{criterion}'"
            skipped.update(dict.fromkeys(one.group.layers, reason))
        else:
            importance.append((one, values))
    ratios = _ratios(ratio, [one.group for one, _ in importance], names)
    least = [_step(one.group, multiple) for one, _ in importance]
    kept = (_choose_globally if scope == "global" else _choose)([v for _, v in importance], ratios, least, criterion)
    gone = {int(r) for (one, _), k in zip(importance, kept, strict=True) for r in one.roots[~k]}
    before = {layer.name: len(layer.labels) for layer in state.layers}
    _remove(state, gone)
    after = {layer.name: int(np.count_nonzero(_kept(state, gone)(layer.labels))) for layer in state.layers}
    changes = [LayerChange(n, before[n], after[n], "channels") for n in before if n not in skipped]
    return Pruned(graph.write(), {}, changes, [Skipped(node, reason) for node, reason in skipped.items()])


def _names(state: Trace) -> dict[str, list[str]]:
    """What a user may call layers: by node, by weights, or by group. -> the layers' own names."""
    result: dict[str, list[str]] = {layer.name: [layer.name] for layer in state.layers}
    for layer in state.layers:
        result.setdefault(layer.weights, []).append(layer.name)
    for one in find_groups(state):
        result.setdefault(one.group.name, list(one.group.layers))
    return result


def _ratios(ratio: Ratio, found: list[Group], names: dict[str, list[str]]) -> list[float]:
    """The ratio of each group; of layers that are not named: 0."""
    if not isinstance(ratio, Mapping):
        return [check_ratio(ratio)] * len(found)
    check_names(ratio, names, "ratio")
    given = {name: check_ratio(value, f"ratio of '{name}'") for name, value in ratio.items()}
    result: list[float] = []
    for group in found:
        own = [name for name in given if _means(name, group, names)]
        values = {given[name] for name in own}
        if len(values) > 1:
            listed = ", ".join(f"'{name}': {given[name]:g}" for name in own)
            raise InputError(
                f"ratio: {listed} differ, but these layers lose the same channels",
                f"give one ratio for all of them: '{group.name}'",
            )
        result.append(values.pop() if values else 0.0)
    return result


def _means(name: str, group: Group, names: dict[str, list[str]]) -> bool:
    """Whether the name is this group's, or that of one of its layers."""
    if name == group.name or ("/" in name and name not in group.layers):
        return name == group.name
    return any(layer in group.layers for layer in names[name])


def _step(group: Group, multiple: int) -> int:
    """Channels are kept in steps of this: each layer keeps a multiple, and may hold a channel several times."""
    step = 1
    for member in group.members:
        if member.kind == "weights":
            times = int(np.bincount(member.channels[member.channels >= 0]).max())
            step = math.lcm(step, multiple // math.gcd(multiple, times))
    return step


def _rounded(kept: int, count: int, step: int) -> int:
    """Up to the next multiple of step: never fewer than asked for, never none."""
    return min(count, max(step, -(-kept // step) * step))


def _choose(values: list[Floats], ratios: list[float], steps: list[int], criterion: str) -> list[Bools]:
    """Each group loses its share: those that matter least, of equals the last ones."""
    result: list[Bools] = []
    for importance, ratio, step in zip(values, ratios, steps, strict=True):
        count = len(importance)
        result.append(_best(importance, _rounded(count - round(ratio * count), count, step)))
    return result


def _best(importance: Floats, count: int) -> Bools:
    kept = np.zeros(len(importance), np.bool_)
    kept[np.argsort(-importance, kind="stable")[:count]] = True
    return kept


def _choose_globally(values: list[Floats], ratios: list[float], steps: list[int], criterion: str) -> list[Bools]:
    """All groups together lose that share of their channels. Norms are compared after division by the group's mean."""
    if not values:
        return []
    compared = [relative(v) if criterion.startswith("l") else v for v in values]
    owner = np.repeat(np.arange(len(values)), [len(v) for v in values])
    left = [len(v) for v in values]
    wanted = round(ratios[0] * len(owner))
    for index in np.argsort(np.concatenate(compared), kind="stable").tolist():
        group = int(owner[index])
        if wanted and left[group] > steps[group]:
            left[group] -= 1
            wanted -= 1
    return [_best(v, _rounded(n, len(v), step)) for v, n, step in zip(values, left, steps, strict=True)]


def _kept(state: Trace, gone: set[int]) -> Callable[[Vector], Bools]:
    dead = np.array(sorted(gone), np.int64)

    def kept(labels: Vector) -> Bools:
        roots = state.labels.roots(labels)
        return (roots == FIXED) | ~np.isin(roots, dead)

    return kept


def _remove(state: Trace, gone: set[int]) -> None:
    """Take the channels out of all initializers, and mend the nodes that state their number."""
    if not gone:
        return
    graph, kept = state.graph, _kept(state, gone)
    done: set[tuple[str, int]] = set()
    for use in state.uses:
        mask = kept(use.labels)
        if (use.initializer, use.axis) not in done and not mask.all():
            done.add((use.initializer, use.axis))
            graph.constants[use.initializer] = np.compress(mask, graph.constants[use.initializer], axis=use.axis)
    for repair in state.repairs:
        repair(kept)
    graph.infer()
    for name, channels in state.channels.items():
        found, expected = graph.shapes.get(name), int(np.count_nonzero(kept(channels.labels)))
        if found is not None and found[channels.axis] not in (None, expected):
            raise ConvertError(
                f"tensor '{name}' has {found[channels.axis]} channels after pruning; expected {expected}",
                "this is a defect of Onnxino: please report it with the model",
            )
