"""Float models and float islands against ONNX Runtime: the same shapes and types, values within rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from float_models import CASES, Builder
from onnx_net import ort_session

from onnxino import InferenceSession
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
