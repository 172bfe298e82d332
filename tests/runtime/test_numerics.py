"""The shared arithmetic: against exact fractions, and against ONNX Runtime's QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnxino import numerics
from onnxino.schema.model import Requantization

f32 = np.float32


# ------------------------------------------------------------------------------------------------- fma


def is_nearest(exact: Fraction, found: np.float32) -> bool:
    """Whether `found` is the float32 nearest to `exact`, of even mantissa where two are."""
    error = abs(exact - Fraction(float(found)))
    for neighbour in (np.nextafter(found, f32(np.inf)), np.nextafter(found, f32(-np.inf))):
        other = abs(exact - Fraction(float(neighbour)))
        even = int(np.array(found, f32).view(np.uint32)) % 2 == 0
        if other < error or (other == error and not even):
            return False
    return True


def triples() -> list[tuple[np.float32, np.float32, np.float32]]:
    rng = np.random.default_rng(23)
    values: list[tuple[float, float, float]] = [
        (1, 1, 2.0**-24),  # a tie: to even, down
        (1, 1 + 2.0**-23, 2.0**-24),  # a tie: to even, up
        (1 + 2.0**-12, 1 + 2.0**-12, -1),  # the product's low bits survive
        (1 + 2.0**-23, 1 + 2.0**-23, 2.0**-60),  # double rounding through float64 would go to even here
        (1 + 2.0**-12, 1 - 2.0**-12, 2.0**-26),
        (4097, 4097, 2.0**-30),
        (4097, 4097, -(2.0**-30)),
        (-4097, 4097, 2.0**-30),
        (3, 5, -15),
        (0, 7, 1e-3),
        (1e-30, 1e-15, 1e-40),  # subnormal result
        (2.0**-126, 0.5, 0),
        (1, 2.0**-149, 2.0**-149),
    ]
    for _ in range(400):
        a = f32(rng.integers(0, 256))
        b = f32(rng.uniform(0.001, 4))
        tie = f32(np.floor(float(a) * float(b)) + 0.5)  # sums at and beside a multiple of a half
        values.append((float(a), float(b), float(f32(float(tie) - float(a) * float(b)))))
        values.append(
            (
                float(f32(rng.normal())),
                float(f32(rng.normal())),
                float(f32(rng.normal() * 2.0 ** rng.integers(-60, 60))),
            )
        )
    return [(f32(a), f32(b), f32(c)) for a, b, c in values]


def test_fma_rounds_once() -> None:
    wrong: list[tuple[np.float32, np.float32, np.float32]] = []
    arrays = [np.array(column, f32) for column in zip(*triples(), strict=True)]
    for a, b, c, found in zip(*arrays, numerics.fma32(*arrays), strict=True):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        if not is_nearest(exact, found):
            wrong.append((a, b, c))
    assert not wrong


def test_some_of_these_triples_need_an_fma() -> None:
    """The test above can fail: product and sum rounded one after the other, in float32 or float64, are wrong."""
    a, b, c = (np.array(column, f32) for column in zip(*triples(), strict=True))
    right = numerics.fma32(a, b, c)
    twice = (a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)).astype(f32)
    assert np.count_nonzero(a * b + c != right) > 20
    assert np.count_nonzero(twice != right) >= 1


def test_fma_broadcasts() -> None:
    assert numerics.fma32(f32(2), f32(3), f32(4)).shape == ()
    assert numerics.fma32(f32(2), f32(3), f32(4)) == 10
    assert numerics.fma32(np.ones((3, 1), f32), f32(2), np.ones(4, f32)).tolist() == [[3.0] * 4] * 3


# ------------------------------------------------------------------------------------------------- integers


@pytest.mark.parametrize(
    ("value", "wrapped"),
    [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, -(2**31)), (-(2**31) - 1, 2**31 - 1), (2**32 + 5, 5), (-(2**40), 0)],
)
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_wrap32(value: int, wrapped: int, dtype: type) -> None:
    assert numerics.wrap32(np.array([value], dtype)).tolist() == [wrapped]


@pytest.mark.parametrize(
    ("weights", "bias", "expected"),
    [
        ([[127] * 1032], 0, np.float32),  # 128 * 127 * 1032 = 2^24 - 1,024
        ([[127] * 1032], 1023, np.float32),
        ([[127] * 1032], 1024, np.float64),
        ([[127] * 1033], 0, np.float64),
        ([[1, 1], [-128] * 2], -(2**31), np.float64),
        ([[0]], 2**24 - 1, np.float32),
        ([[0]], 2**24, np.float64),
    ],
)
def test_float32_accumulates_only_where_it_is_exact(weights: list[list[int]], bias: int, expected: type) -> None:
    assert numerics.accumulator_type(np.array(weights, np.int8), np.array([bias], np.int32)) is expected


@pytest.mark.parametrize(
    "shape", [(1, 5, 3), (1000, 144, 16), (113, 144, 16), (7, 600, 300), (5, 512, 512), (40, 64, 64)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_product_in_blocks(shape: tuple[int, int, int], dtype: type) -> None:
    """One block, blocks with and without a rest, and matrices so large that a block has one row or none."""
    rows, depth, columns = shape
    rng = np.random.default_rng(5)
    a, b = rng.integers(-9, 10, (rows, depth)), rng.integers(-9, 10, (depth, columns))
    found = numerics.matrix_product(a.astype(dtype), b.astype(dtype))
    assert found.dtype == dtype
    assert np.array_equal(found, a @ b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_requantize_rounds_ties_to_even_before_it_adds_the_zero_point(dtype: type) -> None:
    to = Requantization(scale=np.array([0.5], f32), zero_point=1)
    accumulator = np.array([[-3, -1, 0, 1, 3, 5]], dtype)
    found = numerics.requantize(accumulator, np.zeros(6, np.int32), to)
    assert found.tolist() == [[-1, 1, 1, 1, 3, 3]]  # -1.5, -0.5, 0, 0.5, 1.5, 2.5 -> -2, 0, 0, 0, 2, 2


def test_requantize_converts_the_accumulator_to_float32_first() -> None:
    """2^24 + 1 is no float32: it becomes 2^24 before it is multiplied."""
    scale = np.array([2.0**-18 * (1 + 2.0**-7)], f32)
    to = Requantization(scale=scale, zero_point=0)
    found = numerics.requantize(np.array([[2.0**24 + 1]]), np.zeros(1, np.int32), to)
    assert found.tolist() == [[64]]  # exactly 64.5: to even. 2^24 + 1 unrounded would give 65


def test_requantize_clamps_with_any_scale() -> None:
    to = Requantization(scale=np.array([3e38], f32), zero_point=-7, minimum=-100, maximum=50)
    with np.errstate(over="ignore"):
        found = numerics.requantize(np.array([[-9.0, 0.0, 9.0]], f32), np.zeros(3, np.int32), to)
    assert found.tolist() == [[-100, -7, 50]]


# ------------------------------------------------------------------------------------------------- reals


def ort(op: str, x: NDArray[np.generic], scale: np.float32, zero_point: np.generic) -> NDArray[np.generic]:
    kinds = [helper.np_dtype_to_tensor_dtype(v.dtype) for v in (x, zero_point)]
    result = kinds[1] if op == "QuantizeLinear" else TensorProto.FLOAT
    constants = [numpy_helper.from_array(np.asarray(v), name) for v, name in ((scale, "s"), (zero_point, "z"))]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "s", "z"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", kinds[0], x.shape)],
        [helper.make_tensor_value_info("y", result, x.shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


SCALES = [f32(s) for s in (1, 0.5, 0.1, 0.023529414, 1 / 255, 3.0517578e-05, 1e-20, 1e20)]


@pytest.mark.parametrize(
    "zero_point", [np.int8(0), np.int8(-128), np.int8(127), np.uint8(0), np.uint8(77), np.uint8(255)]
)
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_quantize_equals_onnx_runtime(scale: np.float32, zero_point: np.generic) -> None:
    """At every tie and one unit in the last place beside, and for what is no number."""
    ties = ((np.arange(-300, 300) + 0.5) * float(scale)).astype(f32)
    special = np.array([0.0, -0.0, 1e30, -1e30, np.inf, -np.inf, np.nan, 1e-45], f32)
    x = np.concatenate([ties, np.nextafter(ties, f32(np.inf)), np.nextafter(ties, f32(-np.inf)), special])
    with np.errstate(over="ignore"):
        found = numerics.quantize(x, float(scale), int(zero_point), zero_point.dtype)
    expected = ort("QuantizeLinear", x, scale, zero_point)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("zero_point", [np.int8(0), np.int8(-128), np.int8(127), np.uint8(0), np.uint8(255)])
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_dequantize_equals_onnx_runtime(scale: np.float32, zero_point: np.generic) -> None:
    x = np.arange(256, dtype=np.uint8).view(zero_point.dtype)
    found = numerics.dequantize(x, float(scale), int(zero_point))
    assert np.array_equal(found, ort("DequantizeLinear", x, scale, zero_point))
