"""NumPy, C on the host and the firmware in the emulator give the same bytes for the same model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxino import InferenceSession, load_model
from onnxino_converter import convert
from onnxino_tools.verify.run import random_feeds
from tests.conformance.conftest import DIGITS, FEW_INPUTS, MODELS, OTHERS, RANDOM_INPUTS, REAL_INPUTS, TRASHNET

BACKENDS = ("c", "emulator")


def assert_same_bytes(oxm: bytes, feeds: dict[str, NDArray[Any]]) -> None:
    """Device outputs of every backend equal those of the NumPy reference."""
    with InferenceSession(oxm) as reference:
        inputs = reference.to_device(feeds)
        expected = reference.backend.run(inputs)
    for name in BACKENDS:
        with InferenceSession(oxm, backend=name) as session:
            found = session.backend.run(inputs)
        for ours, theirs in zip(expected, found, strict=True):
            assert ours.size > 0
            assert np.array_equal(ours, theirs), (
                f"{name}: {np.count_nonzero(ours != theirs)} of {ours.size} bytes differ"
            )


@pytest.mark.parametrize("model_path", MODELS, indirect=True)
def test_random_inputs_give_the_same_bytes_everywhere(model_path: Path) -> None:
    oxm = convert(model_path).model
    assert_same_bytes(oxm, random_feeds(load_model(oxm), RANDOM_INPUTS))


@pytest.mark.parametrize("model_path", OTHERS, indirect=True)
def test_models_of_other_tools_give_the_same_bytes_everywhere(model_path: Path) -> None:
    oxm = convert(model_path, board=None, float=True).model
    assert_same_bytes(oxm, random_feeds(load_model(oxm), FEW_INPUTS))


def test_digits_give_the_same_bytes_everywhere() -> None:
    images = np.load(DIGITS / "digits_test.npz")["images"][:REAL_INPUTS]
    pixels = (images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    oxm = convert(DIGITS / "digits_int8.onnx").model
    assert_same_bytes(oxm, {load_model(oxm).inputs[0].name: pixels})


@pytest.mark.parametrize("model_path", [f"{name}_qdq" for name in TRASHNET], indirect=True)
def test_real_waste_gives_the_same_bytes_everywhere(model_path: Path, shared: Path) -> None:
    data = np.load(shared / "datasets" / "trashnet_64.npz")
    images = data["images"][data["split"] == "test"][:REAL_INPUTS]
    pixels = (images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    assert_same_bytes(convert(model_path).model, {"image": pixels})
