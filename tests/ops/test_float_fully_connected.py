"""FloatFullyConnected: the written order on both backends, bit for bit, and within rounding of ONNX Runtime's Gemm."""

from __future__ import annotations

from dataclasses import dataclass

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import FloatFullyConnected, WeightLayout

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """rows x depth times depth x units; weights as float32, or int8 with `scales` scales."""

    rows: int = 3
    depth: int = 20
    units: int = 7
    scales: int = 0
    limits: tuple[float, float] = (-np.inf, np.inf)
    values: str = "normal"
    bias: str = "normal"


CASES = {
    "plain": Case(),
    "one row": Case(rows=1),
    "one value": Case(rows=1, depth=1, units=1),
    "one unit": Case(units=1),
    "many units": Case(units=300),
    "many rows": Case(rows=600, depth=5, units=4),
    "long sums": Case(rows=2, depth=3000, units=9),
    "int8 weights, one scale": Case(scales=1),
    "int8 weights, a scale for each unit": Case(scales=7),
    "ReLU": Case(limits=(0, np.inf)),
    "ReLU6": Case(limits=(0, 6)),
    "limits of negative zeros": Case(limits=(-0.0, -0.0)),
    "extremes": Case(rows=40, values="extremes"),
    "extremes, many rows": Case(rows=900, values="extremes", limits=(-3, 3)),
    "zeros of both signs": Case(rows=9, values="zeros", bias="zeros"),
    "zeros of both signs, one product each": Case(rows=9, depth=1, values="zeros", bias="zeros"),
    "subnormal": Case(values="subnormal", bias="zeros"),
    "infinite bias": Case(bias="extremes"),
}


def operands(case: Case) -> tuple[oc.Floats, FloatFullyConnected, oc.Floats]:
    """Input, kernel, and the weights as float32 [units, depth]."""
    x = fc.values(1, (case.rows, case.depth), case.values)
    weights, stored, scale = fc.weights(2, WeightLayout.OHWI, (case.units, case.depth), case.scales)
    kernel = FloatFullyConnected(
        weights=stored,
        weight_scale=scale,
        bias=fc.values(3, (case.units,), case.bias),
        minimum=case.limits[0],
        maximum=case.limits[1],
    )
    return x, kernel, weights


@pytest.mark.parametrize("name", CASES)
def test_sums_in_the_order_of_k(name: str, backend: str) -> None:
    case = CASES[name]
    x, kernel, weights = operands(case)
    expected = np.empty((case.rows, case.units), f32)
    with np.errstate(all="ignore"):
        expected[...] = kernel.bias
        for k in range(case.depth):
            expected += x[:, k, None] * weights[:, k]
        expected = fc.limited(expected, *case.limits)
    assert oc.same_bits(oc.run(backend, kernel, [x], (1, case.units)), expected)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.values == case.bias == "normal"])
def test_equals_onnx_runtime_but_for_rounding(name: str, backend: str) -> None:
    case = CASES[name]
    x, kernel, weights = operands(case)
    expected = np.clip(oc.ort("Gemm", [None, weights, kernel.bias], {0: x}, transB=1), *case.limits)
    found = oc.run(backend, kernel, [x], (1, case.units))
    size = np.abs(x).astype(np.float64) @ np.abs(weights.T) + np.abs(kernel.bias)
    assert np.all(np.abs(found - expected) <= fc.bound(case.depth, size))


def test_rows_of_a_larger_tensor(backend: str) -> None:
    """Dense layers act on the last axis of any shape: [1, 2, 3, 4] viewed as 6 rows of 4."""
    x, kernel, _ = operands(Case(rows=12, depth=4, units=5))
    flat = oc.run(backend, kernel, [x], (1, 5))
    found = oc.run(backend, kernel, [x.reshape(2, 2, 3, 4)], (1, 2, 3, 5))
    assert oc.same_bits(found.reshape(-1, 5), flat)
