"""The float helpers of the C runtime against exact rational arithmetic, with every compiler and optimization."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxino.backends.c import PACKAGE
from onnxino.numerics import fma32

f32 = np.float32
Array = np.ndarray[Any, Any]
COMPILERS = [
    (compiler, *flags)
    for compiler in ("gcc", "clang")
    for flags in (("-O0",), ("-O2", "-ffp-contract=off"), ("-O3", "-march=native"), ("-O2", "-ffp-contract=fast"))
]


@pytest.fixture(scope="module", params=COMPILERS, ids=" ".join)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler, *flags = request.param
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    target = tmp_path_factory.mktemp("numeric") / "numeric.so"
    source = Path(__file__).parent / "numeric.c"
    command = [compiler, "-std=c11", *flags, f"-I{PACKAGE}", "-shared", "-fPIC", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(target))


def pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def nearest(value: Fraction) -> Any:
    """The float32 nearest to a rational, ties to even, found by comparing exact values."""
    guess = f32(float(value))
    around = [np.nextafter(guess, f32(-np.inf)), guess, np.nextafter(guess, f32(np.inf))]
    return min(around, key=lambda v: (abs(Fraction(float(v)) - value), int(np.asarray(v).view(np.uint32)) & 1))


def test_rint(library: ctypes.CDLL) -> None:
    halves = np.arange(-1024, 1024).astype(f32) / f32(2)
    v = np.concatenate([halves, np.nextafter(halves, f32(np.inf)), np.nextafter(halves, f32(-np.inf)),
                        f32([4194303.5, -4194303.5, 4194304.0, 1e-45, -0.0])])  # fmt: skip
    out = np.empty(len(v), np.int32)
    library.test_rint(pointer(v), pointer(out), ctypes.c_size_t(len(v)))
    np.testing.assert_array_equal(out, np.rint(v).astype(np.int32))


def fma_cases() -> tuple[Array, Array, Array]:
    """Domain values times scales plus constants that nearly cancel or nearly tie; random and tiny floats."""
    rng = np.random.default_rng(9)
    n = 1500
    a = rng.integers(0, 256, n).astype(f32)
    b = (rng.integers(1, 1 << 24, n) * 2.0 ** rng.integers(-40, -10, n)).astype(f32)
    product = a.astype(np.float64) * b
    c = np.where(rng.random(n) < 0.5, rng.integers(-300, 300, n) + 0.5 - product, -product).astype(f32)
    x, y, z = ((rng.standard_normal(n) * 2.0 ** rng.integers(-60, 60, n)).astype(f32) for _ in range(3))
    tiny = f32(1e-45) * np.arange(n).astype(f32)
    return np.concatenate([a, x, tiny]), np.concatenate([b, y, np.full(n, f32(0.5))]), np.concatenate([c, z, tiny])


def test_fma(library: ctypes.CDLL) -> None:
    a, b, c = fma_cases()
    out = np.empty(len(a), f32)
    library.test_fma(pointer(a), pointer(b), pointer(c), pointer(out), ctypes.c_size_t(len(a)))
    rounded_twice = 0
    for i in range(len(a)):
        exact = Fraction(float(a[i])) * Fraction(float(b[i])) + Fraction(float(c[i]))
        assert out[i] == nearest(exact), (a[i], b[i], c[i])
        rounded_twice += bool(a[i] * b[i] + c[i] != out[i])
    assert rounded_twice > 500  # so the cases tell a fused from an unfused sum


# a, b, c as integer significand and exponent, the right bits. The exact sum lies beside the middle between two float32,
# by less than float64 can tell: rounded to float64 first, it is the middle, and the tie goes to even.
ROUNDED_TWICE = {
    "just above": ((16773121, -30), (4097, -30), (1, 0), 0x3F800001),
    "just above, negative": ((-16773121, -30), (4097, -30), (-1, 0), 0xBF800001),
    "just below": ((262143, -30), (262145, -30), (8388609, -23), 0x3F800001),
    "just below, negative": ((262143, -30), (-262145, -30), (-8388609, -23), 0xBF800001),
}


@pytest.mark.parametrize("name", ROUNDED_TWICE)
def test_fma_where_float64_makes_a_tie(library: ctypes.CDLL, name: str) -> None:
    *values, wanted = ROUNDED_TWICE[name]
    a, b, c = (f32([s * 2.0**e]) for s, e in values)
    assert (a.astype(np.float64) * b + c).astype(f32).view(np.uint32)[0] != wanted
    out = np.empty(1, f32)
    library.test_fma(pointer(a), pointer(b), pointer(c), pointer(out), ctypes.c_size_t(1))
    assert hex(out.view(np.uint32)[0]) == hex(wanted)
    assert hex(fma32(a, b, c).view(np.uint32)[0]) == hex(wanted)


def test_fma_of_infinite_sums(library: ctypes.CDLL) -> None:
    a, b, c = f32([3e38, -3e38, 3e38]), f32([3e38, 3e38, 1]), f32([np.inf, -np.inf, 3e38])
    out = np.empty(3, f32)
    library.test_fma(pointer(a), pointer(b), pointer(c), pointer(out), ctypes.c_size_t(3))
    np.testing.assert_array_equal(out, f32([np.inf, -np.inf, np.inf]))


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 3, 127])
def test_requantize(library: ctypes.CDLL, zero_point: int) -> None:
    rng = np.random.default_rng(10)
    n = 20000
    acc = np.concatenate([rng.integers(-(2**31), 2**31, n), rng.integers(-600, 600, n)]).astype(np.int32)
    scale = np.concatenate([rng.choice([1e-8, 3e-8, 5e30, 1e-42], n), rng.choice([0.5, 0.25, 0.1, 1.0], n)]).astype(f32)
    out = np.empty(2 * n, np.int8)
    library.test_requantize(
        pointer(acc), pointer(scale), pointer(out), ctypes.c_size_t(2 * n), ctypes.c_int32(zero_point)
    )
    with np.errstate(over="ignore"):
        expected = np.clip(np.rint(acc.astype(f32) * scale).astype(np.float64) + zero_point, -128, 127)
    np.testing.assert_array_equal(out, expected.astype(np.int8))
