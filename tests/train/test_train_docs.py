"""docs/training.md: its example runs, and its lists are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino_tools.train import AUGMENTATIONS, Training  # noqa: E402
from onnxino_tools.train.operators import OPERATORS  # noqa: E402
from tests.train.networks import classifier, onnxruntime_of  # noqa: E402

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def test_operators_are_listed() -> None:
    listed = TEXT.split("Operators: ", 1)[1].split(".\n", 1)[0].replace("\n", " ").split(", ")
    assert [name.strip() for name in listed] == sorted(OPERATORS)


def test_augmentations_are_listed() -> None:
    rows = TEXT.split("| augmentation |", 1)[1].split("\n\n", 1)[0]
    assert tuple(re.findall(r"`([a-z0-9-]+)`", rows)) == AUGMENTATIONS


def test_settings_are_listed() -> None:
    rows = TEXT.split("| setting |", 1)[1].split("\n\n", 1)[0]
    assert not [name for name in Training.__dataclass_fields__ if f"`{name}`" not in rows]


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, channels in (("student", 4), ("teacher", 8)):
        onnx.save(classifier(6, channels, ("N", 3, 24, 24)), f"{name}.onnx")
    images = rng.integers(0, 256, (60, 24, 24, 3), np.uint8)
    np.savez("data.npz", images=images, labels=rng.integers(0, 6, 60), split=np.repeat(["train", "val"], [40, 20]))
    block = next(part for part in re.split(r"\n\n(?! {4})", TEXT) if "import to_module" in part or "to_module(" in part)
    lines = [line[4:] for line in block.split("\n") if line.startswith("    ") and "pip install" not in line]
    code = "\n".join(lines)
    assert "epochs=20" in code
    exec(code.replace("epochs=20", "epochs=2"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]
    assert onnxruntime_of(onnx.load("trained.onnx"), np.zeros((2, 3, 24, 24), np.float32)).shape == (2, 6)
