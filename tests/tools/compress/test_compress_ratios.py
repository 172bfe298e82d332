"""Ratios for single layers, however they are named, over the steps of a schedule; and options over a wrong recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxino_tools.compress import compress
from tests.tools.conftest import Command

STEPS: dict[str, Any] = {"schedule": "iterative", "steps": 3}


@pytest.mark.parametrize("ratio", [{"conv1": 0.5, "conv2": 0.25}, {"conv1.w": 0.5, "conv2.w": 0.25}])
def test_layers_lose_as_much_in_steps_as_at_once(network: onnx.ModelProto, data: Path, ratio: Any) -> None:
    """Named by their weights they lost their share again in each step."""
    for schedule in ({}, STEPS):
        result = compress(network, data, {"prune": {"ratio": ratio, **schedule}}, latency=False)
        assert [(c.name, c.after) for c in result.changes] == [("conv1", 4), ("conv2", 9)]


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("fine_tune = 3", ["--teacher", "t.onnx"], "the recipe's 'fine_tune' is 3; expected a section [fine_tune]"),
        ("prune = 5", ["--prune", "0.5"], "the recipe's 'prune' is 5; expected a section [prune]"),
        ("prune = 5", ["--prune", "2:4"], "the recipe's 'prune' is 5; expected a section [prune]"),
    ],
)
def test_options_beside_what_is_no_section(
    onnxino: Command, model: Path, data: Path, tmp_path: Path, recipe: str, options: list[str], message: str
) -> None:
    (tmp_path / "r.toml").write_text(recipe + "\n")
    out = tmp_path / "out"
    code, _, err = onnxino("compress", model, "--data", data, "--recipe", tmp_path / "r.toml", *options, "-o", out)
    assert code == 1
    assert message in err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--prune", "half"], "'half' is no share such as 0.5, no N:M such as 2:4, and not auto"),
        (["--target-macs", "1e6"], "'1e6' is no whole number of 1 or more"),
        (["--target-weights", "0"], "'0' is no whole number of 1 or more"),
    ],
)
def test_options_that_are_no_numbers(
    onnxino: Command, model: Path, data: Path, tmp_path: Path, option: list[str], message: str
) -> None:
    code, _, err = onnxino("compress", model, "--data", data, "-o", tmp_path / "out", *option)
    assert code == 2
    assert message in err
