"""The textbook case: ResNet-18 as torchvision builds it, half of its channels pruned by L1, and what does not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxino.boards import NANO33BLE
from tests.converter.prune.resnet18 import resnet18
from tests.tools.conftest import Command


@pytest.mark.slow
def test_resnet18_is_pruned_and_says_by_how_much_it_does_not_fit(onnxino: Command, tmp_path: Path) -> None:
    """All of its 11.7 million parameters, random, for 1,000 classes; on images of 224x224."""
    model, data, out = tmp_path / "resnet18.onnx", tmp_path / "images.npz", tmp_path / "out"
    onnx.save(resnet18(), model)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    np.savez(data, images=pixels, labels=np.array([0, 999]), split=np.array(["train", "val"]))
    code, text, err = onnxino("compress", model, "--data", data, "--prune", 0.5, "--json", "-o", out)
    assert code == 0, err
    held = json.loads(text)
    original, pruned, quantized = held["stages"]
    assert original["parameters"] == 11_678_912  # weights, without biases and normalizations, which fold into them
    assert pruned["parameters"] < 0.28 * original["parameters"]
    assert pruned["macs"] < 0.29 * original["macs"]
    assert quantized["weight_bytes"] < 0.07 * original["weight_bytes"]
    assert {(c["before"], c["after"]) for c in held["changes"]} == {(64, 32), (128, 64), (256, 128), (512, 256)}
    assert [entry["node"] for entry in held["skipped"]] == ["fc"]
    assert held["fits"] is False
    flash = re.search(r"takes ([\d,]+) bytes of flash, ([\d,]+) more than the ([\d,]+) there are", held["misfit"])
    ram = re.search(r"takes ([\d,]+) bytes of RAM, ([\d,]+) more than the ([\d,]+) there are", held["misfit"])
    assert flash is not None
    assert ram is not None
    for found, taken, room in (
        (flash, quantized["oxm_bytes"], NANO33BLE.model_size),
        (ram, quantized["arena_bytes"], NANO33BLE.arena_size),
    ):
        assert [int(number.replace(",", "")) for number in found.groups()] == [taken, taken - room, room]
    assert quantized["latency_ms"] is None
