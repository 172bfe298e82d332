"""Dequantize against ONNX Runtime's DequantizeLinear: every value, bit for bit."""

from __future__ import annotations

import math

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest
from model_builder import single

from onnxino.schema.model import Dequantize, ElementType

f32 = np.float32
VALUES = np.arange(-128, 128).astype(np.int8).reshape(2, 128)


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 77, 127])
@pytest.mark.parametrize("scale", [0.1, 1.0, 1 / 3, 1e-45, 1.1754944e-38, 3e38])
def test_equals_onnx_runtime(scale: float, zero_point: int, backend: str) -> None:
    kernel = Dequantize(scale=scale, zero_point=zero_point)
    found = oc.run_raw(backend, kernel, [VALUES], VALUES.shape, ElementType.Float32)
    expected = oc.ort("DequantizeLinear", [None, f32(scale), np.int8(zero_point)], {0: VALUES}, output=f32)
    assert oc.same_bits(found, expected)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_scale_must_be_positive(scale: float, c_backend_missing: str | None) -> None:
    model = single(Dequantize(scale=scale), [[4]], [4], writes=ElementType.Float32)
    fc.assert_refused(model, r"scale is .*, expected a finite number above 0", c_backend_missing)


@pytest.mark.parametrize(
    ("reads", "writes", "output", "message"),
    [
        (ElementType.Float32, ElementType.Float32, [4], "tensor 'x0' is Float32, expected Int8"),
        (ElementType.Int8, ElementType.Int8, [4], "tensor 'y' is Int8, expected Float32"),
        (ElementType.Int8, ElementType.Float32, [2, 2], r"tensor 'y' has shape \[2, 2\], expected \[4\]"),
    ],
)
def test_tensors_must_fit(
    reads: ElementType, writes: ElementType, output: list[int], message: str, c_backend_missing: str | None
) -> None:
    fc.assert_refused(single(Dequantize(scale=1.0), [[4]], output, [reads], writes), message, c_backend_missing)


def test_may_not_overwrite_its_input(c_backend_missing: str | None) -> None:
    model = single(Dequantize(scale=1.0), [[64]], [64], writes=ElementType.Float32)
    model.tensors[0].offset, model.tensors[1].offset, model.arena_size = 192, 0, 256
    fc.assert_refused(model, "share bytes of the arena", c_backend_missing)
