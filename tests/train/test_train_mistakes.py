"""Mistakes in what a training is given: what was found, what was expected, and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import InputError  # noqa: E402
from onnxino_tools.train import Progress, Training, fit, to_module  # noqa: E402
from tests.train.networks import classifier, content, patterns, small  # noqa: E402

QUICK = Training(epochs=3, batch=16, learning_rate=0.02, seed=5)
DATA = patterns(96), patterns(48, seed=1)


def _fit(images: Any = None, labels: Any = None, settings: Training = QUICK, **more: Any) -> None:
    good = DATA[0]
    data = (good[0] if images is None else images, good[1] if labels is None else labels)
    fit(to_module(small()), data, DATA[1], settings, **more)


MISTAKES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "labels too great": (
        {"labels": np.full(96, 6)},
        r"the training labels go from 6 to 6; the model has 3 outputs, so 0 to 2 were expected",
        "made for these classes",
    ),
    "negative labels": ({"labels": DATA[0][1] - 1}, r"the training labels go from -1 to 1", None),
    "one-hot labels": ({"labels": np.eye(3)[DATA[0][1]]}, r"labels are float64 \[96, 3\]", "argmax"),
    "float labels": ({"labels": DATA[0][1] * 1.0}, r"labels are float64 \[96\]; expected whole numbers", None),
    "no samples": (
        {"images": DATA[0][0][:0], "labels": DATA[0][1][:0]},
        "there are no training samples",
        "at least one image",
    ),
    "one sample": ({"images": DATA[0][0][:1], "labels": DATA[0][1][:1]}, "there is one training sample", None),
    "other numbers": ({"labels": DATA[0][1][:9]}, "there are 96 training images and 9 labels", None),
    "bytes": ({"images": np.zeros((96, 1, 8, 8), np.uint8)}, "the training images are uint8; expected float32", "255"),
    "other shape": (
        {"images": np.zeros((96, 1, 9, 8), np.float32)},
        r"the training images are \[96, 1, 9, 8\]; the model takes \[N, 1, 8, 8\]",
        "resize",
    ),
    "channels last": (
        {"images": np.zeros((96, 8, 8, 1), np.float32)},
        r"the training images are \[96, 8, 8, 1\]",
        "images.transpose(0, 3, 1, 2)",
    ),
    "other rank": ({"images": np.zeros((96, 64), np.float32)}, r"the training images are \[96, 64\]", None),
    "not finite": ({"images": np.full((96, 1, 8, 8), np.nan, np.float32)}, "images hold NaN or infinity", None),
    "diverged": (
        {"settings": replace(QUICK, optimizer="sgd", learning_rate=1e30)},
        r"the training diverged: in epoch 1 the loss is \w+, with a learning rate of 1e\+30",
        "learning_rate = 1e+29",
    ),
    "teacher of other classes": (
        {"teacher": small(classes=4)},
        "the teacher has 4 classes, the student 3",
        "the same classes",
    ),
    "teacher of other images": (
        {"teacher": classifier(3)},
        r"the teacher does not take images of \[2, 1, 8, 8\]: ",
        None,
    ),
    "features without a teacher": (
        {"settings": replace(QUICK, feature_weight=1.0, feature_layers=(("relu2", "relu2"),))},
        "feature matching needs a teacher",
        None,
    ),
    "unknown layer": (
        {"settings": replace(QUICK, feature_weight=1.0, feature_layers=(("relu", "relu2"),)), "teacher": small()},
        "the student has no layer 'relu'",
        "relu2",
    ),
    "features of other ranks": (
        {"settings": replace(QUICK, feature_weight=1.0, feature_layers=(("relu2", "flatten4"),)), "teacher": small()},
        r"a student's features \[2, 4, 8, 8\] and a teacher's \[2, 64\] do not go together",
        "both give",
    ),
    "unknown mask": (
        {"masks": {"head5.weigt": np.ones((3, 64), bool)}},
        "there is a mask for 'head5.weigt', which is no parameter",
        "did you mean 'head5.weight'?",
    ),
    "mask of another shape": (
        {"masks": {"head5.weight": np.ones((3, 63), bool)}},
        r"the mask for 'head5.weight' is \[3, 63\], the parameter \[3, 64\]",
        None,
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str) -> None:
    arguments, message, hint = MISTAKES[case]
    with pytest.raises(InputError, match=message) as caught:
        _fit(**arguments)
    assert (hint or "") in (caught.value.hint or "")


def test_validation_labels_and_patience_are_checked() -> None:
    with pytest.raises(InputError, match="the validation labels go from 7 to 7"):
        fit(to_module(small()), DATA[0], (DATA[1][0], np.full(48, 7)), QUICK)
    with pytest.raises(InputError, match="patience needs validation data"):
        fit(to_module(small()), DATA[0], None, replace(QUICK, patience=2))
    with pytest.raises(InputError, match="the training data are 1 arrays"):
        fit(to_module(small()), (DATA[0][0],), None, QUICK)  # pyright: ignore[reportArgumentType]


def test_a_diverged_training_leaves_the_best_weights() -> None:
    module = to_module(small())
    kept: list[bytes] = []

    def spoil(progress: Progress) -> None:
        kept.append(content(module))
        with torch.no_grad():
            next(module.parameters()).fill_(float("nan"))

    with pytest.raises(InputError, match="diverged: in epoch 2 the loss is nan"):
        fit(module, *DATA, QUICK, progress=spoil)
    assert kept == [content(module)]


def test_a_module_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"the model does not take images of \[2, 1, 8, 8\]"):
        fit(torch.nn.Linear(3, 3), *DATA, QUICK)
    with pytest.raises(InputError, match=r"the model gives \[2, 1, 8, 3\] for 2 images; expected logits \[N, "):
        fit(torch.nn.Linear(8, 3), *DATA, QUICK)
