"""Add against ONNX Runtime's QLinearAdd, on scales for which many sums lie at or beside a tie."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import op_cases as oc
import pytest

from onnxino.numerics import fma32
from onnxino.ops.add import exchanges_operands
from onnxino.schema.model import Add

f32 = np.float32

# a_scale, b_scale, y_scale: quotients by powers of two, exact or one unit in the last place beside
UP, DOWN = f32(np.inf), f32(0)
SCALES = {
    "general": (f32(0.021), f32(0.017), f32(0.031)),
    "ties": (f32(0.25), f32(0.125), f32(0.5)),
    "above ties": (np.nextafter(f32(0.0703125), UP), f32(0.03515625), f32(0.28125)),
    "below ties": (f32(0.1), np.nextafter(f32(0.05), DOWN), f32(0.4)),
    "beside ties, wide": (f32(0.0611), np.nextafter(f32(0.0611) * f32(3), UP), f32(0.0611) * f32(2)),
    "tiny sum": (f32(1e-7), f32(1e-7), f32(1)),
    "saturates": (f32(3), f32(2), f32(0.01)),
    "one operand dominates": (f32(1), f32(1e-6), f32(0.37)),
}
ZERO_POINTS = [(0, 0, 0), (-128, -128, -128), (127, 127, 127), (3, -77, 15), (-128, 127, -1)]


def make(scales: Sequence[np.float32], zeros: Sequence[int], domain: int, **fields: int) -> Add:
    """Constants as the converter computes them; zeros are those of int8."""
    a, b, y = scales
    za, zb, zy = (f32(z + domain) for z in zeros)
    scale_a, scale_b = a / y, b / y
    constant = zy - fma32(scale_a, za, scale_b * zb)
    return Add(scale_a=float(scale_a), scale_b=float(scale_b), constant=float(constant), domain_offset=domain, **fields)


def expected(a: oc.Int8, b: oc.Int8, scales: Sequence[np.float32], zeros: Sequence[int], domain: int) -> oc.Int8:
    """ONNX Runtime in uint8 where domain is 128, else in int8."""
    values = [a, b, *(np.int8(z) for z in zeros)]
    a, b, za, zb, zy = (oc.to_uint8(v) for v in values) if domain else values
    y = oc.ort("QLinearAdd", [None, scales[0], za, None, scales[1], zb, scales[2], zy], {0: a, 3: b}, oc.MICROSOFT)
    return oc.from_uint8(y) if domain else y


def every_pair() -> tuple[oc.Int8, oc.Int8]:
    """[256, 256] each: all pairs of two values."""
    values = np.arange(-128, 128).astype(np.int8)
    a, b = np.meshgrid(values, values, indexing="ij")
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


@pytest.mark.parametrize("domain", [0, 128])
@pytest.mark.parametrize("zeros", ZERO_POINTS, ids=str)
@pytest.mark.parametrize("name", SCALES)
def test_every_pair_of_values(name: str, zeros: Sequence[int], domain: int, backend: str) -> None:
    a, b = every_pair()
    found = oc.run(backend, make(SCALES[name], zeros, domain), [a, b], a.shape)
    assert np.count_nonzero(found != expected(a, b, SCALES[name], zeros, domain)) == 0


@pytest.mark.parametrize("name", ["general", "above ties", "below ties"])
def test_few_elements(name: str, backend: str) -> None:
    """The NumPy kernel has a table for large tensors and computes small ones."""
    a, b = oc.random_int8(1, (1, 3, 5, 4)), oc.random_int8(2, (1, 3, 5, 4))
    found = oc.run(backend, make(SCALES[name], (3, -77, 15), 128), [a, b], a.shape)
    assert np.array_equal(found, expected(a, b, SCALES[name], (3, -77, 15), 128))


def test_clamp(backend: str) -> None:
    """A fused Relu6 and the like: the sum is clamped to minimum..maximum."""
    a, b = every_pair()
    found = oc.run(backend, make(SCALES["general"], (0, 0, 0), 0, minimum=-5, maximum=17), [a, b], a.shape)
    assert np.array_equal(found, np.clip(expected(a, b, SCALES["general"], (0, 0, 0), 0), -5, 17))


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((4,), (4,)),
    ((1,), (4,)),
    ((4,), (1,)),
    ((1,), (1,)),
    ((1, 1), (1, 1)),
    ((5, 1), (1,)),
    ((1,), (5, 1)),
    ((5, 1), (1, 1)),
    ((1, 1), (5, 1)),
    ((5, 1), (5, 1)),
    ((1, 3, 4, 4), (1, 3, 1, 1)),
    ((1, 3, 1, 1), (1, 3, 4, 4)),
    ((1, 3, 4, 4), (3, 1, 1)),
    ((1, 4, 4, 3), (3,)),
    ((3,), (1, 4, 4, 3)),
    ((1, 3, 4, 1), (1, 3, 1, 4)),
    ((1, 3, 1, 4), (1, 3, 4, 1)),
    ((5, 1, 1), (1, 3, 1)),
    ((1, 3, 1), (5, 1, 1)),
    ((5, 1), (5, 3)),
    ((5, 3), (5, 1)),
    ((5, 1), (3,)),
    ((3,), (5, 1)),
    ((2, 3, 4, 4), (4, 1)),
    ((1, 1000), (1, 1)),
    ((1, 1), (1, 1000)),
]


@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES, ids=str)
def test_broadcasting(a_shape: tuple[int, ...], b_shape: tuple[int, ...], backend: str) -> None:
    """Filled with pairs of values for which the order of the operands decides."""
    scales, zeros = SCALES["beside ties, wide"], (3, -77, 15)
    swapped_scales, swapped_zeros = (scales[1], scales[0], scales[2]), (zeros[1], zeros[0], zeros[2])
    exchange = exchanges_operands(a_shape, b_shape)
    kernel = make(swapped_scales, swapped_zeros, 128) if exchange else make(scales, zeros, 128)
    a, b = every_pair()
    plain = oc.run("numpy", make(scales, zeros, 128), [a, b], a.shape)
    other = oc.run("numpy", make(swapped_scales, swapped_zeros, 128), [b, a], a.shape)
    places = np.argwhere(plain != other) - 128
    assert len(places) > 0, "scales that decide nothing"
    output = np.broadcast_shapes(a_shape, b_shape)
    for a_value, b_value in places[:: max(1, len(places) // 5)]:
        x, z = oc.random_int8(1, a_shape), oc.random_int8(2, b_shape)
        x.flat[0], z.flat[0] = a_value, b_value
        operands = [z, x] if exchange else [x, z]
        found = oc.run_raw(backend, kernel, operands, output)
        assert np.array_equal(found, expected(x, z, scales, zeros, 128))


@pytest.mark.parametrize(
    ("a", "b", "exchanged"),
    [((), (), True), ((), (4,), True), ((4,), (), False), ((1,), (), True), ((5, 1), (), True), ((1, 4), (), False)],
)
def test_exchange_of_scalars(a: tuple[int, ...], b: tuple[int, ...], exchanged: bool) -> None:
    """Shapes without dimensions, which no device tensor has: the rule itself against ONNX Runtime."""
    assert exchanges_operands(a, b) is exchanged
    scales, zeros = SCALES["beside ties, wide"], (3, -77, 15)
    plain, other = make(scales, zeros, 128), make((scales[1], scales[0], scales[2]), (-77, 3, 15), 128)
    first, second = every_pair()
    both = [oc.run("numpy", plain, [first, second], first.shape), oc.run("numpy", other, [second, first], first.shape)]
    places = np.argwhere(both[0] != both[1])
    for i, j in itertools.islice(places, 5):
        y = expected(np.full(a, i - 128, np.int8), np.full(b, j - 128, np.int8), scales, zeros, 128)
        assert (y == both[exchanged][i, j]).all()
