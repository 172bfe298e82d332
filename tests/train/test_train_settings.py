"""The settings of a training, and what happens without PyTorch. Runs without it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import onnxino_tools.train
from onnxino.errors import InputError, MissingExtraError
from onnxino_tools.train import AUGMENTATIONS, Epoch, History, Training

ROOT = Path(__file__).resolve().parents[2]

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"epochs": 0}, "epochs is 0; expected a whole number of 1 or more", "epochs = 10"),
    ({"epochs": 2.5}, "epochs is 2.5; expected a whole number", "epochs = 10"),
    ({"epochs": True}, "epochs is True; expected a whole number", "epochs = 10"),
    ({"batch": 1}, "batch is 1; expected a whole number of 2 or more", "batch = 64"),
    ({"learning_rate": 0}, "learning_rate is 0; expected a number above 0", "learning_rate = 0.003"),
    ({"learning_rate": float("nan")}, "learning_rate is nan; expected", "0.003"),
    ({"learning_rate": "fast"}, "learning_rate is 'fast'; expected", "0.003"),
    ({"weight_decay": -1}, "weight_decay is -1; expected a number of 0 or more", "0.01"),
    ({"warmup": -0.5}, "warmup is -0.5; expected a number of 0 or more", "0"),
    ({"warmup": 11}, "warmup is 11 epochs, the whole training 10", "warmup = 1"),
    ({"label_smoothing": 1}, "label_smoothing is 1; expected a number from 0 below 1", "0"),
    ({"mixup": -0.1}, "mixup is -0.1; expected a number of 0 or more", "0"),
    ({"cutmix": -0.1}, "cutmix is -0.1; expected a number of 0 or more", "0"),
    ({"patience": -1}, "patience is -1; expected a whole number of 0 or more", "0"),
    ({"seed": -1}, "seed is -1; expected a whole number from 0 below", "0"),
    ({"temperature": 0}, "temperature is 0; expected a number above 0", "4"),
    ({"alpha": 1.5}, "alpha is 1.5; expected a number from 0 to 1", "0.9"),
    ({"momentum": 1}, "momentum is 1; expected a number from 0 below 1", "0.9"),
    ({"ema": 1}, "ema is 1; expected a number from 0 below 1", "0"),
    ({"optimizer": "adam"}, "optimizer is 'adam'; expected one of sgd, adamw", "did you mean adamw?"),
    ({"schedule": "step"}, "schedule is 'step'; expected one of cosine, constant", ""),
    ({"layout": "chw"}, "layout is 'chw'; expected one of auto, nchw, nhwc", "did you mean nchw?"),
    ({"augment": ("flipp",)}, "an augmentation is 'flipp'; expected one of flip, ", "did you mean flip?"),
    ({"augment": "flip"}, "augment is 'flip'; expected a list of names", "['flip', 'shift']"),
    ({"augment": ["mixup"]}, "mixup is a setting of its own, no name in augment", "mixup = 0.2"),
    ({"feature_weight": 1}, "there is no feature_layers", "feature_weight = 1.0"),
    ({"feature_layers": [["a", "b"]]}, "there is no feature_weight", "feature_weight = 1.0"),
    ({"feature_layers": "a", "feature_weight": 1}, "feature_layers is 'a'; expected a list of pairs", "[['student"),
    ({"feature_layers": [["a"]], "feature_weight": 1}, "holds ['a']; expected a pair of names", "[['student"),
]


@pytest.mark.parametrize(("values", "message", "hint"), WRONG, ids=[str(case[0]) for case in WRONG])
def test_values_out_of_range_are_refused(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        Training(**values)
    assert hint in (caught.value.hint or "")


def test_lists_out_of_toml_become_tuples() -> None:
    settings = Training(augment=["erase", "flip", "flip"], feature_weight=1, feature_layers=[["a", "b"]])  # pyright: ignore[reportArgumentType]
    assert settings.augment == ("flip", "erase")
    assert settings.feature_layers == (("a", "b"),)
    assert Training(augment=AUGMENTATIONS).augment == AUGMENTATIONS
    hash(settings)


def test_history() -> None:
    epochs = [Epoch(1, 2.0, 0.5, 1.0, 0.6, 0.1, 3.0), Epoch(2, 1.0, 0.6, 0.9, 0.7, 0.1, 4.0)]
    history = History(epochs, 1)
    assert history.best is epochs[0]
    assert history.seconds == 7.0
    assert history.as_dict()["epochs"][1]["validation_accuracy"] == 0.7
    assert history.as_dict()["seconds"] == 7.0


def test_without_pytorch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxino_tools.train, "find_spec", lambda name: None)
    for name in ("fit", "to_module", "from_module", "taylor_scores", "evaluate", "OnnxModule", "Arrays", "Score"):
        with pytest.raises(MissingExtraError, match="training needs the extra 'train'") as caught:
            getattr(onnxino_tools.train, name)
        assert caught.value.hint == "pip install 'onnxino[train]'"
    with pytest.raises(MissingExtraError, match="Distilling needs the extra 'train'"):
        onnxino_tools.train.require_torch("Distilling")


def test_unknown_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match=r"'onnxino_tools\.train' has no attribute 'nothing'"):
        onnxino_tools.train.nothing  # noqa: B018


def test_settings_need_no_pytorch() -> None:
    code = "import sys, onnxino_tools.train as t; t.Training(); print('torch' in sys.modules, 'onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_nothing_else_imports_pytorch() -> None:
    """The converter and the runtime must go on to need NumPy, onnx and flatbuffers alone."""
    found = [
        str(path.relative_to(ROOT))
        for folder in ("runtime", "converter", "tools")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import torch|from torch)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found
    assert all(Path(path).is_relative_to("tools/onnxino_tools/train") for path in found), found
