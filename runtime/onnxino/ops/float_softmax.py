"""FloatSoftmax: softmax, or its logarithm, over the last axis in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino import float_math as fm
from onnxino.float_math import Float
from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import ElementType, FloatSoftmax, Tensor


def check(kernel: FloatSoftmax, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless both tensors are float32 of one shape."""
    _checks.require_tensors(inputs, outputs, 1, ElementType.Float32, ElementType.Float32)
    _checks.require_shape(outputs[0], shape_of(inputs[0]))


def run(kernel: FloatSoftmax, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[Float]:
    """float32 [B, ..., D] -> [B, ..., D]. The sum runs in index order, as accumulate does and np.sum does not."""
    with np.errstate(all="ignore"):
        shifted = arrays[0] - arrays[0].max(axis=-1, keepdims=True)
        exponentials = fm.exp(shifted)
        total: Float = np.add.accumulate(exponentials, axis=-1, dtype=np.float32)[..., -1:]
        return [shifted - fm.log(total)] if kernel.log else [exponentials / total]


def scratch(kernel: FloatSoftmax, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatSoftmax, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place: a row's exponentials replace it, and are divided where they are."""
    return 0


def macs(kernel: FloatSoftmax, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
