"""exp, log, tanh, erf, pow, sqrt and roundings: C equals NumPy in every bit, and errors are bounded."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxino import float_math
from onnxino.backends.c import PACKAGE

f32 = np.float32
Floats = NDArray[np.float32]
COMPILERS = [
    (compiler, *flags)
    for compiler in ("gcc", "clang")
    for flags in (("-O0",), ("-O2", "-ffp-contract=off"), ("-O3", "-march=native"), ("-O2", "-ffp-contract=fast"))
]
# In ulp, as docs/numerics.md states them. `make float-errors` measures every float32 value, otherwise a part is.
BOUNDS = {"exp": 0.90, "log": 0.85, "tanh": 1.40, "erf": 1.40}
EVERY = os.environ.get("ONNXINO_FLOAT_ERRORS") == "full"
FUNCTIONS = {
    "exp": float_math.exp,
    "log": float_math.log,
    "tanh": float_math.tanh,
    "erf": float_math.erf,
    "sqrt": float_math.sqrt,
    "sqrt_by_digits": float_math.sqrt,
    "floor": float_math.floor,
    "ceil": float_math.ceil,
    "round_even": float_math.round_even,
}
EDGES = [0.0, np.inf, np.nan, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, 0.5, 1.5, 2.5, 1.0, 0.625, 4.0,
         8388607.5, 8388608.0, 16777216.0, 88.72283, 88.72284, 103.97207, 103.97208, 87.33654, 0.34657359]  # fmt: skip


@pytest.fixture(scope="module", params=COMPILERS, ids=" ".join)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compiled(request.param, tmp_path_factory.mktemp("float_math"))


def compiled(command: tuple[str, ...], folder: Path) -> ctypes.CDLL:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    target = folder / "float_math.so"
    sources = [str(Path(__file__).parent / "float_math.c"), str(PACKAGE / "engine" / "float_math.c")]
    line = [*command, "-std=c11", f"-I{PACKAGE}", "-shared", "-fPIC", *sources, "-lm", "-o", str(target)]
    subprocess.run(line, check=True)
    return ctypes.CDLL(str(target))


def call(function: Any, *arrays: Floats) -> Floats:
    y = np.empty_like(arrays[0])
    function(*(ctypes.c_void_p(a.ctypes.data) for a in (*arrays, y)), ctypes.c_size_t(y.size))
    return y


def patterns(seed: int, count: int) -> Floats:
    """Random bit patterns, every exponent with them, values around 0, and edges with their neighbours of both signs."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 32, count, np.uint32).view(f32)
    edges = np.array(EDGES, f32)
    with np.errstate(over="ignore"):
        edges = np.concatenate([edges, np.nextafter(edges, f32(0)), np.nextafter(edges, f32(np.inf))])
    return np.concatenate([bits, rng.normal(0, 4, count // 2).astype(f32), edges, -edges])


def differing(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Where the bits differ; any NaN equals any other."""
    return (a.view(np.int32) != b.view(np.int32)) & ~(np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_numpy_bit_for_bit(library: ctypes.CDLL, name: str) -> None:
    x = patterns(1, 200_000)
    expected = FUNCTIONS[name](x)
    found = call(getattr(library, f"test_{name}"), x)
    assert expected.dtype == f32
    wrong = differing(expected, found)
    assert not wrong.any(), (x[wrong][:5], found[wrong][:5], expected[wrong][:5])


def powers() -> tuple[Floats, Floats]:
    """Bases and exponents: patterns, small quarters as exponents, edges with edges."""
    a, b = patterns(2, 100_000), patterns(3, 100_000)
    quarters = (np.random.default_rng(4).integers(-40, 41, len(a)) / 4).astype(f32)
    edges = np.array([*EDGES, -1.0, -0.0, 2.0, 3.0, -2.0, -3.0, -0.5, -np.inf, -1e-45, -2.5], f32)
    first, second = (m.reshape(-1) for m in np.meshgrid(edges, edges))
    return np.concatenate([a, a, first]), np.concatenate([b, quarters, second])


def test_pow_equals_numpy_bit_for_bit(library: ctypes.CDLL) -> None:
    a, b = powers()
    wrong = differing(float_math.power(a, b), call(library.test_pow, a, b))
    assert not wrong.any(), (a[wrong][:5], b[wrong][:5])


@pytest.mark.parametrize("name", BOUNDS)
def test_errors(tmp_path: Path, name: str) -> None:
    """Over every value with `make float-errors`, else over a million of them, spread evenly over the bit patterns."""
    compiler = next((c for c in ("gcc", "clang") if shutil.which(c)), "gcc")
    function = getattr(compiled((compiler, "-O2", "-ffp-contract=off"), tmp_path), f"error_of_{name}")
    function.restype = ctypes.c_double
    where = ctypes.c_uint32()
    largest = function(ctypes.c_uint32(0), ctypes.c_uint32(1 if EVERY else 4093), ctypes.byref(where))
    x = np.uint32(where.value).view(f32)
    print(f"{name}: at most {largest:.4f} ulp, at {x!r} (0x{where.value:08x})")
    assert largest <= BOUNDS[name], x
    assert largest > 0.5  # so it was measured


def test_pow_error() -> None:
    """e^(b ln a) loses what the product loses: 2 + 2.5 * abs(b ln a) ulp."""
    rng = np.random.default_rng(5)
    a = np.exp(rng.uniform(-10, 10, 200_000)).astype(f32)
    b = rng.uniform(-8, 8, 200_000).astype(f32)
    with np.errstate(all="ignore"):
        exact = np.power(a.astype(np.float64), b)
    normal = (exact > 1e-37) & (exact < 3e38)
    a, b, exact = a[normal], b[normal], exact[normal]
    error = np.abs(float_math.power(a, b) - exact) / np.spacing(exact.astype(f32)).astype(np.float64)
    size = np.abs(b * np.log(a.astype(np.float64)))
    assert np.all(error <= 2 + 2.5 * size)
    print(f"pow: at most {error.max():.1f} ulp, {(error / (1 + size)).max():.2f} * (1 + abs(b ln a))")


SPECIAL_POWERS = [
    (0.0, 2.5, 0.0), (0.0, -2.5, np.inf), (-0.0, 5.0, -0.0), (-0.0, -5.0, -np.inf), (-0.0, 4.0, 0.0),
    (-2.0, 5.0, -32.0), (-2.0, 4.0, 16.0),
    (-2.0, 0.25, np.nan), (np.nan, 0.0, 1.0), (1.0, np.nan, 1.0), (np.nan, 2.0, np.nan),
    (2.0, np.nan, np.nan), (-1.0, np.inf, 1.0), (-1.0, 16777217.0, 1.0), (-1.0, 8388609.0, -1.0), (0.5, np.inf, 0.0),
    (0.5, -np.inf, np.inf), (2.0, np.inf, np.inf), (np.inf, 0.25, np.inf), (-np.inf, 5.0, -np.inf),
    (-np.inf, 0.25, np.inf),
    (-np.inf, -5.0, -0.0), (4.0, 0.5, 2.0), (-4.0, 0.5, np.nan), (5.0, -1.0, 0.2),
    (-3.0, 3.0, -27.0), (-7.0, 1.0, -7.0),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "expected"), SPECIAL_POWERS)
def test_special_powers(a: float, b: float, expected: float) -> None:
    found = float_math.power(np.array([a], f32), np.array([b], f32))
    if np.isnan(expected) or np.isinf(expected) or expected == 0 or b in (0.5, -1.0, 1.0, 2.0, 3.0):
        assert not differing(found, np.array([expected], f32)).any(), found
    else:
        np.testing.assert_allclose(found, f32(expected), rtol=1e-6)


SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0), (89.0, np.inf), (-104.0, 0.0), (-103.9, 1e-45)],
    "log": [(1.0, 0.0), (0.0, -np.inf), (-0.0, -np.inf), (np.inf, np.inf), (-1.0, np.nan), (-np.inf, np.nan)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (np.inf, 1.0), (-np.inf, -1.0), (1e-45, 1e-45), (20.0, 1.0), (-9.5, -1.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (np.inf, 1.0), (-np.inf, -1.0), (1e-45, 1e-45), (4.0, 1.0), (-3.9999998, -1.0)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, np.nan), (-1e-45, np.nan), (9.0, 3.0)],
    "floor": [(-0.0, -0.0), (0.7, 0.0), (-0.2, -1.0), (-1.0, -1.0), (8388607.5, 8388607.0), (np.inf, np.inf)],
    "ceil": [(-0.0, -0.0), (0.2, 1.0), (-0.7, -0.0), (8388607.5, 8388608.0), (-np.inf, -np.inf)],
    "round_even": [(-0.0, -0.0), (0.5, 0.0), (-0.5, -0.0), (1.5, 2.0), (2.5, 2.0), (-3.5, -4.0), (8388609.0, 8388609)],
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name: str) -> None:
    x, expected = (np.array(column, f32) for column in zip(*SPECIAL[name], strict=True))
    found = FUNCTIONS[name](x)
    assert not differing(found, expected).any(), (x, found)
    assert np.isnan(FUNCTIONS[name](np.array([np.nan], f32)))[0]
