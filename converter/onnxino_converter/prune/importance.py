"""How much a channel or a weight matters: L1, L2 (of what makes or reads it), batch-norm scale, or given scores.

L1 of filters: H. Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017. Batch-norm scale: Z. Liu et al.,
Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017. Scores: first-order Taylor expansion,
P. Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino_converter.prune.groups import Group, Member
from onnxino_converter.quantize.graph import Array

Scores = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]


def channel_importance(group: Group, constants: Mapping[str, Array], criterion: str, scores: Scores) -> Floats | None:
    """float64 [channels] of the group; None where there is nothing to judge by, such as no BatchNormalization.

    l1, l2: the norm of each filter that makes the channel, of several layers each divided by its mean first, and their
    mean. l1-next: the same, of the weights that read the channel. bn: |gamma|, the mean of several. taylor: the sum of
    the scores of all that makes the channel.
    """
    if criterion == "taylor":
        made = [m for m in group.members if m.kind != "input"]
        return np.sum([_sums(m, _scores_of(m, constants, scores), group.channels) for m in made], axis=0)
    if criterion == "bn":
        gammas = [m for m in group.members if m.kind == "scale"]
        found = [_sums(m, np.abs(constants[m.initializer]), group.channels) for m in gammas]
        return np.mean(found, axis=0) if found else None
    layers = [m for m in group.members if m.kind == ("input" if criterion == "l1-next" else "weights")]
    norms = [_norms(m, constants[m.initializer], group.channels, criterion) for m in layers]
    if len(norms) < 2:
        return norms[0] if norms else None
    return np.mean([relative(norm) for norm in norms], axis=0)


def relative(values: Floats) -> Floats:
    """Divided by their mean, so that layers of different scale can be compared."""
    mean = float(values.mean())
    return values / mean if mean > 0 else values


def _norms(member: Member, weights: Array, channels: int, criterion: str) -> Floats:
    values = weights.astype(np.float64)
    if criterion != "l2":
        return _sums(member, np.abs(values), channels)
    return np.sqrt(_sums(member, values**2, channels))


def _sums(member: Member, values: Array, channels: int) -> Floats:
    """The sum of the values of each channel."""
    axes = tuple(k for k in range(values.ndim) if k != member.axis)
    result = np.zeros(channels)
    mine = member.channels >= 0
    np.add.at(result, member.channels[mine], values.sum(axis=axes, dtype=np.float64)[mine])
    return result


def _scores_of(member: Member, constants: Mapping[str, Array], scores: Scores) -> Array:
    """The scores of an initializer; zeros for what is no weight and has none."""
    if member.kind != "weights" and member.initializer not in scores:
        return np.zeros(constants[member.initializer].shape)
    return score_of(member.initializer, constants, scores)


def score_of(name: str, constants: Mapping[str, Array], scores: Scores) -> Array:
    """The scores of an initializer. Raises InputError where they are missing, of another shape or not finite."""
    shape = constants[name].shape
    if name not in scores:
        given = ", ".join(sorted(scores)[:20]) or "none"
        raise InputError(
            f"scores: none for the weights '{name}' of shape {list(shape)}; given: {given}",
            "onnxino_tools.train.taylor_scores() gives them for every weight",
        )
    found = np.asarray(scores[name])
    if found.shape != shape:
        raise InputError(f"scores: those of '{name}' have the shape {list(found.shape)}; expected {list(shape)}")
    if found.dtype.kind not in "fiub" or not np.isfinite(found).all():
        raise InputError(f"scores: those of '{name}' are not all finite numbers")
    return found


def weight_importance(name: str, constants: Mapping[str, Array], criterion: str, scores: Scores) -> Array:
    """The magnitude of each weight (l1 and l2 order them alike), or its score."""
    return score_of(name, constants, scores) if criterion == "taylor" else np.abs(constants[name])
