"""FloatBinary: a function of two float32 values with NumPy broadcasting, then a clamp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino import float_math as fm
from onnxino.float_math import ZERO, Float
from onnxino.ops import _checks, _pairwise
from onnxino.schema.model import BinaryFunction, ElementType, FloatBinary, Tensor

FUNCTIONS: dict[BinaryFunction, Callable[[Float, Float], Float]] = {
    BinaryFunction.Add: lambda a, b: a + b,
    BinaryFunction.Sub: lambda a, b: a - b,
    BinaryFunction.Mul: lambda a, b: a * b,
    BinaryFunction.Div: lambda a, b: a / b,
    BinaryFunction.Min: lambda a, b: np.where((a < b) | np.isnan(a), a, b),
    BinaryFunction.Max: lambda a, b: np.where((a > b) | np.isnan(a), a, b),
    BinaryFunction.PRelu: lambda a, b: np.where(a >= ZERO, a, a * b),
    BinaryFunction.Pow: fm.power,
}


def check(kernel: FloatBinary, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the tensors are float32, the shapes broadcast and minimum <= maximum."""
    _pairwise.check(inputs, outputs, ElementType.Float32)
    _checks.require_limits(kernel.minimum, kernel.maximum)


def run(kernel: FloatBinary, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[Float]:
    """float32 [B, *a], [B, *b] -> [B, *output]."""
    a, b = _pairwise.align(arrays[0], arrays[1], outputs[0])
    with np.errstate(all="ignore"):
        y = FUNCTIONS[kernel.function](a, b)
        return [fm.clamp(y, np.float32(kernel.minimum), np.float32(kernel.maximum))]


def scratch(kernel: FloatBinary, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatBinary, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place where nothing is broadcast."""
    return _pairwise.safe_offset(index, inputs, outputs)


def macs(kernel: FloatBinary, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
