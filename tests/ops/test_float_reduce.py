"""FloatReduce: in the order of memory on both backends, bit for bit; ONNX Runtime's ReduceMean, Sum, Max and Min."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import FloatReduce, ReduceFunction

SHAPES: dict[str, tuple[Sequence[int], Sequence[int]]] = {
    "image": ((2, 5, 4, 3), (1, 2)),
    "channels": ((2, 5, 4, 3), (3,)),
    "rows": ((2, 5, 4, 3), (1,)),
    "rows and channels": ((2, 5, 4, 3), (1, 3)),
    "everything": ((2, 5, 4, 3), (0, 1, 2, 3)),
    "batch": ((4, 3), (0,)),
    "one axis": ((9,), (0,)),
    "one element": ((1, 1), (1,)),
    "axes apart": ((2, 3, 2, 3, 2, 3), (0, 2, 4)),
    "many results": ((1, 6, 7, 300), (1, 2)),
    "many elements": ((1, 60, 70, 2), (1, 2)),
}
FUNCTIONS = [function.name for function in ReduceFunction]


def outputs(shape: Sequence[int], axes: Sequence[int]) -> list[list[int]]:
    """The output's shape with the axes as 1, and without them."""
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    left = [size for axis, size in enumerate(shape) if axis not in axes]
    return [kept, left or [1]]


def in_order(x: oc.Floats, axes: Sequence[int], function: str) -> oc.Floats:
    """One result after the other, one element after the other."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    table = x.transpose(*kept, *axes).reshape(-1, int(np.prod([x.shape[axis] for axis in axes])))
    result = table[:, 0].copy()
    for column in range(1, table.shape[1]):
        v = table[:, column]
        if function in ("Mean", "Sum"):
            result = result + v
        else:
            better = v > result if function == "Max" else v < result
            result = np.where(better | np.isnan(v), v, result)
    return result / np.float32(table.shape[1]) if function == "Mean" else result


@pytest.mark.parametrize("values", ["normal", "extremes", "zeros"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_in_the_order_of_memory(name: str, function: str, values: str, backend: str) -> None:
    shape, axes = SHAPES[name]
    x = fc.values(1, shape, values)
    kernel = FloatReduce(function=ReduceFunction[function], axes=np.array(axes, np.uint8))
    with np.errstate(all="ignore"):
        expected = in_order(x, axes, function)
    for output in outputs(shape, axes):
        found = oc.run_raw(backend, kernel, [x], output)
        assert oc.same_bits(found.reshape(-1), expected)


@pytest.mark.parametrize(("name", "function"), list(product(SHAPES, FUNCTIONS)))
def test_equals_onnx_runtime(name: str, function: str, backend: str) -> None:
    """To the bit for maximum and minimum; sums but for rounding."""
    shape, axes = SHAPES[name]
    x = fc.values(1, shape)
    expected = oc.ort(f"Reduce{function}", [None], {0: x}, axes=list(axes), opset=12)
    kernel = FloatReduce(function=ReduceFunction[function], axes=np.array(axes, np.uint8))
    found = oc.run_raw(backend, kernel, [x], expected.shape)
    if function in ("Max", "Min"):
        assert oc.same_bits(found, expected)
        return
    count = int(np.prod([shape[axis] for axis in axes]))
    size = np.abs(x).astype(np.float64).sum(axis=tuple(axes), keepdims=True) / (count if function == "Mean" else 1)
    assert np.all(np.abs(found - expected) <= fc.bound(count, size))


def test_batch(backend: str) -> None:
    """Each sample of a batch is reduced on its own, though the operator reduces the axis of N."""
    x = fc.values(1, (5, 4))
    kernel = FloatReduce(function=ReduceFunction.Max, axes=np.array([0, 1], np.uint8))
    assert oc.same_bits(oc.run(backend, kernel, [x], (1, 1)), x.max(axis=1, keepdims=True))
