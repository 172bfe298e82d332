"""Concat: inputs joined along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import Concat, Tensor


def check(kernel: Concat, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the inputs differ along the axis alone and add up to the output there."""
    _checks.require(len(inputs) >= 1, "it has no inputs")
    _checks.require_movable(inputs, outputs, len(inputs))
    shapes = [shape_of(t) for t in inputs]
    output, axis = shape_of(outputs[0]), kernel.axis
    _checks.require(axis < len(output), f"axis is {axis}, expected less than {len(output)} (dimensions of the output)")
    for tensor, shape in zip(inputs, shapes, strict=True):
        _checks.require_shape(tensor, (*output[:axis], shape[axis] if axis < len(shape) else 0, *output[axis + 1 :]))
    total = sum(shape[axis] for shape in shapes)
    _checks.require_shape(outputs[0], (*output[:axis], total, *output[axis + 1 :]))


def run(kernel: Concat, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, *shape] each -> [B, *shape of output]."""
    return [np.concatenate(arrays, axis=kernel.axis + 1)]


def scratch(kernel: Concat, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Concat, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap an input."""
    return None


def macs(kernel: Concat, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
