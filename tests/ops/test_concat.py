"""Concat against ONNX Runtime's Concat, on every type that moves."""

from __future__ import annotations

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Concat

CASES = {
    "channels": ([(1, 4, 5, 3), (1, 4, 5, 2)], 3),
    "rows": ([(1, 4, 5, 3), (1, 1, 5, 3), (1, 2, 5, 3)], 1),
    "first axis": ([(2, 3), (1, 3)], 0),
    "one axis": ([(5,), (1,), (3,)], 0),
    "five inputs": ([(1, 2, 3, 2), (1, 2, 3, 1), (1, 2, 3, 4), (1, 2, 3, 3), (1, 2, 3, 5)], 3),
    "one input": ([(1, 4)], 1),
    "six axes, the fifth": ([(1, 2, 1, 2, 3, 4), (1, 2, 1, 2, 1, 4)], 4),
}


@pytest.mark.parametrize("dtype", oc.ELEMENTS)
@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, dtype: str, backend: str) -> None:
    shapes, axis = CASES[name]
    arrays = [oc.random_of(dtype, seed, shape) for seed, shape in enumerate(shapes)]
    expected = oc.ort("Concat", [None] * len(arrays), dict(enumerate(arrays)), axis=axis)
    found = oc.run_raw(backend, Concat(axis=axis), arrays, expected.shape)
    assert oc.same_bits(found, expected)


def test_batch(backend: str) -> None:
    """Each sample of a batch is joined on its own."""
    a, b = oc.random_int8(1, (3, 4, 2)), oc.random_int8(2, (3, 4, 5))
    found = oc.run(backend, Concat(axis=2), [a, b], (1, 4, 7))
    assert np.array_equal(found, np.concatenate([a, b], axis=2))
