"""Lookup against ONNX Runtime's QLinearSigmoid and QLinearLeakyRelu, and with tables that no function has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import op_cases as oc
import pytest
from numpy.typing import NDArray

from onnxino.numerics import dequantize, quantize
from onnxino.schema.model import Lookup

f32 = np.float32
VALUES = np.arange(-128, 128).astype(np.int8)


def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(f32)


def leaky_relu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(x >= 0, x, x * f32(0.1)).astype(f32)


FUNCTIONS: dict[str, tuple[Callable[[NDArray[np.float32]], NDArray[np.float32]], dict[str, float]]] = {
    "QLinearSigmoid": (sigmoid, {}),
    "QLinearLeakyRelu": (leaky_relu, {"alpha": 0.1}),
}


@pytest.mark.parametrize(("scales", "zeros"), [((0.06, 1 / 256), (0, -128)), ((0.02, 0.017), (-31, 12))], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_onnx_runtime(name: str, scales: tuple[float, float], zeros: tuple[int, int], backend: str) -> None:
    function, attributes = FUNCTIONS[name]
    (x_scale, y_scale), (x_zero, y_zero) = (f32(s) for s in scales), zeros
    table = quantize(function(dequantize(VALUES, float(x_scale), x_zero)), float(y_scale), y_zero)
    arguments = [None, x_scale, np.int8(x_zero), y_scale, np.int8(y_zero)]
    expected = oc.ort(name, arguments, {0: VALUES}, oc.MICROSOFT, **attributes)
    found = oc.run_raw(backend, Lookup(table=table.astype(np.int8)), [VALUES], VALUES.shape)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1,), (256,), (1, 5, 3), (2, 3, 4, 5), (1, 1, 1, 1, 1, 7)], ids=str)
def test_index_and_shape(shape: tuple[int, ...], backend: str) -> None:
    """A shuffled table: y = table[x + 128]."""
    table = np.random.default_rng(3).permutation(VALUES)
    x = oc.random_int8(1, shape)
    found = oc.run_raw(backend, Lookup(table=table), [x], shape)
    assert np.array_equal(found, table[x.astype(int) + 128])
