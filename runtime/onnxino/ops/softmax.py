"""Softmax over the last axis, from a table of exponentials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.numerics import saturate
from onnxino.ops import _checks
from onnxino.schema.model import Softmax, Tensor


def check(kernel: Softmax, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless both shapes are the same and the table holds 256 usable exponentials."""
    _checks.require_tensors(inputs, outputs)
    _checks.require_shape(outputs[0], shape_of(inputs[0]))
    _checks.require_length("table", kernel.table, 256)
    usable = bool(np.all(np.isfinite(kernel.table) & (kernel.table >= 0))) and kernel.table[255] > 0
    _checks.require(bool(usable), "table holds a value that is not finite and 0 or above, or its last is 0")
    _checks.require_positive("factor", kernel.factor)


def run(kernel: Softmax, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[np.int8]]:
    """[B, ..., D] -> [B, ..., D]. The sum runs in index order, unlike np.sum's: that is what accumulate does."""
    values = arrays[0].astype(np.int16)
    indices = 255 - (values.max(axis=-1, keepdims=True) - values)
    exponentials: NDArray[np.float32] = kernel.table[indices]
    total = np.add.accumulate(exponentials, axis=-1, dtype=np.float32)[..., -1:]
    with np.errstate(over="ignore"):  # one class and a large factor: infinity, which saturates
        scaled = exponentials * np.float32(kernel.factor) / total
    return [saturate(np.rint(scaled) + np.float32(kernel.zero_point))]


def scratch(kernel: Softmax, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Softmax, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: the row is read three times."""
    return None


def macs(kernel: Softmax, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
