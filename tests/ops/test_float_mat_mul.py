"""FloatMatMul: the written order on both backends, bit for bit, and within rounding of ONNX Runtime's MatMul."""

from __future__ import annotations

from collections.abc import Sequence

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import FloatMatMul

SHAPES: dict[str, tuple[Sequence[int], Sequence[int]]] = {
    "matrices": ((3, 5), (5, 4)),
    "one value": ((1, 1), (1, 1)),
    "row times column": ((1, 300), (300, 1)),
    "column times row": ((30, 1), (1, 40)),
    "batch": ((4, 3, 5), (4, 5, 2)),
    "one matrix for all": ((4, 3, 5), (5, 2)),
    "first one for all": ((3, 5), (4, 5, 2)),
    "broadcast both ways": ((2, 1, 3, 5), (1, 4, 5, 2)),
    "heads": ((2, 4, 17, 8), (2, 4, 8, 17)),
    "six axes": ((2, 1, 3, 1, 2, 3), (4, 1, 2, 3, 2)),
    "large": ((64, 50), (50, 90)),
}


@pytest.mark.parametrize("values", ["normal", "extremes", "zeros", "subnormal"])
@pytest.mark.parametrize("name", SHAPES)
def test_sums_in_the_order_of_k(name: str, values: str, backend: str) -> None:
    a, b = (fc.values(seed, shape, values) for seed, shape in enumerate(SHAPES[name]))
    with np.errstate(all="ignore"):
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        expected = np.zeros((*leading, a.shape[-2], b.shape[-1]), np.float32)
        for k in range(a.shape[-1]):
            expected += a[..., :, k, None] * b[..., None, k, :]
    assert oc.same_bits(oc.run_raw(backend, FloatMatMul(), [a, b], expected.shape), expected)


@pytest.mark.parametrize("name", SHAPES)
def test_equals_onnx_runtime_but_for_rounding(name: str, backend: str) -> None:
    a, b = (fc.values(seed, shape) for seed, shape in enumerate(SHAPES[name]))
    expected = oc.ort("MatMul", [None, None], {0: a, 1: b})
    size = np.abs(a).astype(np.float64) @ np.abs(b)
    found = oc.run_raw(backend, FloatMatMul(), [a, b], expected.shape)
    assert np.all(np.abs(found - expected) <= fc.bound(a.shape[-1], size))


def test_batch_of_samples(backend: str) -> None:
    a, b = fc.values(1, (200, 7, 5)), fc.values(2, (200, 5, 6))
    found = oc.run(backend, FloatMatMul(), [a, b], (1, 7, 6))
    halves = [oc.run_raw(backend, FloatMatMul(), [a[i], b[i]], (100, 7, 6)) for i in (slice(100), slice(100, 200))]
    assert oc.same_bits(found, np.concatenate(halves))
