"""Against ONNX Runtime: zero differing bytes where it computes on integers, one step at most where in float32."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxino import InferenceSession, load_model
from onnxino_converter import convert
from onnxino_tools.verify.oracle import Oracle, load
from onnxino_tools.verify.run import random_feeds, verify
from tests.conformance.conftest import FULL, MODELS, RANDOM_INPUTS, REAL_INPUTS

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")


@pytest.mark.parametrize("model_path", MODELS, indirect=True)
def test_every_operator_keeps_its_promise(model_path: Path) -> None:
    oxm = convert(model_path).model
    report, _ = verify(load(model_path), oxm, random_feeds(load_model(oxm), RANDOM_INPUTS, seed=1), ["numpy"])
    broken = [o for o in report.operators if not o.kept]
    assert not broken, json.dumps([vars(o) for o in broken], indent=1)
    assert not report.not_located
    assert len(report.operators) == len(load_model(oxm).operators)
    assert sum(o.bytes_compared for o in report.operators) > 0


def test_the_trained_waste_sorter_gives_onnxruntimes_bytes_and_classes(shared: Path) -> None:
    path = shared / "models" / "trashnet" / "base_qdq.onnx"
    data = np.load(shared / "datasets" / "trashnet_64.npz")
    images = data["images"][data["split"] == "test"][:REAL_INPUTS]
    pixels = (images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    oracle = Oracle(load(path))
    expected = np.concatenate([oracle.run({"image": pixels[i : i + 1]})[0] for i in range(len(pixels))])
    with InferenceSession(convert(path).model, backend="emulator" if FULL else "numpy") as session:
        found = session.run(None, {"image": pixels})[0]
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.array_equal(found, expected)
