"""Pad: the input surrounded by one value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import dtype_of, shape_of
from onnxino.ops import _checks
from onnxino.schema.model import Pad, Tensor


def check(kernel: Pad, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the input fits into the output behind `before`, and `value` is one element."""
    _checks.require_movable(inputs, outputs)
    shape, output = shape_of(inputs[0]), shape_of(outputs[0])
    _checks.require_length("before", kernel.before, len(shape))
    _checks.require_length("value", kernel.value, dtype_of(inputs[0]).itemsize)
    least = [size + int(before) for size, before in zip(shape, kernel.before, strict=True)]
    fits = len(output) == len(shape) and all(size >= end for size, end in zip(output, least, strict=True))
    _checks.require(fits, f"tensor '{outputs[0].name}' has shape {list(output)}, expected {least} or more")


def run(kernel: Pad, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, *shape] -> [B, *shape of the output]."""
    x = arrays[0]
    result = np.full((len(x), *shape_of(outputs[0])), kernel.value.view(x.dtype)[0], x.dtype)
    inside = (slice(first, first + size) for first, size in zip(kernel.before, x.shape[1:], strict=True))
    result[(slice(None), *inside)] = x
    return [result]


def scratch(kernel: Pad, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Pad, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input."""
    return None


def macs(kernel: Pad, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
