"""ArgMax against ONNX Runtime's ArgMax and ArgMin, on int8 and float32."""

from __future__ import annotations

from collections.abc import Sequence

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import ArgMax, ElementType

SHAPES: list[tuple[Sequence[int], int]] = [
    ((3, 10), 1), ((2, 4, 5, 3), 3), ((2, 4, 5, 3), 1), ((4, 3), 0), ((1,), 0), ((7,), 0), ((2, 1, 3), 1),
    ((2, 1, 3, 2, 1, 4), 3), ((2, 300), 1),
]  # fmt: skip
VALUES = {
    "int8": lambda shape: oc.random_int8(1, shape),
    "int8 with ties": lambda shape: oc.random_int8(2, shape, -1, 1),
    "int8 of one value": lambda shape: oc.random_int8(3, shape, -128, -128),
    "float": lambda shape: fc.values(1, shape),
    "float with ties": lambda shape: fc.values(2, shape, "ties"),
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_equals_onnx_runtime(
    shape: Sequence[int], axis: int, values: str, smallest: bool, last: bool, backend: str
) -> None:
    x = VALUES[values](shape)
    kernel = ArgMax(axis=axis, smallest=smallest, last=last)
    for keep in (1, 0) if len(shape) > 1 else (1,):
        expected = oc.ort(
            "ArgMin" if smallest else "ArgMax",
            [None],
            {0: x},
            axis=axis,
            keepdims=keep,
            select_last_index=int(last),
            output=np.int64,
        )
        found = oc.run_raw(backend, kernel, [x], expected.shape, ElementType.Int32)
        assert oc.same_bits(found, expected)


@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_nan_is_the_best(smallest: bool, last: bool, backend: str) -> None:
    x = fc.values(1, (500, 7), "extremes")
    nan = np.isnan(x)
    found = oc.run(backend, ArgMax(axis=1, smallest=smallest, last=last), [x], (1, 1), ElementType.Int32)[:, 0]
    expected = 6 - nan[:, ::-1].argmax(axis=1) if last else nan.argmax(axis=1)
    rows = nan.any(axis=1)
    assert 20 < rows.sum() < 400
    assert np.array_equal(found[rows], expected[rows])
    best = np.where(smallest, x.min(axis=1), x.max(axis=1))
    assert np.array_equal(x[np.arange(500), found][~rows], best[~rows])
