"""Take: the input at known indices of one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import Take, Tensor


def check(kernel: Take, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the indices lie inside and the output has the shape they give."""
    _checks.require_movable(inputs, outputs)
    shape, axis = shape_of(inputs[0]), kernel.axis
    _checks.require(axis < len(shape), f"axis is {axis}, expected less than {len(shape)} (dimensions of the input)")
    _checks.require(len(kernel.indices) >= 1, "indices are empty")
    largest = int(kernel.indices.max())
    _checks.require(largest < shape[axis], f"an index is {largest}, expected less than {shape[axis]}")
    _checks.require_shape(outputs[0], (*shape[:axis], len(kernel.indices), *shape[axis + 1 :]))


def run(kernel: Take, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, *shape] -> [B, *shape with the axis as long as the indices]."""
    return [np.take(arrays[0], kernel.indices, axis=kernel.axis + 1)]


def scratch(kernel: Take, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Take, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: an index may come several times."""
    return None


def macs(kernel: Take, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
