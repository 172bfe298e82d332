"""Runs a data set through a model and reads classes off its first output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino import numerics
from onnxino.errors import OnnxinoError
from onnxino.model import shape_of
from onnxino.schema.model import ElementType, Model, Tensor

if TYPE_CHECKING:
    from onnxino import InferenceSession
    from onnxino_tools.data import Dataset
    from onnxino_tools.data.inputs import Feed
    from onnxino_tools.report.subject import Subject

CHUNK = 64  # samples that are in memory as input at once
NO_CLASS = -1  # the prediction where an output is not a number, or names no class
_SUM = 0.1  # outputs of quantized Softmaxes add up to 1 within this


@dataclass(frozen=True)
class OutputRange:
    """What an output gave over all samples: real values. not_a_number: values that are NaN (left out of the rest)."""

    name: str
    shape: list[int]
    least: float | None
    greatest: float | None
    mean: float | None
    not_a_number: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "shape": self.shape,
            "min": self.least,
            "max": self.greatest,
            "mean": self.mean,
            "not_a_number": self.not_a_number,
        }


@dataclass(frozen=True, repr=False)
class Outcome:
    """Of N samples. predictions [N] int64 (NO_CLASS where there is none), or None where the model is no classifier,
    `reason` says why; confidences [N] float64 or None; softmax: whether they were made of the outputs by softmax.
    """

    backend: str
    outputs: list[OutputRange]
    predictions: NDArray[np.int64] | None
    confidences: NDArray[np.float64] | None
    softmax: bool
    reason: str | None


@dataclass
class _Range:
    """Gathers an OutputRange chunk by chunk."""

    name: str
    shape: list[int]
    least: float = np.inf
    greatest: float = -np.inf
    total: float = 0.0
    count: int = 0
    not_a_number: int = 0

    def add(self, values: NDArray[Any]) -> None:
        known = values[~np.isnan(values)].astype(np.float64)
        self.not_a_number += values.size - known.size
        if known.size:
            self.least = min(self.least, float(known.min()))
            self.greatest = max(self.greatest, float(known.max()))
            with np.errstate(invalid="ignore"):  # infinity less infinity: the mean is not a number then
                self.total += float(known.sum())
            self.count += known.size

    def done(self) -> OutputRange:
        known = [self.least, self.greatest, self.total / self.count] if self.count else [np.nan] * 3
        least, greatest, mean = (float(v) if np.isfinite(v) else None for v in known)
        return OutputRange(self.name, self.shape, least, greatest, mean, self.not_a_number)


@dataclass
class _Gathered:
    ranges: list[_Range]
    scores: list[NDArray[np.float64]] = field(default_factory=list["NDArray[np.float64]"])


def gives_index(model: Model) -> bool:
    """Whether the first output is the number of a class, as ArgMax gives it."""
    tensor = model.tensors[model.outputs[0].tensor]
    return tensor.type == ElementType.Int32 and int(np.prod(shape_of(tensor))) == 1


def no_classifier(model: Model, classes: int | None = None) -> str | None:
    """Why the first output cannot be one value for each class; None where it can. classes: how many are known."""
    if gives_index(model):
        return None
    port = model.outputs[0]
    shape = shape_of(model.tensors[port.tensor])
    wide = [d for d in shape if d > 1]
    if not wide:
        return f"its output '{port.name}' is a single value, not one for each class"
    if len(wide) > 1:
        return f"its output '{port.name}' is {list(shape)}, not one value for each class"
    sizes = [int(np.prod(shape_of(model.tensors[given.tensor]))) for given in model.inputs]
    if wide[0] in sizes and wide[0] != classes:
        return f"its output '{port.name}' has as many values as its input, as of an autoencoder"
    return None


def run(
    subject: Subject,
    data: Dataset,
    feed: Feed,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """All samples on the C backend, or where there is no compiler on NumPy (the same bytes).

    feed: from images of the data set to the model's only input. progress: called with samples done and in all.
    """
    model = subject.model
    ports = model.outputs
    gathered = _Gathered([_Range(p.name, list(shape_of(model.tensors[p.tensor]))) for p in ports])
    own = model.metadata.class_labels if model.metadata is not None else None
    reason = no_classifier(model, len(own or data.classes or []) or None)
    session, backend = open_session(subject)
    with session:
        for at in range(0, len(data), CHUNK):
            arrays = session.to_device({model.inputs[0].name: feed(data.images[at : at + CHUNK])})
            results = session.backend.run(arrays)
            for index, (port, result) in enumerate(zip(ports, results, strict=True)):
                real = real_values(model.tensors[port.tensor], result)
                gathered.ranges[index].add(real)
                if index == 0 and reason is None:
                    gathered.scores.append(real.reshape(len(result), -1).astype(np.float64))
            if progress is not None:
                progress(min(at + CHUNK, len(data)), len(data))
    ranges = [entry.done() for entry in gathered.ranges]
    if reason is not None or not gathered.scores:
        return Outcome(backend, ranges, None, None, False, reason)
    scores = np.concatenate(gathered.scores)
    if gives_index(model):
        return Outcome(backend, ranges, scores[:, 0].astype(np.int64), None, False, None)
    confidences, softmax = confidences_of(scores)
    return Outcome(backend, ranges, predictions_of(scores), confidences, softmax, None)


def open_session(subject: Subject) -> tuple[InferenceSession, str]:
    """A session, and the name of its backend."""
    from onnxino import InferenceSession

    try:
        return InferenceSession(subject.content, "c"), "c"
    except OnnxinoError:  # no compiler
        return InferenceSession(subject.content, "numpy"), "numpy"


def real_values(tensor: Tensor, values: NDArray[Any]) -> NDArray[Any]:
    """What the device's values mean: int8 is dequantized."""
    if tensor.type == ElementType.Int8 and tensor.scale:
        return numerics.dequantize(values, tensor.scale, tensor.zero_point)
    return values


def predictions_of(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """[N, classes] -> [N]: the first of the greatest; NO_CLASS where a value is NaN."""
    return np.where(np.isnan(scores).any(axis=1), NO_CLASS, scores.argmax(axis=1)).astype(np.int64)


def confidences_of(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """[N, classes] -> the share of the greatest [N] (0 to 1; NaN where a value is), and whether softmax made it.

    Scores that are no shares (below 0, or not adding up to 1) are taken for logits.
    """
    known = scores[np.isfinite(scores).all(axis=1)]
    shares = bool(len(known)) and float(known.min()) >= 0 and float(np.abs(known.sum(axis=1) - 1).max()) <= _SUM
    if shares:
        return np.where(np.isnan(scores).any(axis=1), np.nan, scores.max(axis=1)).clip(0, 1), False
    with np.errstate(invalid="ignore", over="ignore"):
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))  # infinite scores: NaN
        return exponents.max(axis=1) / exponents.sum(axis=1), True
