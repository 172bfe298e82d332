"""Accuracy against ONNX Runtime's, its interval against published ones, and the counts behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxino_tools.data import Dataset
from onnxino_tools.report import measure
from onnxino_tools.report.accuracy import judge
from onnxino_tools.report.outcome import NO_CLASS
from onnxino_tools.report.statistics import paired_error, wilson

DIGITS = Path(__file__).parents[3] / "examples" / "digits"


def onnxruntime_scores(model: Path, inputs: np.ndarray) -> np.ndarray:
    """[N, classes], image by image as the board computes them."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: inputs[k : k + 1]})[0] for k in range(len(inputs))])


def test_digits_are_classified_as_onnx_runtime_does() -> None:
    with np.load(DIGITS / "digits_test.npz") as data:
        pixels, labels = data["images"], data["labels"]
    inputs = (pixels.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    expected = onnxruntime_scores(DIGITS / "digits_int8.onnx", inputs).argmax(axis=1)
    report = measure(DIGITS / "digits_int8.onnx", DIGITS / "digits_test.npz", latency=False)
    assert report.predictions is not None
    assert np.array_equal(report.predictions, expected)
    assert report.accuracy is not None
    assert (report.accuracy.correct, report.accuracy.images) == (int((expected == labels).sum()), 1000)
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, expected), 1)
    assert report.accuracy.confusion == matrix.tolist()
    for k, entry in enumerate(report.classes):
        assert entry.images == matrix[k].sum()
        assert entry.recall == matrix[k, k] / matrix[k].sum()
        assert entry.precision == matrix[k, k] / matrix[:, k].sum()


@pytest.mark.parametrize("model", ["base.onnx", "base_qdq.onnx"])
def test_trashnet_is_classified_as_onnx_runtime_does(model: str, shared: Path) -> None:
    """Float and int8, on the validation split."""
    path, source = shared / "models" / "trashnet" / model, shared / "datasets" / "trashnet_64.npz"
    with np.load(source) as data:
        chosen = data["split"] == "val"
        pixels, labels = data["images"][chosen], data["labels"][chosen]
    inputs = (pixels.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    expected = onnxruntime_scores(path, inputs).argmax(axis=1)
    report = measure(path, source, split="val", latency=False, thumbnails=0)
    assert report.data is not None
    assert (report.data.split, report.data.images) == ("val", len(labels))
    assert report.predictions is not None
    assert np.array_equal(report.predictions, expected)
    assert report.accuracy is not None
    assert report.accuracy.top1 == (expected == labels).mean()
    assert report.kind == ("float32" if model == "base.onnx" else "int8")


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval(correct: int, total: int, low: float, high: float) -> None:
    """The examples of R. G. Newcombe, Two-sided confidence intervals for the single proportion (1998), method 3."""
    found = wilson(correct, total)
    assert [round(end, 4) for end in found] == [low, high]
    mirrored = wilson(total - correct, total)
    assert mirrored == pytest.approx((1 - found[1], 1 - found[0]))


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_no_interval_of_what_cannot_be(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="of"):
        wilson(correct, total)


def test_error_of_a_paired_difference() -> None:
    """The standard error of the mean of +1 (only a right), -1 (only b right) and 0."""
    values = np.array([1.0] * 14 + [-1.0] * 31 + [0.0] * 283)
    assert paired_error(14, 31, 328) == pytest.approx(values.std() / np.sqrt(328))
    assert paired_error(0, 0, 10) == 0.0
    assert paired_error(3, 0, 3) == 0.0
    with pytest.raises(ValueError, match="0 images"):
        paired_error(0, 0, 0)


def test_counts_of_hand_made_predictions() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    classes, accuracy, known = judge(np.array([0, 1, 1, 1, NO_CLASS, 7]), labels, ["a", "b", "c", "d"])
    assert known.tolist() == [0, 1, 1, 1, NO_CLASS, NO_CLASS]
    assert accuracy is not None
    assert (accuracy.correct, accuracy.images, accuracy.without_class) == (2, 6, 2)
    assert accuracy.confusion == [[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert accuracy.mistakes == [(0, 1, 2)]
    assert [c.precision for c in classes] == [1.0, 1 / 3, None, None]
    assert [c.recall for c in classes] == [1 / 3, 0.5, 0.0, None]


def test_predictions_without_labels_are_counted() -> None:
    classes, accuracy, _ = judge(np.array([2, 0, 2]), None, None)
    assert accuracy is None
    assert [(c.name, c.predicted, c.precision, c.recall) for c in classes] == [
        ("0", 1, None, None),
        ("1", 0, None, None),
        ("2", 2, None, None),
    ]


def test_a_split_and_a_limit() -> None:
    with np.load(DIGITS / "digits_test.npz") as data:
        pixels, labels = data["images"], data["labels"]
    split = np.array(["even", "odd"] * 500)
    data = Dataset(pixels, "digits", labels, split=split)
    half = measure(DIGITS / "digits_int8.onnx", data, split="odd", limit=300, latency=False)
    assert half.data is not None
    assert (half.data.split, half.data.images) == ("odd", 300)
    whole = measure(DIGITS / "digits_int8.onnx", data, latency=False)
    assert whole.data is not None
    assert (whole.data.split, whole.data.images) == (None, 1000)
    assert whole.predictions is not None
    assert half.predictions is not None
    assert np.array_equal(half.predictions, whole.predictions[1::2][:300])


def test_the_numpy_backend_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no compiler is."""
    from onnxino.backends import c
    from onnxino.errors import OnnxinoError

    def nothing() -> None:
        raise OnnxinoError("no compiler")

    here = measure(DIGITS / "digits_int8.onnx", DIGITS / "digits_test.npz", limit=100, latency=False)
    monkeypatch.setattr(c, "load_library", nothing)
    there = measure(DIGITS / "digits_int8.onnx", DIGITS / "digits_test.npz", limit=100, latency=False)
    assert there.data is not None
    assert there.data.backend == "numpy"
    assert here.as_dict() | {"data": None} == there.as_dict() | {"data": None}
