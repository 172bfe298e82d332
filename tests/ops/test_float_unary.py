"""FloatUnary: NumPy and C in every bit on a million patterns, and each function against ONNX Runtime and float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest
from model_builder import single
from numpy.typing import NDArray

from onnxino.backends import open_backend
from onnxino.errors import ModelError
from onnxino.model import load_model
from onnxino.schema.codec import encode
from onnxino.schema.model import ElementType, FloatUnary, UnaryFunction

f32 = np.float32
Doubles = NDArray[np.float64]
FLOAT = ElementType.Float32


@dataclass(frozen=True)
class Case:
    """One ONNX operator, and how far ONNX Runtime may be: in ulp of the result, or of `floor` where that is larger."""

    kernel: FloatUnary
    op: str
    ulps: float = 0
    floor: float = 0
    opset: int = 13
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


def case(function: UnaryFunction, op: str = "", **fields: Any) -> Case:
    """ONNX's alpha, beta and gamma are the kernel's alpha and beta."""
    attributes: dict[str, float] = fields.get("attributes", {})
    beta = attributes.get("gamma", attributes.get("beta", 0.0))
    kernel = FloatUnary(function=function, alpha=attributes.get("alpha", 0.0), beta=beta)
    return Case(kernel, op or function.name, **fields)


U = UnaryFunction
CASES = {
    c.op: c
    for c in (
        Case(FloatUnary(function=U.Clamp, alpha=0.0, beta=math.inf), "Relu"),
        case(U.Sigmoid, ulps=4, floor=1),
        case(U.Tanh, ulps=4, floor=1),
        case(U.Exp, ulps=3),
        case(U.Log, ulps=4),
        case(U.Sqrt),
        case(U.Abs),
        case(U.Neg),
        case(U.Reciprocal),
        case(U.Erf, ulps=4, floor=1),
        case(U.Elu, ulps=4, floor=1, attributes={"alpha": 1.3}),
        case(U.Selu, ulps=4, floor=1, attributes={"alpha": 1.67, "gamma": 1.05}),
        case(U.LeakyRelu, opset=16, attributes={"alpha": 0.1}),
        case(U.HardSigmoid, attributes={"alpha": 0.3, "beta": 0.4}),
        case(U.HardSwish, opset=14),
        case(U.Softplus, ulps=4, floor=1),
        case(U.Softsign, ulps=6),
        case(U.Gelu, ulps=4, floor=1, opset=20),
        case(U.Floor),
        case(U.Ceil),
        case(U.Round),
        case(U.Sign),
    )
}


def run(backend: str, kernel: FloatUnary, x: oc.Floats) -> oc.Floats:
    return oc.run_raw(backend, kernel, [x], x.shape)


def operands() -> oc.Floats:
    normal = [np.random.default_rng(7).normal(0, scale, 4000).astype(f32) for scale in (0.01, 0.3, 1, 4, 30)]
    return np.concatenate([*normal, fc.patterns(8, 4000)])


def test_every_function_has_a_case() -> None:
    assert {c.kernel.function for c in CASES.values()} == set(UnaryFunction)


@pytest.mark.parametrize("op", CASES)
def test_backends_agree_on_a_million_values(op: str, c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    x = np.concatenate([fc.patterns(1, 1 << 20), operands()])
    found, expected = (run(name, CASES[op].kernel, x) for name in ("c", "numpy"))
    assert oc.same_bits(found, expected)
    assert len(np.unique(found[~np.isnan(found)])) >= 3


@pytest.mark.parametrize("op", CASES)
def test_near_onnx_runtime(op: str) -> None:
    """Equal in every bit where no error is allowed; infinities and NaN are the same in any case."""
    c, x = CASES[op], operands()
    expected = oc.ort(op, [None], {0: x}, opset=c.opset, **c.attributes)
    found = run("numpy", c.kernel, x)
    if not c.ulps:
        assert oc.same_bits(found, expected)
    assert fc.ulps(found, expected, c.floor).max() <= c.ulps


def sigmoid(x: Doubles) -> Doubles:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def gelu(x: Doubles) -> Doubles:
    return 0.5 * x * (1 + np.array([math.erf(v / math.sqrt(2)) for v in x]))


# In ulp of the result, or of `floor` where that is larger; docs/numerics.md states the same.
EXACT: dict[str, tuple[Callable[[Doubles], Doubles], float, float]] = {
    "Sigmoid": (sigmoid, 2.5, 0),
    "Elu": (lambda x: np.where(x >= 0, x, f32(1.3) * np.expm1(x)), 2.0, 1),
    "Selu": (lambda x: f32(1.05) * np.where(x > 0, x, f32(1.67) * np.expm1(x)), 2.5, 1),
    "Softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), 1.5, 1),
    "Softsign": (lambda x: x / (1 + np.abs(x)), 1.5, 0),
    "Gelu": (gelu, 1.5, 1),
    "HardSwish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), 2.5, 1),
}


@pytest.mark.parametrize("op", EXACT)
def test_errors(op: str) -> None:
    function, bound, floor = EXACT[op]
    x = np.concatenate(
        [np.random.default_rng(9).normal(0, scale, 40_000).astype(f32) for scale in (0.01, 0.3, 1, 4, 30)]
    )
    found = run("numpy", CASES[op].kernel, x)
    assert fc.ulps(found, function(x.astype(np.float64)), floor).max() <= bound


SPECIAL = {
    "Sigmoid": [(0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0), (np.nan, np.nan), (-110.0, 0.0), (110.0, 1.0)],
    "Relu": [(-0.0, -0.0), (-1e-45, 0.0), (np.nan, np.nan), (np.inf, np.inf), (-np.inf, 0.0)],
    "Softplus": [(-np.inf, 0.0), (np.inf, np.inf), (1000.0, 1000.0), (-1000.0, 0.0), (0.0, 0.6931472)],
    "Elu": [(-np.inf, -1.3), (np.inf, np.inf), (-0.0, -0.0)],
    "Selu": [(-np.inf, float(f32(1.05) * -f32(1.67))), (np.inf, np.inf)],
    "HardSwish": [(np.inf, np.inf), (-np.inf, np.nan), (-3.0, -0.0), (3.0, 3.0)],
    "Softsign": [(np.inf, np.nan), (3.0, 0.75), (-0.0, -0.0)],
    "Sign": [(-0.0, 0.0), (0.0, 0.0), (1e-45, 1.0), (-np.inf, -1.0)],
    "Neg": [(0.0, -0.0), (-0.0, 0.0)],
    "Reciprocal": [(0.0, np.inf), (-0.0, -np.inf), (np.inf, 0.0), (3e38, 3.3333334e-39)],
    "Round": [(0.5, 0.0), (-0.5, -0.0), (1.5, 2.0), (2.5, 2.0)],
}  # fmt: skip


@pytest.mark.parametrize("op", SPECIAL)
def test_special_values(op: str, backend: str) -> None:
    x, expected = (np.array(column, f32) for column in zip(*SPECIAL[op], strict=True))
    assert oc.same_bits(run(backend, CASES[op].kernel, x), expected)


@pytest.mark.parametrize("limits", [(-1.0, 6.0), (-math.inf, 0.5), (2.0, 2.0), (-0.0, 0.0), (-math.inf, math.inf)])
def test_clamp(limits: tuple[float, float], backend: str) -> None:
    x = operands()
    found = run(backend, FloatUnary(function=U.Clamp, alpha=limits[0], beta=limits[1]), x)
    assert np.array_equal(np.isnan(found), np.isnan(x))
    assert np.array_equal(found, np.clip(x, *(f32(v) for v in limits)), equal_nan=True)


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3, 4, 5), (1, 1, 1, 1, 1, 3)], ids=str)
@pytest.mark.parametrize("before", [0, 16])
def test_overwrites_its_input(shape: tuple[int, ...], before: int, backend: str) -> None:
    x = fc.values(4, (3, *shape))
    kernel = CASES["Sigmoid"].kernel
    model = single(kernel, [shape], shape, [FLOAT], FLOAT)
    model.tensors[0].offset, model.tensors[1].offset = 16, 16 - before
    model.arena_size = 16 + 4 * math.prod(shape)
    data = encode(model)
    executor = open_backend(backend, load_model(data), data)
    assert oc.same_bits(executor.run([x])[0], run("numpy", kernel, x.reshape(-1)).reshape(x.shape))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FloatUnary(alpha=1.0, beta=-1.0), "its clamp begins at 1.0 and ends at -1.0"),
        (FloatUnary(function=U.Elu, alpha=math.nan), "alpha is nan, expected a number"),
        (FloatUnary(function=U.Selu, beta=math.nan), "beta is nan, expected a number"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_attributes_must_be_numbers(wrong: FloatUnary, message: str, c_backend_missing: str | None) -> None:
    fc.assert_refused(single(wrong, [[4]], [4], [FLOAT], FLOAT), message, c_backend_missing)


@pytest.mark.parametrize(
    ("reads", "writes", "output", "message"),
    [
        (ElementType.Int8, FLOAT, [4], "tensor 'x0' is Int8, expected Float32"),
        (FLOAT, ElementType.Int8, [4], "tensor 'y' is Int8, expected Float32"),
        (FLOAT, FLOAT, [2, 2], r"tensor 'y' has shape \[2, 2\], expected \[4\]"),
    ],
)
def test_tensors_must_fit(
    reads: ElementType, writes: ElementType, output: list[int], message: str, c_backend_missing: str | None
) -> None:
    fc.assert_refused(single(CASES["Exp"].kernel, [[4]], output, [reads], writes), message, c_backend_missing)


def test_one_input_only() -> None:
    with pytest.raises(ModelError, match="it has 2 inputs, expected 1"):
        load_model(encode(single(CASES["Exp"].kernel, [[4], [4]], [4], [FLOAT, FLOAT], FLOAT)))
