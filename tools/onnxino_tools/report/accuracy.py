"""Accuracy of predictions: top-1 with its interval, precision and recall of each class, confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino_tools.report.outcome import NO_CLASS
from onnxino_tools.report.statistics import wilson

MATRIX_CLASSES = 200  # for more, the confusion matrix is left out
MOST_CLASSES = 65_536  # numbers beyond are no classes


@dataclass(frozen=True)
class ClassResult:
    """images: with this label (None without labels); predicted: times that the model said so; correct: both."""

    name: str
    images: int | None
    predicted: int
    correct: int | None

    @property
    def precision(self) -> float | None:
        """Share of right ones among those predicted; None where there are none, or no labels."""
        return None if self.correct is None or not self.predicted else self.correct / self.predicted

    @property
    def recall(self) -> float | None:
        """Share of those with this label that were found; None where there are none."""
        return None if self.correct is None or not self.images else self.correct / self.images

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "images": self.images,
            "predicted": self.predicted,
            "precision": self.precision,
            "recall": self.recall,
        }


@dataclass(frozen=True)
class Accuracy:
    """Of `images` with labels. confusion: [label][prediction] counts, None for more than MATRIX_CLASSES classes;
    without_class: images whose outputs are not a number or name no class, which are wrong and in no column;
    mistakes: (label, prediction, count), the most frequent first."""

    correct: int
    images: int
    confusion: list[list[int]] | None
    without_class: int
    mistakes: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    @property
    def top1(self) -> float:
        """Share of right predictions."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of 95 %."""
        return wilson(self.correct, self.images)


def judge(
    predictions: NDArray[np.int64], labels: NDArray[np.int64] | None, names: list[str] | None
) -> tuple[list[ClassResult], Accuracy | None, NDArray[np.int64]]:
    """The classes, the accuracy (None without labels), and the predictions, where what names no class is NO_CLASS.

    names: of the classes; None where only their numbers are known. Raises InputError where numbers are no classes.
    """
    count = _classes(predictions, labels, names)
    known = np.where((predictions >= 0) & (predictions < count), predictions, NO_CLASS)
    predicted = np.bincount(known[known >= 0], minlength=count)
    titles = names if names is not None and len(names) == count else [str(i) for i in range(count)]
    if labels is None:
        return [ClassResult(titles[k], None, int(predicted[k]), None) for k in range(count)], None, known
    right = known == labels
    images, correct = np.bincount(labels, minlength=count), np.bincount(labels[right], minlength=count)
    classes = [ClassResult(titles[k], int(images[k]), int(predicted[k]), int(correct[k])) for k in range(count)]
    pairs = labels * count + known
    wrong, times = np.unique(pairs[~right & (known >= 0)], return_counts=True)
    mistakes = sorted(
        ((int(p) // count, int(p) % count, int(n)) for p, n in zip(wrong, times, strict=True)),
        key=lambda m: (-m[2], m[0], m[1]),
    )
    confusion = None
    if count <= MATRIX_CLASSES:
        flat = np.bincount(pairs[known >= 0], minlength=count * count)
        confusion = [[int(n) for n in row] for row in flat.reshape(count, count)]
    accuracy = Accuracy(int(right.sum()), len(labels), confusion, int((known < 0).sum()), mistakes)
    return classes, accuracy, known


def _classes(predictions: NDArray[np.int64], labels: NDArray[np.int64] | None, names: list[str] | None) -> int:
    """How many classes there are."""
    if names is not None:
        return len(names)
    found = int(labels.max()) + 1 if labels is not None and len(labels) else 1
    if found > MOST_CLASSES:
        raise InputError(
            f"the labels reach {found - 1:,}: these are no classes, which are numbered from 0",
            "labels are the numbers of classes; for other values leave the array 'labels' away",
        )
    said = int(predictions.max(initial=0)) + 1
    return max(found, said) if said <= MOST_CLASSES else found
