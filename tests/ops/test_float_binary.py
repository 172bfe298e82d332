"""FloatBinary: NumPy and C in every bit, broadcasting, and each function against ONNX Runtime."""

from __future__ import annotations

import math
from typing import Any

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest
from model_builder import single

from onnxino.backends import open_backend
from onnxino.model import load_model
from onnxino.schema.codec import encode
from onnxino.schema.model import BinaryFunction, ElementType, FloatBinary

f32 = np.float32
B = BinaryFunction
FLOAT = ElementType.Float32
SHAPES = [
    ((7,), (7,)),
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (1,)),
    ((1,), (2, 3, 4)),
    ((2, 3, 4), (4,)),
    ((3, 1), (1, 5)),
    ((2, 1, 4, 1), (3, 1, 5)),
    ((1, 1, 1), (1,)),
    ((2, 1, 2, 1, 2, 1), (1, 3, 1, 3, 1, 3)),
]


def run(backend: str, kernel: FloatBinary, a: oc.Floats, b: oc.Floats) -> oc.Floats:
    return oc.run_raw(backend, kernel, [a, b], np.broadcast_shapes(a.shape, b.shape))


def operands(function: BinaryFunction, count: int) -> tuple[oc.Floats, oc.Floats]:
    """Patterns with patterns, values of ordinary size, equal ones, every pair of edges; for Pow small exponents too."""
    rng = np.random.default_rng(1)
    normal = rng.normal(0, 3, (2, count // 2)).astype(f32)
    if function == B.Pow:
        normal = np.stack([np.abs(normal[0]), (rng.integers(-16, 17, count // 2) / 4).astype(f32)])
    a, b = fc.patterns(2, count), fc.patterns(3, count)
    edges = np.array([*fc.EXTREMES, 0.5, -0.5, 2.0, 3.0, -3.0], f32)
    pairs = [m.reshape(-1) for m in np.meshgrid(edges, edges)]
    return np.concatenate([a, normal[0], b, pairs[0]]), np.concatenate([b, normal[1], b, pairs[1]])


@pytest.mark.parametrize("function", BinaryFunction)
def test_backends_agree_on_a_million_pairs(function: BinaryFunction, c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    a, b = operands(function, 1 << 19)
    kernel = FloatBinary(function=function)
    assert len(a) > 1 << 20
    assert oc.same_bits(run("numpy", kernel, a, b), run("c", kernel, a, b))


@pytest.mark.parametrize("limits", [(-math.inf, math.inf), (0.0, 6.0), (-math.inf, 0.0), (-1.0, math.inf)], ids=str)
@pytest.mark.parametrize("name", ["Add", "Sub", "Mul", "Div"])
def test_arithmetic_equals_onnx_runtime(name: str, limits: tuple[float, float], backend: str) -> None:
    """One rounding, as IEEE 754 says; then a clamp that lets NaN pass."""
    a, b = operands(B[name], 4000)
    found = run(backend, FloatBinary(function=B[name], minimum=limits[0], maximum=limits[1]), a, b)
    expected = oc.ort(name, [None, None], {0: a, 1: b}, opset=14)
    if limits == (-math.inf, math.inf):
        assert oc.same_bits(found, expected)
    assert np.array_equal(found, np.clip(expected, *(f32(v) for v in limits)), equal_nan=True)
    assert len(np.unique(found)) > 100


@pytest.mark.parametrize("name", ["Min", "Max", "PRelu"])
def test_choices_equal_onnx_runtime(name: str, backend: str) -> None:
    """Signs of zeros aside: of two equal zeros ONNX Runtime takes either."""
    a, b = operands(B[name], 4000)
    found = run(backend, FloatBinary(function=B[name]), a, b)
    expected = oc.ort(name, [None, None], {0: a, 1: b}, opset=16)
    assert np.array_equal(found, expected, equal_nan=True)


def test_powers_near_onnx_runtime(backend: str) -> None:
    """2 + 2.5 * abs(b ln a) ulp for a > 0, as float_math.power states."""
    rng = np.random.default_rng(5)
    a, b = np.exp(rng.uniform(-5, 5, 5000)).astype(f32), rng.uniform(-6, 6, 5000).astype(f32)
    found = run(backend, FloatBinary(function=B.Pow), a, b)
    expected = oc.ort("Pow", [None, None], {0: a, 1: b}, opset=15)
    assert np.all(fc.ulps(found, expected) <= 2.5 + 2.5 * np.abs(b * np.log(a)))


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, 1.0, 0.0, -1.0])
def test_usual_powers_equal_onnx_runtime(exponent: float, backend: str) -> None:
    """To 1 ulp, for its pow may be that far from the nearest."""
    a = np.concatenate([fc.values(6, (4000,)), fc.patterns(7, 4000)])
    a = np.where(np.isnan(a), f32(np.nan), a)  # a signalling NaN to the power of 0 would be NaN
    if exponent == 0.5:  # of -inf and -0.0 the root is NaN and -0.0, but the power inf and 0.0
        a = a[(a != -np.inf) & ~((a == 0) & np.signbit(a))]
    b = np.array([exponent], f32)
    found = run(backend, FloatBinary(function=B.Pow), a, b)
    expected = oc.ort("Pow", [None, b], {0: a}, opset=15)
    assert fc.ulps(found, expected).max() <= 1


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
@pytest.mark.parametrize("name", ["Sub", "PRelu"])
def test_broadcasting(name: str, a: tuple[int, ...], b: tuple[int, ...], backend: str) -> None:
    x, y = fc.values(1, a), fc.values(2, b)
    expected = x - y if name == "Sub" else np.where(x >= 0, x, x * y)
    assert oc.same_bits(run(backend, FloatBinary(function=B[name]), x, y), expected)


def test_constant_operand(backend: str) -> None:
    """A float32 constant of the model, broadcast over a batch."""
    y, x = fc.values(1, (5,)), fc.values(2, (6, 3, 5))
    model = single(FloatBinary(function=B.Mul), [[3, 5], [5]], [3, 5], [FLOAT, FLOAT], FLOAT)
    model.tensors[1].data, model.tensors[1].offset = y.view(np.uint8), 0
    model.inputs.pop()
    data = encode(model)
    executor = open_backend(backend, load_model(data), data)
    assert oc.same_bits(executor.run([x])[0], x * y)


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("before", [0, 16])
def test_overwrites_an_input(over: int, before: int, backend: str) -> None:
    shape, inputs = (3, 7), [fc.values(seed, (4, 3, 7)) for seed in (1, 2)]
    model = single(FloatBinary(function=B.Sub), [shape, shape], shape, [FLOAT, FLOAT], FLOAT)
    for tensor, offset in zip(model.tensors, (16, 160, (16, 160)[over] - before), strict=True):
        tensor.offset = offset
    model.arena_size = 160 + 84
    data = encode(model)
    executor = open_backend(backend, load_model(data), data)
    assert oc.same_bits(executor.run(inputs)[0], inputs[0] - inputs[1])


def wrong(shapes: Any = ((3, 4), (4,)), output: Any = (3, 4), reads: Any = (FLOAT, FLOAT), writes: ElementType = FLOAT,
          **limits: float) -> Any:  # fmt: skip
    return single(FloatBinary(function=B.Add, **limits), shapes, output, reads, writes)


REFUSED = {
    "shapes": (wrong(((3, 4), (3,))), r"the inputs have shapes \[3, 4\] and \[3\], which do not broadcast"),
    "output": (wrong(output=(4, 3)), r"tensor 'y' has shape \[4, 3\], expected \[3, 4\]"),
    "type of an input": (wrong(reads=(FLOAT, ElementType.Int8)), "tensor 'x1' is Int8, expected Float32"),
    "type of the output": (wrong(writes=ElementType.Int8), "tensor 'y' is Int8, expected Float32"),
    "one input": (wrong(((3, 4),), reads=(FLOAT,)), "it has 1 inputs, expected 2"),
    "limits": (wrong(minimum=1.0, maximum=0.0), "its clamp begins at 1.0 and ends at 0.0"),
    "NaN as a limit": (wrong(minimum=math.nan), "its clamp begins at nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, c_backend_missing: str | None) -> None:
    fc.assert_refused(*REFUSED[name], c_backend_missing)


def test_a_broadcast_input_is_not_overwritten(c_backend_missing: str | None) -> None:
    model = wrong()
    model.tensors[2].offset = model.tensors[0].offset
    model.arena_size = model.tensors[1].offset + 16
    fc.assert_refused(model, "share bytes of the arena", c_backend_missing)
