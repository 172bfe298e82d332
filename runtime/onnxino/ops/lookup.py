"""Lookup: any function of one int8 value, as a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import Lookup, Tensor


def check(kernel: Lookup, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless both shapes are the same and the table has 256 values."""
    _checks.require_tensors(inputs, outputs)
    _checks.require_shape(outputs[0], shape_of(inputs[0]))
    _checks.require_length("table", kernel.table, 256)


def run(kernel: Lookup, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[np.int8]]:
    """[B, *shape] -> [B, *shape]. The table begins at -128; its halves are swapped to be indexed by the byte."""
    return [np.take(np.roll(kernel.table, 128), arrays[0].view(np.uint8))]


def scratch(kernel: Lookup, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Lookup, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place."""
    return 0


def macs(kernel: Lookup, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
