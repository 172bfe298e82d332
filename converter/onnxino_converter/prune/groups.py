"""Prunable groups: the channels of all the layers that have to lose the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.prune.labels import FIXED, Vector
from onnxino_converter.prune.prepare import prepare
from onnxino_converter.prune.trace import Trace, trace

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Member:
    """An axis of an initializer that a group's channels lie along.

    channels: int64, for each index of the axis the number of the group's channel, -1 for what is not of this group.
    kind: weights, bias, scale (gamma), shift (beta), statistic, constant: what makes the channels; input: what
    reads them.
    """

    initializer: str
    axis: int
    channels: Vector = field(repr=False)
    kind: str


@dataclass(frozen=True)
class Group:
    """Channels that can be removed one by one, each from all members at once.

    name: that of its first layer, with a number where a layer's channels fall into several groups. layers: nodes whose
    output channels these are (a node without a name goes by its output's).
    """

    name: str
    channels: int
    layers: tuple[str, ...]
    members: tuple[Member, ...] = field(repr=False)


def groups(model: str | Path | bytes | ModelProto) -> list[Group]:
    """The prunable channel groups of a float model, in the order of their first layers.

    Raises ConvertError for a model that cannot be read, is quantized, or has control flow.
    """
    return [found.group for found in find_groups(trace(prepare(model)))]


@dataclass(frozen=True)
class Found:
    """A group, with the label that stands for each of its channels."""

    group: Group
    roots: Vector


def find_groups(state: Trace) -> list[Found]:
    """Channels that lie in the same places are one group: any of them may go as long as one stays in each place."""
    places = _places(state)
    signatures: dict[int, list[tuple[int, int]]] = {}
    for number, place in enumerate(places):
        free, counts = np.unique(place[place != FIXED], return_counts=True)
        for root, count in zip(free.tolist(), counts.tolist(), strict=True):
            signatures.setdefault(root, []).append((number, count))
    sets: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for root in _in_order_of_layers(state):
        sets.setdefault(tuple(signatures[root]), []).append(root)
    roots = [np.array(found, np.int64) for found in sets.values()]
    layers = [_layers(state, found) for found in roots]
    firsts = [names[0] for names in layers]
    result: list[Found] = []
    for k, (found, names) in enumerate(zip(roots, layers, strict=True)):
        several = firsts.count(names[0]) > 1
        name = f"{names[0]}/{firsts[: k + 1].count(names[0])}" if several else names[0]
        result.append(Found(Group(name, len(found), tuple(names), tuple(_members(state, found))), found))
    return result


def _places(state: Trace) -> list[Vector]:
    """The sets along each tensor and each axis of weights, every combination once."""
    found: dict[bytes, Vector] = {}
    for vector in (*(use.labels for use in state.uses), *(c.labels for c in state.channels.values())):
        roots = state.labels.roots(vector)
        found.setdefault(roots.tobytes(), roots)
    return list(found.values())


def _in_order_of_layers(state: Trace) -> Iterator[int]:
    seen: set[int] = {FIXED}
    for layer in state.layers:
        for root in state.labels.roots(layer.labels).tolist():
            if root not in seen:
                seen.add(root)
                yield root


def _layers(state: Trace, roots: Vector) -> list[str]:
    found = [layer.name for layer in state.layers if np.isin(roots, state.labels.roots(layer.labels)).any()]
    return list(dict.fromkeys(found))


def _members(state: Trace, roots: Vector) -> Iterator[Member]:
    """Each axis once, also where several nodes read the initializer."""
    number = {root: k for k, root in enumerate(roots.tolist())}
    seen: set[tuple[str, int]] = set()
    for use in state.uses:
        channels = np.array([number.get(root, -1) for root in state.labels.roots(use.labels).tolist()], np.int64)
        if (channels >= 0).any() and (use.initializer, use.axis) not in seen:
            seen.add((use.initializer, use.axis))
            yield Member(use.initializer, use.axis, channels, use.kind)
