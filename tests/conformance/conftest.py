"""The models that must agree everywhere, and how much of the work an ordinary test run does.

`make conformance` sets ONNXINO_CONFORMANCE=full: 64 random inputs and every real test image on each model. Without it
each model gets a few inputs, which takes seconds.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FULL = os.environ.get("ONNXINO_CONFORMANCE") == "full"
RANDOM_INPUTS = 64 if FULL else 3
REAL_INPUTS = None if FULL else 8

MLPERF = ("ic", "vww", "kws", "ad")
TRASHNET = ("base", "struct30", "struct50", "unstruct50", "unstruct80")
MODELS = ("digits", *MLPERF, *(f"{name}_qdq" for name in TRASHNET))
DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture
def model_path(request: pytest.FixtureRequest) -> Path:
    """Path of the model that a test is parametrized with (indirectly)."""
    name = str(request.param)
    if name == "digits":
        return DIGITS / "digits_int8.onnx"
    shared: Path = request.getfixturevalue("shared")
    return shared / "models" / ("mlperf_tiny" if name in MLPERF else "trashnet") / f"{name}.onnx"
