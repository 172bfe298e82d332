"""ArgMax: the index of the largest or smallest element along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import ArgMax, ElementType, Tensor


def check(kernel: ArgMax, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless Int8 or Float32 becomes Int32 with what is left of the shape without the axis."""
    kind = inputs[0].type if inputs else ElementType.Unset
    _checks.require(
        not inputs or kind in (ElementType.Int8, ElementType.Float32),
        f"tensor '{inputs[0].name if inputs else ''}' is {kind.name}, expected Int8 or Float32",
    )
    _checks.require_tensors(inputs, outputs, 1, kind, ElementType.Int32)
    shape, axis = shape_of(inputs[0]), kernel.axis
    _checks.require(axis < len(shape), f"axis is {axis}, expected less than {len(shape)} (dimensions of the input)")
    _checks.require_reduced(outputs[0], shape, [axis])


def run(kernel: ArgMax, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[np.int32]]:
    """[B, *shape] -> [B, *shape without the axis, or with 1 there]."""
    x, axis = arrays[0], kernel.axis + 1
    if kernel.last:
        x = np.flip(x, axis)
    found = x.argmin(axis=axis) if kernel.smallest else x.argmax(axis=axis)  # the first; NaN is the best
    if kernel.last:
        found = x.shape[axis] - 1 - found
    return [found.astype(np.int32).reshape(len(x), *shape_of(outputs[0]))]


def scratch(kernel: ArgMax, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: ArgMax, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input."""
    return None


def macs(kernel: ArgMax, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
