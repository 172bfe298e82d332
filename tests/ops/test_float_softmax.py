"""FloatSoftmax: NumPy and C in every bit, Softmax and LogSoftmax against ONNX Runtime and float64."""

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
from onnxino.schema.model import ElementType, FloatSoftmax

f32 = np.float32
FLOAT = ElementType.Float32
SHAPES = [(1,), (7,), (1, 1000), (3, 5, 10), (2, 1, 3, 1, 2, 4)]


def run(backend: str, x: oc.Floats, log: bool) -> oc.Floats:
    return oc.run_raw(backend, FloatSoftmax(log=log), [x], x.shape)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 10, 1000])
def test_backends_agree_on_a_million_values(depth: int, log: bool, c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    rows = (1 << 20) // depth
    normal = np.random.default_rng(1).normal(0, 20, (rows, depth)).astype(f32)
    mixed = np.stack([fc.values(2, (depth,), kind) for kind in ("extremes", "zeros", "subnormal", "ties")] * 100)
    patterns = fc.patterns(3, 20000)
    x = np.concatenate([normal, mixed, patterns[: len(patterns) // depth * depth].reshape(-1, depth)])
    assert oc.same_bits(run("numpy", x, log), run("c", x, log))


def reference(x: oc.Floats, log: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    shifted = x.astype(np.float64) - x.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    return shifted - np.log(total) if log else np.exp(shifted) / total


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax(shape: tuple[int, ...], scale: float, backend: str) -> None:
    """What rounds: the shift (half an ulp of it, as a share of the result), the sum, and some steps more."""
    x = fc.values(1, shape) * f32(scale)
    found = run(backend, x, log=False)
    shift = (x.max(axis=-1, keepdims=True) - x).astype(np.float64)
    bound = 4 + shift + shape[-1] / 2
    assert np.all(fc.ulps(found, reference(x, log=False)) <= bound)
    assert np.all(fc.ulps(found, oc.ort("Softmax", [None], {0: x}, axis=-1)) <= bound)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=shape[-1] * 1e-7)


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_log_softmax(shape: tuple[int, ...], scale: float, backend: str) -> None:
    """In ulp of the largest magnitude that the differences have, for near 0 they cancel."""
    x = fc.values(1, shape) * f32(scale)
    found = run(backend, x, log=True)
    floor = max(1.0, float(np.abs(found).max()), math.log(shape[-1]))
    assert fc.ulps(found, reference(x, log=True), floor).max() <= 3 + shape[-1] / 2
    assert fc.ulps(found, oc.ort("LogSoftmax", [None], {0: x}, axis=-1), floor).max() <= 3 + shape[-1] / 2


def test_sum_runs_in_index_order(backend: str) -> None:
    """2^24 small terms after a large one would vanish one by one; here 2,000, before and after."""
    small = f32(math.log(2.0**-24.5))
    x = np.full((2, 2001), small, f32)
    x[0, 0] = x[1, -1] = 0.0
    found = run(backend, x, log=False)
    assert found[0, 0] == 1.0  # each sum 1 + 2^-24.5 is rounded to 1
    assert found[1, -1] < 1.0


def test_special_rows(backend: str) -> None:
    x = np.array([[np.inf, 0], [np.nan, 0], [0, np.nan], [-np.inf, -np.inf], [-np.inf, 5], [3e38, -3e38]], f32)
    nan = [np.nan, np.nan]
    assert oc.same_bits(run(backend, x, log=False), np.array([nan, nan, nan, nan, [0, 1], [1, 0]], f32))
    logarithms = np.array([nan, nan, nan, nan, [-np.inf, 0], [0, -np.inf]], f32)
    assert oc.same_bits(run(backend, x, log=True), logarithms)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("before", [0, 16])
def test_overwrites_its_input(before: int, log: bool, backend: str) -> None:
    x = fc.values(4, (3, 5, 7))
    model = single(FloatSoftmax(log=log), [[5, 7]], [5, 7], [FLOAT], FLOAT)
    model.tensors[0].offset, model.tensors[1].offset = 16, 16 - before
    model.arena_size = 16 + 4 * 35
    data = encode(model)
    executor = open_backend(backend, load_model(data), data)
    assert oc.same_bits(executor.run([x])[0], run("numpy", x, log))


REFUSED = {
    "shape": (single(FloatSoftmax(), [[4]], [2, 2], [FLOAT], FLOAT), r"tensor 'y' has shape \[2, 2\], expected \[4\]"),
    "input": (single(FloatSoftmax(), [[4]], [4], writes=FLOAT), "tensor 'x0' is Int8, expected Float32"),
    "output": (single(FloatSoftmax(), [[4]], [4], [FLOAT]), "tensor 'y' is Int8, expected Float32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, c_backend_missing: str | None) -> None:
    fc.assert_refused(*REFUSED[name], c_backend_missing)
