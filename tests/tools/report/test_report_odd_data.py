"""Data and models that are no ordinary classification: nothing ends in a traceback, and no number is made up."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxino.errors import InputError
from onnxino_tools.data import Dataset
from onnxino_tools.report import measure
from onnxino_tools.report.html import render
from onnxino_tools.report.report import Report
from onnxino_tools.report.text import lines
from tests.tools.report.models import F, images, index_model, linear, pictures, signals

LABELS = np.arange(20) % 4


def shown(report: Report) -> Report:
    """The report, once all three ways to show it have worked."""
    json.dumps(report.as_dict(), allow_nan=False)
    assert lines(report)
    assert render(report).endswith("</html>\n")
    return report


def report_of(model: Any, data: Dataset | None, **options: Any) -> Report:
    return shown(measure(model, data, latency=False, **options))


def test_without_data() -> None:
    report = report_of(linear((3, 8, 8), 4), None)
    assert report.accuracy is None
    assert "no accuracy: no data were given" in report.notes
    assert report.as_dict()["data"] is None


def test_without_labels() -> None:
    report = report_of(linear((3, 8, 8), 4), Dataset(images(), "pictures"))
    assert report.accuracy is None
    assert "no accuracy: the data have no labels" in report.notes
    assert sum(entry.predicted for entry in report.classes) == 20


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        (linear((3, 8, 8), 1), pictures("a"), "a single value"),
        (linear((3, 8, 8), 1), Dataset(images(), "pictures"), "a single value"),
        (linear((40,), 40), signals(), "as many values as its input"),
    ],
    ids=["one class", "regression", "autoencoder"],
)
def test_no_classifier(model: Any, data: Dataset, reason: str) -> None:
    report = report_of(model, data)
    assert report.accuracy is None
    assert report.classes == []
    assert report.accuracy_note is not None
    assert reason in report.accuracy_note
    assert report.outputs[0].least is not None


def test_a_picture_as_output_is_no_class() -> None:
    node = helper.make_node("Relu", ["x"], ["z"])
    model = linear((3, 8, 8), 4, nodes=[node], more=[("z", F, ["n", 3, 8, 8])])
    del model.graph.output[0]
    report = report_of(model, pictures())
    assert report.accuracy_note is not None
    assert "not one value for each class" in report.accuracy_note


def test_as_many_inputs_as_classes_with_names() -> None:
    """What looks like an autoencoder is a classifier where the classes are known."""
    data = Dataset(signals(length=3).images, "flowers", np.arange(20) % 3, ["a", "b", "c"])
    assert report_of(linear((3,), 3), data).accuracy is not None


def test_several_outputs() -> None:
    model = linear((3, 8, 8), 4, nodes=[helper.make_node("Relu", ["y"], ["z"])], more=[("z", F, ["n", 4])])
    report = report_of(model, pictures())
    assert report.accuracy is not None
    assert [entry.name for entry in report.outputs] == ["y", "z"]
    assert report.outputs[1].least == 0.0
    assert "<h2>Outputs</h2>" in render(report)


def test_the_number_of_a_class_as_output() -> None:
    """ArgMax: the same predictions, and no confidence."""
    data = pictures()
    index, scores = (report_of(model((3, 8, 8), 4), data) for model in (index_model, linear))
    assert index.predictions is not None
    assert scores.predictions is not None
    assert np.array_equal(index.predictions, scores.predictions)
    assert index.accuracy == scores.accuracy
    assert all(wrong.confidence is None for wrong in index.wrong)
    assert index.confidence_kind is None


def test_numbers_of_classes_without_labels() -> None:
    report = report_of(index_model((3, 8, 8), 4), Dataset(images(), "pictures"))
    assert len(report.classes) == 4


def test_labels_that_are_no_classes() -> None:
    data = Dataset(images(), "pictures", np.arange(20) * 100_000)
    with pytest.raises(InputError, match="these are no classes") as caught:
        report_of(index_model((3, 8, 8), 4), data)
    assert caught.value.hint is not None


def test_outputs_that_are_not_numbers() -> None:
    values = signals().images.copy()
    values[:5] = np.nan
    report = report_of(linear((40,), 4), Dataset(values, "signals", LABELS))
    assert report.accuracy is not None
    assert report.accuracy.without_class == 5
    assert report.accuracy.images == 20
    assert (report.predictions == -1).sum() == 5
    assert any("5 of the images gave no class" in note for note in report.notes)
    assert report.outputs[0].not_a_number == 20
    nothing = [w for w in report.wrong if w.prediction == -1]
    assert len(nothing) == 5
    assert all(w.confidence is None for w in nothing)
    assert "no class" in render(report)


def test_infinite_outputs() -> None:
    weights = np.zeros((40, 4), np.float32)
    weights[:, 1] = 3e38
    data = Dataset(np.full((20, 40), 10, np.float32), "signals", LABELS)
    report = report_of(linear((40,), 4, weights=weights), data)
    assert report.accuracy is not None
    assert report.accuracy.correct == 5
    assert all(wrong.confidence is None for wrong in report.wrong)
    assert report.outputs[0].greatest is None


def test_classes_that_are_never_found() -> None:
    weights = np.zeros((40, 4), np.float32)
    report = report_of(
        linear((40,), 4, weights=weights), Dataset(signals().images, "d", LABELS, ["a", "b\x1b", "c", "d"])
    )
    assert "recall 0: none of the images was found of 'b\x1b' (5), 'c' (5), 'd' (5)" in report.notes
    assert "\x1b" not in "".join(lines(report))
    many = Dataset(images(9), "many", np.arange(9), [f"class {k}" for k in range(9)])
    missed = report_of(linear((3, 8, 8), 9, weights=np.zeros((192, 9), np.float32)), many)
    assert any(note.endswith("'class 5' (1) and 3 more") for note in missed.notes)


def test_a_split_taken_twice() -> None:
    """Where an image is in the source, whatever was taken before."""
    data = Dataset(images(), "d", LABELS, list("abcd"), np.array(["train", "val"] * 10)).take(np.arange(4, 20))
    report = report_of(linear((3, 8, 8), 4), data, split="val")
    assert report.wrong
    assert all(wrong.source_index == 5 + 2 * wrong.index for wrong in report.wrong)
    assert all(wrong.label == wrong.source_index % 4 for wrong in report.wrong if wrong.source_index is not None)


def test_grey_images() -> None:
    report = report_of(linear((1, 8, 8), 4), Dataset(images(shape=(8, 8)), "grey", LABELS))
    assert report.accuracy is not None
    assert all(wrong.picture is not None and wrong.picture.png is not None for wrong in report.wrong)


def test_signals() -> None:
    report = report_of(linear((40,), 4), signals())
    assert report.accuracy is not None
    assert all(wrong.picture is not None and wrong.picture.line is not None for wrong in report.wrong)
    assert "<polyline" in render(report)


def test_many_classes() -> None:
    data = Dataset(images(count=3), "many", np.array([0, 100, 299]), [f"class {k}" for k in range(300)])
    report = report_of(linear((3, 8, 8), 300), data)
    assert report.accuracy is not None
    assert report.accuracy.confusion is None
    assert "300 classes are too many for a matrix" in render(report)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dataset(images(0), "nothing", LABELS[:0], list("abcd")), "holds no images"),
        (Dataset(images(), "far", LABELS + 2, list("abcd")), "labels 2 to 5 but 4 classes"),
        (Dataset(images(), "far", LABELS + 2), "labels 2 to 5, the model has 4 outputs"),
        (Dataset(images(), "negative", LABELS - 1, list("abcd")), "labels -1 to 2 but 4 classes"),
        (Dataset(images(), "more", LABELS, list("abcde")), "5 classes, the model has 4 outputs"),
        (Dataset(images(shape=(9, 9, 3)), "large", LABELS), "images of 9x9x3"),
        (Dataset(images().astype(np.int32), "int32", LABELS), "int32 arrays"),
    ],
    ids=["empty", "labels", "labels without names", "negative", "classes", "size", "type"],
)
def test_data_that_do_not_fit(data: Dataset, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        report_of(linear((3, 8, 8), 4), data)
    assert caught.value.hint is not None


def test_a_split_that_is_not_there() -> None:
    for data in (pictures(), Dataset(images(), "d", LABELS, split=np.array(["train"] * 20))):
        with pytest.raises(InputError, match="has no split 'val'"):
            report_of(linear((3, 8, 8), 4), data, split="val")


def test_several_inputs() -> None:
    model = linear((3, 8, 8), 4, nodes=[helper.make_node("Add", ["y", "u"], ["z"])], more=[("z", F, ["n", 4])])
    model.graph.input.append(helper.make_tensor_value_info("u", F, ["n", 4]))
    assert report_of(model, None).inputs[1]["name"] == "u"
    with pytest.raises(InputError, match="2 inputs"):
        report_of(model, pictures())
