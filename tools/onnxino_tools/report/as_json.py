"""A report as JSON values; the keys are documented in docs/reporting.md and stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxino import __version__

if TYPE_CHECKING:
    from onnxino_tools.report.report import Report


def as_dict(report: Report) -> dict[str, Any]:
    """Plain values only: no NaN, no NumPy."""
    from onnxino_tools.report.report import VERSION

    comparison = report.comparison
    return {
        "report_version": VERSION,
        "onnxino": __version__,
        "model": {
            "name": report.name,
            "file": report.file,
            "kind": report.kind,
            "sha256": report.sha256,
            "inputs": report.inputs,
        },
        "sizes": _sizes(report),
        "parameters": report.parameters,
        "nonzero": report.nonzero,
        "macs": report.macs,
        "board": _board(report),
        "latency": _latency(report),
        "upload": None if report.upload is None else report.upload.as_dict(),
        "data": _data(report),
        "outputs": [output.as_dict() for output in report.outputs],
        "accuracy": _accuracy(report),
        "classes": [entry.as_dict() for entry in report.classes],
        "layers": [layer.as_dict() for layer in report.layers],
        "wrong": {"total": report.wrong_total, "shown": [_wrong(report, k) for k in range(len(report.wrong))]},
        "baseline": None if comparison is None else comparison.as_dict(),
        "notes": report.notes,
    }


def _sizes(report: Report) -> dict[str, int | None]:
    sizes = report.sizes
    return {
        "onnx_bytes": sizes.onnx,
        "model_bytes": sizes.model,
        "firmware_bytes": sizes.firmware,
        "flash_bytes": sizes.flash,
        "arena_bytes": sizes.arena,
        "weight_bytes": sizes.weights,
        "constant_bytes": sizes.constants,
    }


def _board(report: Report) -> dict[str, Any]:
    fit = report.fit
    return {
        "name": fit.board.name,
        "fits": fit.fits,
        "model_bytes": fit.board.model_size,
        "arena_bytes": fit.board.arena_size,
        "flash_over": fit.flash_over,
        "arena_over": fit.arena_over,
    }


def _latency(report: Report) -> dict[str, Any]:
    found = report.latency
    return {
        "ms": None if found is None else round(found.ms, 3),
        "cycles": None if found is None else found.cycles,
        "clock_hz": None if found is None else found.clock_hz,
        "estimate": True,
        "note": report.latency_note,
    }


def _data(report: Report) -> dict[str, Any] | None:
    data = report.data
    if data is None:
        return None
    return {
        "source": data.source,
        "split": data.split,
        "images": data.images,
        "input": data.input,
        "backend": data.backend,
    }


def _accuracy(report: Report) -> dict[str, Any] | None:
    found = report.accuracy
    if found is None:
        return None
    return {
        "top1": found.top1,
        "correct": found.correct,
        "images": found.images,
        "interval95": list(found.interval),
        "without_class": found.without_class,
        "confusion_matrix": found.confusion,
        "mistakes": [{"label": a, "prediction": b, "count": n} for a, b, n in found.mistakes[:20]],
    }


def _wrong(report: Report, index: int) -> dict[str, Any]:
    one = report.wrong[index]
    return {
        "index": one.index,
        "source_index": one.source_index,
        "name": one.name,
        "label": one.label,
        "prediction": one.prediction if one.prediction >= 0 else None,
        "confidence": one.confidence,
    }
