"""A model against its baseline: ratios of sizes, and the difference of accuracies on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxino_tools.report.statistics import Z95, paired_error

if TYPE_CHECKING:
    from onnxino_tools.report.report import Report


@dataclass(frozen=True)
class AccuracyDifference:
    """On the same images. model_only, baseline_only: images that only the one classified right."""

    difference: float
    error: float
    model_only: int
    baseline_only: int
    images: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the difference, by the normal approximation."""
        return self.difference - Z95 * self.error, self.difference + Z95 * self.error


@dataclass(frozen=True, repr=False)
class Comparison:
    """Ratios are baseline / model: 4.0 means a fourth of it is left."""

    model: Report
    baseline: Report

    def ratios(self) -> dict[str, float | None]:
        """By what they compare; None where one of the two is unknown or 0."""
        a, b = self.model, self.baseline
        pairs: dict[str, tuple[float | None, float | None]] = {
            "onnx_bytes": (a.sizes.onnx, b.sizes.onnx),
            "model_bytes": (a.sizes.model, b.sizes.model),
            "weight_bytes": (a.sizes.weights, b.sizes.weights),
            "arena_bytes": (a.sizes.arena, b.sizes.arena),
            "parameters": (a.parameters, b.parameters),
            "nonzero": (a.nonzero, b.nonzero),
            "macs": (a.macs, b.macs),
            "latency_ms": (a.latency and a.latency.ms, b.latency and b.latency.ms),
        }
        return {name: None if not mine or not theirs else theirs / mine for name, (mine, theirs) in pairs.items()}

    @property
    def accuracy(self) -> AccuracyDifference | None:
        """None where one of the two has none, or they were measured on different images."""
        mine, theirs = self.model.right, self.baseline.right
        if mine is None or theirs is None or len(mine) != len(theirs):
            return None
        only = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
        total = len(mine)
        return AccuracyDifference((only[0] - only[1]) / total, paired_error(*only, total), *only, total)

    @property
    def kept(self) -> float | None:
        """Share of the baseline's accuracy that is left."""
        mine, theirs = self.model.accuracy, self.baseline.accuracy
        return None if mine is None or theirs is None or not theirs.correct else mine.top1 / theirs.top1

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        found = self.accuracy
        theirs = self.baseline.accuracy
        return {
            "name": self.baseline.name,
            "file": self.baseline.file,
            "kind": self.baseline.kind,
            "onnx_bytes": self.baseline.sizes.onnx,
            "model_bytes": self.baseline.sizes.model,
            "weight_bytes": self.baseline.sizes.weights,
            "arena_bytes": self.baseline.sizes.arena,
            "parameters": self.baseline.parameters,
            "nonzero": self.baseline.nonzero,
            "macs": self.baseline.macs,
            "latency_ms": None if self.baseline.latency is None else round(self.baseline.latency.ms, 3),
            "top1": None if theirs is None else theirs.top1,
            "ratios": {name: None if r is None else round(r, 4) for name, r in self.ratios().items()},
            "accuracy_kept": self.kept,
            "accuracy_difference": None
            if found is None
            else {
                "difference": found.difference,
                "standard_error": found.error,
                "interval95": list(found.interval),
                "model_only_right": found.model_only,
                "baseline_only_right": found.baseline_only,
                "images": found.images,
            },
        }
