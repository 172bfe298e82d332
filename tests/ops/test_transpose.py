"""Transpose against ONNX Runtime's Transpose, on every type that moves."""

from __future__ import annotations

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Transpose

CASES = [
    ((1, 3, 4, 5), (0, 2, 3, 1)),
    ((1, 4, 5, 3), (0, 3, 1, 2)),
    ((2, 3), (1, 0)),
    ((7,), (0,)),
    ((2, 3, 4), (2, 0, 1)),
    ((2, 3, 4), (0, 1, 2)),
    ((1, 2, 3, 2, 3, 2), (5, 4, 3, 2, 1, 0)),
    ((1, 2, 3, 2, 3, 2), (3, 0, 5, 1, 4, 2)),
]


@pytest.mark.parametrize("dtype", oc.ELEMENTS)
@pytest.mark.parametrize(("shape", "perm"), CASES, ids=str)
def test_equals_onnx_runtime(shape: tuple[int, ...], perm: tuple[int, ...], dtype: str, backend: str) -> None:
    x = oc.random_of(dtype, 1, shape)
    expected = oc.ort("Transpose", [None], {0: x}, perm=perm)
    found = oc.run_raw(backend, Transpose(perm=np.array(perm, np.uint8)), [x], expected.shape)
    assert oc.same_bits(found, expected)


def test_batch(backend: str) -> None:
    """The batch stays in front."""
    x = oc.random_int8(1, (3, 4, 5))
    found = oc.run(backend, Transpose(perm=np.array([0, 2, 1], np.uint8)), [x], (1, 5, 4))
    assert np.array_equal(found, x.transpose(0, 2, 1))
