"""The result of `measure()`: what is known of a model, as plain values, as JSON and as rows for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino_tools.report.accuracy import Accuracy, ClassResult
from onnxino_tools.report.compare import Comparison
from onnxino_tools.report.latency import Fit, Latency
from onnxino_tools.report.layers import Layer
from onnxino_tools.report.outcome import OutputRange
from onnxino_tools.report.pictures import Picture
from onnxino_tools.report.upload import Upload

VERSION = 1  # of the JSON: keys are added, but none is removed or changes its meaning, without another number

_MISSED = 5  # classes named by a note


@dataclass(frozen=True)
class Sizes:
    """Bytes. onnx: the ONNX model with its external data; model: the .oxm file; firmware: the image it runs on (None
    where it is not at hand); arena: RAM for activations; weights: without biases and constants."""

    onnx: int | None
    model: int
    firmware: int | None
    arena: int
    weights: int
    constants: int

    @property
    def flash(self) -> int | None:
        """Model and firmware together."""
        return None if self.firmware is None else self.model + self.firmware


@dataclass(frozen=True)
class DataFacts:
    """Which images were measured: split is None for data without splits or all of them; input: how pixels became
    input; backend: what computed."""

    source: str
    split: str | None
    images: int
    input: str
    backend: str


@dataclass(frozen=True)
class Wrong:
    """A wrongly classified image: label and prediction are numbers of classes (NO_CLASS: none); confidence 0 to 1.
    index: among the images measured; source_index: in the file of the data, None for a folder (its images have names).
    """

    index: int
    source_index: int | None
    name: str | None
    label: int
    prediction: int
    confidence: float | None
    picture: Picture | None


@dataclass(frozen=True, repr=False)
class Report:
    """Everything that was measured; what was not asked for or cannot be known is None, and `notes` say why.

    predictions, right: of all images measured, [N] int64 and bool; wrong: those shown, of `wrong_total`.
    """

    name: str
    file: str | None
    kind: str
    sha256: str
    inputs: list[dict[str, Any]]
    sizes: Sizes
    parameters: int
    nonzero: int
    macs: int
    fit: Fit
    upload: Upload | None
    layers: list[Layer]
    latency: Latency | None = None
    latency_note: str | None = None
    data: DataFacts | None = None
    outputs: list[OutputRange] = field(default_factory=list[OutputRange])
    classes: list[ClassResult] = field(default_factory=list[ClassResult])
    accuracy: Accuracy | None = None
    accuracy_note: str | None = None
    confidence_kind: str | None = None
    wrong: list[Wrong] = field(default_factory=list[Wrong])
    baseline: Report | None = None
    baseline_note: str | None = None
    predictions: NDArray[np.int64] | None = None
    right: NDArray[np.bool_] | None = None

    def __repr__(self) -> str:
        """Short: a report is large."""
        top1 = "" if self.accuracy is None else f", top1={self.accuracy.top1:.4f}"
        return f"Report({self.name!r}{top1}, model_bytes={self.sizes.model}, macs={self.macs})"

    @property
    def wrong_total(self) -> int:
        """Images that were classified wrongly."""
        return 0 if self.accuracy is None else self.accuracy.images - self.accuracy.correct

    @property
    def comparison(self) -> Comparison | None:
        """Against the baseline; None without one."""
        return None if self.baseline is None else Comparison(self, self.baseline)

    @property
    def notes(self) -> list[str]:
        """What is missing and why, and what does not fit."""
        misfit = None if self.fit.fits else f"the model does not fit {self.fit.board.title}: {self.fit.text}"
        without = self.accuracy.without_class if self.accuracy is not None else 0
        numbers = None
        if without:
            numbers = f"{without:,} of the images gave no class: outputs that are not a number, or number none"
        latency = self.latency_note if self.fit.fits else None  # misfit says it
        found = (misfit, latency, self.accuracy_note, numbers, self._never_found(), self.baseline_note)
        return [note for note in found if note is not None]

    def _never_found(self) -> str | None:
        """Classes whose recall is 0."""
        missed = [entry for entry in self.classes if entry.recall == 0]
        if not missed:
            return None
        titles = ", ".join(f"'{entry.name}' ({entry.images:,})" for entry in missed[:_MISSED])
        more = f" and {len(missed) - _MISSED:,} more" if len(missed) > _MISSED else ""
        return f"recall 0: none of the images was found of {titles}{more}"

    def class_name(self, number: int) -> str:
        """Of a label or prediction."""
        return self.classes[number].name if 0 <= number < len(self.classes) else "no class"

    def as_dict(self) -> dict[str, Any]:
        """The --json (docs/reporting.md)."""
        from onnxino_tools.report.as_json import as_dict

        return as_dict(self)

    def rows(self) -> list[tuple[str, str]]:
        """(what, value) for people: the figures of the whole model."""
        from onnxino_tools.report.text import rows

        return rows(self)
