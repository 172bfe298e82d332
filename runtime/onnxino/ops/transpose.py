"""Transpose: axes in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import Tensor, Transpose


def check(kernel: Transpose, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless perm is a permutation of the axes and the output has the shape it gives."""
    _checks.require_movable(inputs, outputs)
    shape, perm = shape_of(inputs[0]), [int(p) for p in kernel.perm]
    _checks.require(sorted(perm) == list(range(len(shape))), f"perm is {perm}, expected an order of {len(shape)} axes")
    _checks.require_shape(outputs[0], [shape[p] for p in perm])


def run(kernel: Transpose, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, *shape] -> [B, *shape in the order of perm]."""
    return [np.ascontiguousarray(arrays[0].transpose(0, *(int(p) + 1 for p in kernel.perm)))]


def scratch(kernel: Transpose, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Transpose, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input."""
    return None


def macs(kernel: Transpose, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
