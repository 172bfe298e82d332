"""FloatReduce: mean, sum, maximum or minimum over any axes in float32, in the order of memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks, _ordered
from onnxino.schema.model import FloatReduce, ReduceFunction, Tensor


def check(kernel: FloatReduce, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless the axes are ascending axes of the input and the output has what is left of it."""
    _ordered.float_tensors(inputs, outputs)
    shape, axes = shape_of(inputs[0]), [int(axis) for axis in kernel.axes]
    usable = bool(axes) and axes == sorted(set(axes)) and axes[-1] < len(shape)
    _checks.require(usable, f"axes are {axes}, expected one or more of 0 to {len(shape) - 1}, ascending")
    _checks.require_reduced(outputs[0], shape, axes)


def run(kernel: FloatReduce, arrays: list[NDArray[np.float32]], outputs: list[Tensor]) -> list[NDArray[np.float32]]:
    """[B, *shape] -> [B, *shape without the axes, or with 1 there]."""
    x = arrays[0]
    axes = [int(axis) + 1 for axis in kernel.axes]
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    elements = math.prod(x.shape[axis] for axis in axes)
    table = x.transpose(*axes, *kept).reshape(elements, -1)  # elements of one result below each other, in order
    if kernel.function in (ReduceFunction.Mean, ReduceFunction.Sum):
        result = _ordered.sums(table)
        if kernel.function == ReduceFunction.Mean:
            result /= np.float32(elements)
    else:  # both find the first of equal values and take NaN for the best, which maximum and minimum do not promise
        best = table.argmax(axis=0) if kernel.function == ReduceFunction.Max else table.argmin(axis=0)
        result = np.take_along_axis(table, best[None], axis=0)
    return [result.reshape(len(x), *shape_of(outputs[0]))]


def scratch(kernel: FloatReduce, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatReduce, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input."""
    return None


def macs(kernel: FloatReduce, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
