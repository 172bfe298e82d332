"""Quantize against ONNX Runtime's QuantizeLinear, byte for byte: ties, halves and their neighbours, infinities, NaN."""

from __future__ import annotations

import math

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest
from model_builder import single

from onnxino.backends import open_backend
from onnxino.model import load_model
from onnxino.schema.codec import encode
from onnxino.schema.model import ElementType, Quantize

f32 = np.float32
SCALES = [0.1, 0.5, 1.0, 1 / 3, 2.0**-120, 3.0e38, 1e-45, 1.1754944e-38]
ZERO_POINTS = [-128, -1, 0, 77, 127]


def operands(scale: float) -> oc.Floats:
    """Halves of the scale and their neighbours, values within the range, random bit patterns with edges."""
    with np.errstate(over="ignore"):
        halves = (np.arange(-530, 531).astype(f32) / f32(2)) * f32(scale)
        near = [np.nextafter(halves, f32(-np.inf)), halves, np.nextafter(halves, f32(np.inf))]
        inside = np.random.default_rng(1).normal(0, 60, 3000).astype(f32) * f32(scale)
    return np.concatenate([*near, inside, fc.patterns(2, 4000)])


def quantize(backend: str, x: oc.Floats, scale: float, zero_point: int) -> oc.Int8:
    return oc.run_raw(backend, Quantize(scale=scale, zero_point=zero_point), [x], x.shape, ElementType.Int8)


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
@pytest.mark.parametrize("scale", SCALES)
def test_equals_onnx_runtime(scale: float, zero_point: int, backend: str) -> None:
    x = operands(scale)
    expected = oc.ort("QuantizeLinear", [None, f32(scale), np.int8(zero_point)], {0: x}, output=np.int8)
    assert np.array_equal(quantize(backend, x, scale, zero_point), expected)
    assert len(np.unique(expected)) >= 3  # infinities, and one value at least between


def test_formula() -> None:
    """Against the formula in exact arithmetic: the quotient is rounded to float32 before it is rounded to a whole."""
    x = np.array([0.05, 0.15, 0.25, -0.05, 12.65, 12.75, -12.85, 1e9, -1e9, np.inf, -np.inf, np.nan], f32)
    expected = [round(float(f32(v) / f32(0.1))) + 3 if math.isfinite(v) else 0 for v in x.tolist()]
    expected[-3:] = [127, -128, -128]
    assert quantize("numpy", x, 0.1, 3).tolist() == [max(-128, min(127, v)) for v in expected]


def test_backends_agree_on_a_million_values(c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    x = fc.patterns(3, 1 << 20)
    for scale, zero_point in ((0.1, 3), (2.0**-100, -128)):
        assert np.array_equal(quantize("numpy", x, scale, zero_point), quantize("c", x, scale, zero_point))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_scale_must_be_positive(scale: float, c_backend_missing: str | None) -> None:
    model = single(Quantize(scale=scale), [[4]], [4], [ElementType.Float32])
    fc.assert_refused(model, r"scale is .*, expected a finite number above 0", c_backend_missing)


@pytest.mark.parametrize(
    ("reads", "writes", "output", "message"),
    [
        (ElementType.Int8, ElementType.Int8, [4], "tensor 'x0' is Int8, expected Float32"),
        (ElementType.Float32, ElementType.Float32, [4], "tensor 'y' is Float32, expected Int8"),
        (ElementType.Float32, ElementType.Int8, [2, 2], r"tensor 'y' has shape \[2, 2\], expected \[4\]"),
    ],
)
def test_tensors_must_fit(
    reads: ElementType, writes: ElementType, output: list[int], message: str, c_backend_missing: str | None
) -> None:
    fc.assert_refused(single(Quantize(scale=1.0), [[4]], output, [reads], writes), message, c_backend_missing)


@pytest.mark.parametrize("before", [0, 16, 32])
def test_overwrites_its_input(before: int, backend: str) -> None:
    """The output begins where the input does, or a little before."""
    x = fc.values(4, (37,))
    model = single(Quantize(scale=0.03, zero_point=5), [[37]], [37], [ElementType.Float32])
    model.tensors[0].offset, model.tensors[1].offset = 32, 32 - before
    model.arena_size = 32 + 4 * 37
    data = encode(model)
    executor = open_backend(backend, load_model(data), data)
    expected = quantize("numpy", x, 0.03, 5)
    assert np.array_equal(executor.run([x[None]])[0][0], expected)
    assert len(np.unique(expected)) > 20


def test_may_not_begin_behind_its_input(c_backend_missing: str | None) -> None:
    model = single(Quantize(scale=1.0), [[37]], [37], [ElementType.Float32])
    model.tensors[1].offset, model.arena_size = 16, 4 * 37
    fc.assert_refused(model, "share bytes of the arena", c_backend_missing)


def test_the_planner_puts_it_in_place(c_backend_missing: str | None) -> None:
    """The arena has room for the input alone, and the C runtime accepts that."""
    from onnxino_converter.build_model import assign_memory

    model = single(Quantize(scale=1.0), [[64]], [64], [ElementType.Float32])
    assign_memory(model)
    assert (model.arena_size, model.tensors[0].offset, model.tensors[1].offset) == (256, 0, 0)
    data = encode(model)
    open_backend("numpy" if c_backend_missing else "c", load_model(data), data)
