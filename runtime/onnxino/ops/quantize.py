"""Quantize: float32 to int8, with a scale and a zero point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino import numerics
from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import ElementType, Quantize, Tensor


def check(kernel: Quantize, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless float32 becomes int8 of the same shape and the scale is a positive number."""
    _checks.require_tensors(inputs, outputs, reads=ElementType.Float32)
    _checks.require_shape(outputs[0], shape_of(inputs[0]))
    _checks.require_positive("scale", kernel.scale)


def run(kernel: Quantize, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """float32 [B, *shape] -> int8 [B, *shape]: a true division, NaN becomes -128."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return [numerics.quantize(arrays[0], kernel.scale, kernel.zero_point)]


def scratch(kernel: Quantize, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Quantize, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place: byte i is written after the 4 bytes of value i are read, and lies at or before their first."""
    return 0


def macs(kernel: Quantize, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
