"""Pad against ONNX Runtime's Pad with a constant, on every type that moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Pad

CASES: dict[str, tuple[Sequence[int], Sequence[int], Sequence[int]]] = {
    "image": ((2, 5, 6, 3), (0, 1, 2, 0), (0, 2, 1, 0)),
    "channels": ((2, 5, 6, 3), (0, 0, 0, 1), (0, 0, 0, 2)),
    "every axis": ((2, 3, 2, 3), (1, 2, 3, 4), (4, 3, 2, 1)),
    "after alone": ((3, 4), (0, 0), (2, 5)),
    "nothing": ((3, 4), (0, 0), (0, 0)),
    "one axis": ((5,), (3,), (1,)),
    "six axes": ((1, 2, 1, 2, 1, 2), (1, 0, 1, 0, 1, 1), (0, 1, 0, 1, 0, 0)),
}


@pytest.mark.parametrize("value", [0, -7])
@pytest.mark.parametrize("dtype", oc.ELEMENTS)
@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, dtype: str, value: int, backend: str) -> None:
    shape, before, after = CASES[name]
    x = oc.random_of(dtype, 1, shape)
    expected = oc.ort("Pad", [None, np.array([*before, *after]), np.array(value, dtype)], {0: x})
    element = np.array([value], oc.DEVICE[dtype]).view(np.uint8)
    found = oc.run_raw(backend, Pad(before=np.array(before, np.uint32), value=element), [x], expected.shape)
    assert oc.same_bits(found, expected)


def test_batch(backend: str) -> None:
    """Each sample of a batch is padded on its own, here with -infinity as before a maximum."""
    x = oc.random_of("float32", 1, (3, 2, 2))
    kernel = Pad(before=np.array([0, 1, 0], np.uint32), value=np.array([-np.inf], np.float32).view(np.uint8))
    found = oc.run(backend, kernel, [x], (1, 4, 3))
    assert oc.same_bits(found, np.pad(x, ((0, 0), (1, 1), (0, 1)), constant_values=-np.inf))
