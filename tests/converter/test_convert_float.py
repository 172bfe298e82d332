"""Float models and float islands against ONNX Runtime: the same shapes and types, values within rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import odd_models
import onnxruntime
import pytest
from float_models import CASES, Builder
from odd_operators import ISLANDS
from onnx_net import ort_session

from onnxino import InferenceSession, load_model
from onnxino.schema.model import Exactness
from onnxino_converter import convert


def compare(b: Builder) -> list[tuple[Any, Any]]:
    """Pairs of outputs: ONNX Runtime's and ours."""
    model = b.model()
    expected = ort_session(model).run(None, b.feeds)
    with InferenceSession(convert(model, name="net", board=None, float=True).model) as session:
        found = session.run(None, b.feeds)
    pairs = list(zip(expected, found, strict=True))
    for theirs, ours in pairs:
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
    return pairs


@pytest.mark.parametrize(("name", "build"), CASES.items(), ids=CASES.keys())
def test_float(name: str, build: Callable[[Builder], None]) -> None:
    """A 16-bit grid inside may round the last bits of a sum to the next step."""
    b = Builder()
    build(b)
    for theirs, ours in compare(b):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1.01 * 6 / 32767 if "16-bit" in name else 2e-6)


@pytest.mark.parametrize("build", CASES.values(), ids=CASES.keys())
def test_island(build: Callable[[Builder], None]) -> None:
    """Between QuantizeLinear and DequantizeLinear: at most one step of the output's quantization apart."""
    b = Builder(quantized=True)
    build(b)
    for theirs, ours in compare(b):
        step = 9.0 / 127 if theirs.dtype == np.float32 else 0  # of the coarsest output
        reach = float(np.abs(theirs).max()) if theirs.size else 0.0
        assert np.abs(ours.astype(float) - theirs).max() <= max(step, 1.01 * reach / 127 if reach > 9 else 0)


def _quantized_ends() -> dict[str, Any]:
    """Models that are quantized only in part, or in ways that no integer kernel of ONNX Runtime takes."""
    ones = np.ones((3, 2, 1, 1), np.int8)
    wide = np.tile(np.uint8([0, 255]), 3).reshape(3, 2, 1, 1)
    return {
        "float between": odd_models.float_between,
        "float output": odd_models.float_output,
        "two quantizations": odd_models.two_quantizations,
        "weights along inputs": odd_models.weights(ones, None, [0.1, 0.2], 1),
        "weights of type int32": odd_models.weights(ones.astype(np.int32)),
        "weights that do not fit int8": odd_models.weights(wide, np.uint8(100)),
        "weights up to 255": odd_models.weights(wide, np.uint8(0), unsigned=True),
        "alpha negative": odd_models.dense(lambda n: n.dq_const(np.ones((4, 3), np.int8), 0.1), alpha=-1.0),
        "float weights": odd_models.dense(lambda n: n.const(np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3))),
        "pool of a line": odd_models.pool("MaxPool", (2, 8), kernel_shape=[2]),
    }


def _oracle(model: Any, feeds: dict[str, Any]) -> Any:
    """ONNX Runtime's result; without its rewriting where that breaks the model."""
    try:
        return ort_session(model).run(None, feeds)[0]
    except Exception:
        return _as_written(model).run(None, feeds)[0]


def _as_written(model: Any) -> Any:
    """ONNX Runtime without its rewriting."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize(("name", "build"), _quantized_ends().items(), ids=_quantized_ends().keys())
def test_partly_quantized(name: str, build: Callable[[], Any]) -> None:
    model = build()
    shape = [d.dim_value or 5 for d in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {model.graph.input[0].name: np.random.default_rng(1).uniform(-3, 3, shape).astype(np.float32)}
    expected = _oracle(model, feeds)
    converted = convert(model, name="net")
    with InferenceSession(converted.model) as session:
        found = session.run(None, feeds)[0]
    loaded = load_model(converted.model)
    exact = all(operator.exactness == Exactness.Exact for operator in loaded.operators)
    assert found.dtype == expected.dtype
    assert np.abs(found - expected).max() <= (0 if exact else 0.051)
    assert exact or "weights up to" not in name


@pytest.mark.parametrize(("name", "build"), ISLANDS.items(), ids=ISLANDS.keys())
def test_operands_of_no_integer_kernel(name: str, build: Callable[[], Any]) -> None:
    """A batch of one, several times. ONNX Runtime's own fusion lets a bias overflow that no int32 holds."""
    model = build()
    oracle = _as_written(model) if name == "bias overflows" else ort_session(model)
    generator = np.random.default_rng(1)
    converted = convert(model, name="net", board=None)
    loaded = load_model(converted.model)
    exact = all(operator.exactness == Exactness.Exact for operator in loaded.operators)
    assert exact == (name == "float weights of a convolution")  # which ONNX Runtime quantizes, too
    with InferenceSession(converted.model) as session:
        for _ in range(16):
            feeds = {
                port.name: generator.uniform(-3, 3, [d.dim_value or 1 for d in port.type.tensor_type.shape.dim])
                for port in model.graph.input
            }
            feeds = {port: value.astype(np.float32) for port, value in feeds.items()}
            expected, found = oracle.run(None, feeds)[0], session.run(None, feeds)[0]
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() <= (0 if exact else 0.051)
