"""Dequantize: int8 to float32, with a scale and a zero point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino import numerics
from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import Dequantize, ElementType, Tensor


def check(kernel: Dequantize, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless int8 becomes float32 of the same shape and the scale is a positive number."""
    _checks.require_tensors(inputs, outputs, writes=ElementType.Float32)
    _checks.require_shape(outputs[0], shape_of(inputs[0]))
    _checks.require_positive("scale", kernel.scale)


def run(kernel: Dequantize, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[np.float32]]:
    """int8 [B, *shape] -> float32 [B, *shape]: f32(x - zero_point) * scale."""
    with np.errstate(over="ignore", under="ignore"):
        return [numerics.dequantize(arrays[0], kernel.scale, kernel.zero_point)]


def scratch(kernel: Dequantize, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Dequantize, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: it grows to four times its size."""
    return None


def macs(kernel: Dequantize, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
