"""Take against ONNX Runtime's Gather, on every type that moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Take

CASES: dict[str, tuple[Sequence[int], int, Sequence[int]]] = {
    "slice": ((2, 5, 6, 3), 1, [1, 2, 3]),
    "slice backwards": ((2, 5, 6, 3), 2, [5, 3, 1]),
    "channels": ((2, 5, 6, 3), 3, [2]),
    "first axis": ((4, 3), 0, [3, 0]),
    "nearest resize": ((1, 3, 4, 2), 1, [0, 0, 1, 1, 2, 2]),
    "edge padding": ((1, 3, 4, 2), 2, [0, 0, 0, 1, 2, 3, 3]),
    "all": ((1, 7), 1, list(range(7))),
    "one element": ((1,), 0, [0]),
    "six axes": ((2, 1, 3, 2, 1, 2), 2, [2, 2, 0]),
}


@pytest.mark.parametrize("dtype", oc.ELEMENTS)
@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, dtype: str, backend: str) -> None:
    shape, axis, indices = CASES[name]
    x = oc.random_of(dtype, 1, shape)
    expected = oc.ort("Gather", [None, np.array(indices)], {0: x}, axis=axis)
    found = oc.run_raw(backend, Take(axis=axis, indices=np.array(indices, np.uint32)), [x], expected.shape)
    assert oc.same_bits(found, expected)


def test_batch(backend: str) -> None:
    """Each sample of a batch is taken from on its own."""
    x = oc.random_int8(1, (5, 4, 3))
    found = oc.run(backend, Take(axis=1, indices=np.array([3, 1], np.uint32)), [x], (1, 2, 3))
    assert oc.same_bits(found, x[:, [3, 1]])
