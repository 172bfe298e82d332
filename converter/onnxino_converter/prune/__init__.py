"""Prunes float ONNX models: channels taken out of the graph, or single weights set to zero."""

from __future__ import annotations

from onnxino_converter.prune.effect import Effect, effect
from onnxino_converter.prune.groups import Group, Member, groups
from onnxino_converter.prune.options import CRITERIA, GRANULARITIES, SCOPES
from onnxino_converter.prune.prepare import prepared
from onnxino_converter.prune.pruner import prune
from onnxino_converter.prune.result import LayerChange, Pruned, Skipped
from onnxino_converter.prune.schedules import SCHEDULES, schedule
from onnxino_converter.prune.sensitivity import Row, Sensitivity, sensitivity

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "SCHEDULES",
    "SCOPES",
    "Effect",
    "Group",
    "LayerChange",
    "Member",
    "Pruned",
    "Row",
    "Sensitivity",
    "Skipped",
    "effect",
    "groups",
    "prepared",
    "prune",
    "schedule",
    "sensitivity",
]
