"""FakeQuantize: float32 onto the grid of a quantization that the device does not hold, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.float_math import Float
from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import ElementType, FakeQuantize, Tensor


def check(kernel: FakeQuantize, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless scales are positive and limits whole, one of each or one for each index of the axis."""
    _checks.require_tensors(inputs, outputs, 1, ElementType.Float32, ElementType.Float32)
    shape = shape_of(inputs[0])
    _checks.require_shape(outputs[0], shape)
    _checks.require(kernel.axis < len(shape), f"axis is {kernel.axis}, expected less than {len(shape)}")
    channels = shape[kernel.axis]
    for name in ("scale", "minimum", "maximum"):
        values: NDArray[np.float32] = getattr(kernel, name)
        _checks.require(len(values) in (1, channels), f"{name} has {len(values)} values, expected 1 or {channels}")
        _checks.require(bool(np.all(np.isfinite(values))), f"{name} holds a value that is not finite")
    _checks.require(bool(np.all(kernel.scale > 0)), "scale holds a value that is not above 0")
    limits = np.concatenate([kernel.minimum, kernel.maximum])
    _checks.require(bool(np.all(np.rint(limits) == limits)), "minimum and maximum hold values that are not whole")
    _checks.require(bool(np.all(kernel.minimum <= kernel.maximum)), "a minimum is above its maximum")


def run(kernel: FakeQuantize, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[Float]:
    """float32 [B, *shape] -> float32 [B, *shape]."""
    rank = len(outputs[0].shape)
    along = (-1, *(1,) * (rank - 1 - kernel.axis))
    scale, low, high = (v.reshape(along) for v in (kernel.scale, kernel.minimum, kernel.maximum))
    with np.errstate(all="ignore"):
        v = arrays[0] / scale
        v = np.where(v > low, v, low)  # NaN becomes the minimum
        v = np.where(v < high, v, high)
        return [(np.rint(v) + np.float32(0.0)) * scale]


def scratch(kernel: FakeQuantize, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FakeQuantize, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place."""
    return 0


def macs(kernel: FakeQuantize, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
