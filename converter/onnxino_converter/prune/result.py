"""What pruning gives back: the model, masks, what changed and what could not be pruned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Skipped:
    """A layer that is not pruned, and why."""

    node: str
    reason: str


@dataclass(frozen=True)
class LayerChange:
    """What is left of a layer. unit: channels (of its output), or weights (that are not masked)."""

    name: str
    before: int
    after: int
    unit: str


@dataclass
class Pruned:
    """A pruned model.

    masks: initializer name -> bool array of the weight's shape, True where it is kept; empty for channels, which are
    gone from the model. changes: each layer that could be pruned, in the graph's order, changed or not.
    """

    model: ModelProto = field(repr=False)
    masks: dict[str, NDArray[np.bool_]] = field(repr=False)
    changes: list[LayerChange]
    skipped: list[Skipped]
