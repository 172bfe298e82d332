"""Mul against ONNX Runtime's QLinearMul."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Mul

f32 = np.float32

SCALES = {
    "general": (f32(0.021), f32(0.017), f32(0.031)),
    "ties": (f32(0.5), f32(0.5), f32(0.5)),
    "beside ties": (np.nextafter(f32(0.25), f32(1)), f32(0.03), f32(0.015)),
    "saturates": (f32(3), f32(2), f32(0.01)),
    "small": (f32(1e-3), f32(1e-3), f32(0.37)),
}
ZERO_POINTS = [(0, 0, 0), (-128, -128, -128), (127, 127, 127), (3, -77, 15), (-128, 127, -1)]


def make(scales: Sequence[np.float32], zeros: Sequence[int], domain: int, **fields: int) -> Mul:
    return Mul(
        zero_point_a=zeros[0],
        zero_point_b=zeros[1],
        scale=float((scales[0] * scales[1]) / scales[2]),
        zero_point=zeros[2],
        domain_offset=domain,
        **fields,
    )


def expected(a: oc.Int8, b: oc.Int8, scales: Sequence[np.float32], zeros: Sequence[int], domain: int) -> oc.Int8:
    values = [a, b, *(np.int8(z) for z in zeros)]
    a, b, za, zb, zy = (oc.to_uint8(v) for v in values) if domain else values
    y = oc.ort("QLinearMul", [None, scales[0], za, None, scales[1], zb, scales[2], zy], {0: a, 3: b}, oc.MICROSOFT)
    return oc.from_uint8(y) if domain else y


def every_pair() -> tuple[oc.Int8, oc.Int8]:
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


def test_the_domain_decides_ties(backend: str) -> None:
    """The zero point is added before rounding: a product just beside 0.5 becomes a tie where 128 is added, in uint8."""
    a, b = every_pair()
    scales, zeros = (np.nextafter(f32(0.5), f32(1)), f32(1), f32(1)), (0, 0, 0)
    int8, uint8 = (oc.run(backend, make(scales, zeros, domain), [a, b], a.shape) for domain in (0, 128))
    assert np.array_equal(int8, expected(a, b, scales, zeros, 0))
    assert np.array_equal(uint8, expected(a, b, scales, zeros, 128))
    assert not np.array_equal(int8, uint8)


def test_clamp(backend: str) -> None:
    a, b = every_pair()
    found = oc.run(backend, make(SCALES["general"], (0, 0, 0), 0, minimum=-5, maximum=17), [a, b], a.shape)
    assert np.array_equal(found, np.clip(expected(a, b, SCALES["general"], (0, 0, 0), 0), -5, 17))


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((1,), (4,)),
    ((4,), (1,)),
    ((1, 4, 4, 3), (1, 1, 1, 3)),
    ((1, 1, 1, 3), (1, 4, 4, 3)),
    ((1, 4, 4, 3), (3,)),
    ((1, 3, 40, 40), (3, 1, 1)),
    ((3, 1, 1), (1, 3, 40, 40)),
    ((5, 1), (1, 7)),
    ((2, 1, 4), (3, 1)),
]


@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES, ids=str)
@pytest.mark.parametrize("name", ["general", "beside ties", "ties"])
def test_broadcasting(name: str, a_shape: tuple[int, ...], b_shape: tuple[int, ...], backend: str) -> None:
    a, b = oc.random_int8(1, a_shape), oc.random_int8(2, b_shape)
    found = oc.run_raw(backend, make(SCALES[name], (3, -77, 15), 128), [a, b], np.broadcast_shapes(a_shape, b_shape))
    assert np.array_equal(found, expected(a, b, SCALES[name], (3, -77, 15), 128))
