"""measure(): everything that a report says, from a model and a data set."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino.pixels import PixelOptions
from onnxino.schema.model import Model
from onnxino_tools import ui
from onnxino_tools.data import Dataset
from onnxino_tools.report import latency as timing
from onnxino_tools.report import outcome as running
from onnxino_tools.report.accuracy import judge
from onnxino_tools.report.layers import layers_of, with_cycles
from onnxino_tools.report.pictures import picture
from onnxino_tools.report.report import DataFacts, Report, Sizes, Wrong
from onnxino_tools.report.subject import Subject, open_subject
from onnxino_tools.report.upload import upload_time

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_tools.data.inputs import Feed

Progress = Callable[[str, int, int], None]
NO_DATA = "no accuracy: no data were given"
NO_LABELS = "no accuracy: the data have no labels"


def measure(
    model: str | os.PathLike[str] | bytes | ModelProto,
    data: str | os.PathLike[str] | Dataset | None = None,
    *,
    pixels: PixelOptions | None = None,
    split: str | None = None,
    limit: int | None = None,
    resize: str = "crop",
    baseline: str | os.PathLike[str] | bytes | ModelProto | None = None,
    latency: bool = True,
    thumbnails: int = 24,
    progress: Progress | None = None,
) -> Report:
    """Measures a model as `onnxino report` does; prints nothing.

    model: an ONNX model (path or ModelProto; float or quantized), or a .oxm file (path or bytes). data: a path as
    --data, or a Dataset, which is taken as it is where no split is given. pixels: how pixels become the input.
    baseline: a model to compare with, on the same images. latency: whether the emulator estimates the time (a second
    or more). thumbnails: how many of the wrongly classified images to keep. progress: called with what is done, and
    how much of how much.
    Raises InputError, ModelError or ConvertError for what is given.
    """
    with ui.silence():
        wanted = Wanted(pixels or PixelOptions(), split, limit, resize, latency, thumbnails, progress)
        return measured(model, data, wanted, baseline)


@dataclass(frozen=True)
class Wanted:
    """What to measure; see measure()."""

    pixels: PixelOptions = field(default_factory=PixelOptions)
    split: str | None = None
    limit: int | None = None
    resize: str = "crop"
    latency: bool = True
    thumbnails: int = 24
    progress: Progress | None = None


def measured(
    model: str | os.PathLike[str] | bytes | ModelProto,
    data: str | os.PathLike[str] | Dataset | None,
    wanted: Wanted,
    baseline: str | os.PathLike[str] | bytes | ModelProto | None = None,
) -> Report:
    """measure() with its notes on stderr."""
    report = _one(open_subject(model), data, wanted)
    if baseline is None:
        return report
    other, note = _baseline(open_subject(baseline), data, replace(wanted, thumbnails=0), report)
    return replace(report, baseline=other, baseline_note=note)


def _baseline(
    subject: Subject, data: str | os.PathLike[str] | Dataset | None, wanted: Wanted, report: Report
) -> tuple[Report, str | None]:
    """The baseline's report, and why it has no accuracy where the model has one."""
    with ui.silence():  # what there is to say of the data was said
        try:
            other = _one(subject, data, wanted)
        except InputError as error:
            other = _one(subject, None, wanted)
            return other, f"no accuracy of the baseline: {error.message}"
    if report.accuracy is not None and other.accuracy is None:
        return other, f"of the baseline: {other.accuracy_note}"
    return other, None


def _one(subject: Subject, data: str | os.PathLike[str] | Dataset | None, wanted: Wanted) -> Report:
    report = _model_alone(subject)
    sample: NDArray[Any] | None = None
    if data is None:
        report = replace(report, accuracy_note=NO_DATA)
    else:
        loaded, feed, text, split = _load(subject.model, data, wanted)
        facts = DataFacts(loaded.source, split, len(loaded), text, "")
        report = _with_data(replace(report, data=facts), subject, loaded, feed, wanted)
        sample = feed(loaded.images[:1])
    if not wanted.latency:
        return replace(report, latency_note="no latency: not asked for")
    if wanted.progress is not None:
        wanted.progress("emulating the board", 0, 1)
    found, note = timing.estimate(subject, None if sample is None else _device_bytes(subject, sample))
    layers = report.layers if found is None else with_cycles(report.layers, found.operators)
    return replace(report, latency=found, latency_note=note, layers=layers)


def _model_alone(subject: Subject) -> Report:
    """What needs no data."""
    from onnxino import InferenceSession

    facts, found = subject.facts, timing.fit(subject)
    with InferenceSession(subject.content) as session:
        inputs = [{"name": arg.name, "type": arg.type, "shape": arg.shape} for arg in session.get_inputs()]
    return Report(
        name=subject.name,
        file=subject.file,
        kind=subject.kind,
        sha256=subject.sha256,
        inputs=inputs,
        sizes=Sizes(
            onnx=subject.onnx_bytes,
            model=len(subject.content),
            firmware=_firmware_bytes(),
            arena=int(facts["arena_bytes"]),
            weights=int(facts["weight_bytes"]),
            constants=int(facts["constant_bytes"]),
        ),
        parameters=int(facts["parameters"]),
        nonzero=int(facts["nonzero"]),
        macs=int(facts["macs"]),
        fit=found,
        upload=None if found.flash_over else upload_time(subject.content),
        layers=layers_of(subject),
    )


def _firmware_bytes() -> int | None:
    from onnxino_tools.build import BuildError, prebuilt_path

    try:
        return prebuilt_path().stat().st_size
    except (OSError, BuildError):  # an installation without the image
        return None


def _load(
    model: Model, data: str | os.PathLike[str] | Dataset, wanted: Wanted
) -> tuple[Dataset, Feed, str, str | None]:
    """The images, how they become input, that in words, and the split's name."""
    from onnxino_tools.data.inputs import check_single, evaluated_split, feed_for, image_feed

    check_single(model)
    if not isinstance(data, Dataset):
        path = os.fspath(data)
        split = evaluated_split(path, wanted.split)
        return *image_feed(model, path, wanted.pixels, split=split, limit=wanted.limit, resize=wanted.resize), split
    if len(model.inputs) != 1:
        raise InputError(f"the model has {len(model.inputs)} inputs; image data feeds exactly one")
    chosen, split = _chosen(data, wanted)
    return chosen, *feed_for(model, chosen, wanted.pixels), split


def _chosen(data: Dataset, wanted: Wanted) -> tuple[Dataset, str | None]:
    """The images of the split that was asked for, and its name where all are of one."""
    if wanted.split not in (None, "all"):
        if data.split is None or not (data.split == wanted.split).any():
            raise InputError(f"'{data.source}' has no split '{wanted.split}'", "leave split away for all images")
        data = data.take(np.flatnonzero(data.split == wanted.split))
    if wanted.limit is not None and wanted.limit < len(data):
        data = data.take(np.arange(wanted.limit))
    if len(data) == 0:
        raise InputError(f"'{data.source}' holds no images", "give at least one")
    names: list[str] = [] if data.split is None else [str(name) for name in np.unique(data.split)]
    return data, names[0] if len(names) == 1 else None


def _device_bytes(subject: Subject, array: NDArray[Any]) -> list[bytes]:
    """The device's bytes of one sample."""
    from onnxino import InferenceSession

    with InferenceSession(subject.content) as session:
        device = session.to_device({subject.model.inputs[0].name: array})
    return [part[0].tobytes() for part in device]


def _with_data(report: Report, subject: Subject, data: Dataset, feed: Feed, wanted: Wanted) -> Report:
    """Accuracy and what belongs to it, or why there is none."""
    from onnxino_tools.evaluate import match_classes

    assert report.data is not None
    step = wanted.progress
    found = running.run(subject, data, feed, None if step is None else lambda done, all: step("images", done, all))
    report = replace(report, outputs=found.outputs, data=replace(report.data, backend=found.backend))
    if found.predictions is None:
        return replace(report, accuracy_note=f"no accuracy: {found.reason}")
    _check_labels(data)
    labels, names = match_classes(subject.model, data)
    classes, accuracy, predictions = judge(found.predictions, labels, names)
    kind = None if found.confidences is None else "softmax" if found.softmax else "output"
    report = replace(report, classes=classes, predictions=predictions, confidence_kind=kind)
    if accuracy is None or labels is None:
        return replace(report, accuracy_note=NO_LABELS)
    right = predictions == labels
    wrong = _wrong(data, labels, predictions, found.confidences, wanted.thumbnails)
    return replace(report, accuracy=accuracy, right=right, wrong=wrong)


def _check_labels(data: Dataset) -> None:
    """A Dataset that was made in Python may have any. Raises InputError."""
    labels, classes = data.labels, data.classes
    if labels is None or classes is None or not len(labels):
        return
    if labels.min() < 0 or labels.max() >= len(classes):
        raise InputError(
            f"'{data.source}' has labels {labels.min()} to {labels.max()} but {len(classes)} classes",
            "labels are numbers of classes, from 0",
        )


def _wrong(
    data: Dataset,
    labels: NDArray[np.int64],
    predictions: NDArray[np.int64],
    confidences: NDArray[np.float64] | None,
    most: int,
) -> list[Wrong]:
    """The wrongly classified images, those that the model was surest of first."""
    places = np.flatnonzero(predictions != labels)
    if confidences is not None:
        places = places[np.argsort(-np.nan_to_num(confidences[places], nan=-1.0), kind="stable")]
    shown: list[Wrong] = []
    folder = data.names is not None and Path(data.source).is_dir()
    for place in (int(p) for p in places[: max(0, most)]):
        sure = None if confidences is None or not np.isfinite(confidences[place]) else float(confidences[place])
        name = None if data.names is None else data.names[place]
        seen = picture(data.images[place])
        within = None if folder else place if data.places is None else int(data.places[place])
        shown.append(Wrong(place, within, name, int(labels[place]), int(predictions[place]), sure, seen))
    return shown
