"""Mul: quantized element-wise product with NumPy broadcasting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.numerics import saturate
from onnxino.ops import _checks, _pairwise
from onnxino.schema.model import Mul, Tensor


def check(kernel: Mul, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the shapes broadcast and the scale is a positive number."""
    _pairwise.check(inputs, outputs)
    _checks.require_positive("scale", kernel.scale)
    _checks.require_domain(kernel.domain_offset)
    _checks.require_range(kernel.minimum, kernel.maximum)


def run(kernel: Mul, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[np.int8]]:
    """[B, *a], [B, *b] -> [B, *output]."""
    return [_pairwise.run(lambda a, b: _mul(kernel, a, b), arrays[0], arrays[1], outputs[0])]


def _mul(kernel: Mul, a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """Arrays of one shape. The zero point is added before rounding, in the domain's numbers: that decides ties."""
    product = (a.astype(np.int32) - kernel.zero_point_a) * (b.astype(np.int32) - kernel.zero_point_b)
    total = product.astype(np.float32) * np.float32(kernel.scale) + np.float32(kernel.zero_point + kernel.domain_offset)
    return saturate(np.rint(total) - np.float32(kernel.domain_offset), kernel.minimum, kernel.maximum)


def scratch(kernel: Mul, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: Mul, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place where nothing is broadcast."""
    return _pairwise.safe_offset(index, inputs, outputs)


def macs(kernel: Mul, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
