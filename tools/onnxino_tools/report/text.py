"""A report for people: rows of figures, and the lines that the terminal shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_tools import ui
from onnxino_tools.report.markup import visible

if TYPE_CHECKING:
    from onnxino_tools.report.compare import Comparison
    from onnxino_tools.report.report import Report

_CLASSES = 30  # rows of the table of classes in a terminal
_MISTAKES = 5
RATIOS = {
    "onnx_bytes": "ONNX file",
    "model_bytes": "model file",
    "weight_bytes": "weights",
    "arena_bytes": "working memory",
    "parameters": "parameters",
    "nonzero": "parameters not zero",
    "macs": "multiply-adds",
    "latency_ms": "latency",
}


def percent(share: float | None, digits: int = 2) -> str:
    """74.01 %; '-' for None."""
    return "-" if share is None else f"{share * 100:.{digits}f} %"


def points(share: float) -> str:
    """A difference of shares: +1.25 points."""
    return f"{share * 100:+.2f} points"


def accuracy_text(report: Report) -> str:
    """Accuracy, counts, split and interval."""
    found = report.accuracy
    if found is None:
        return "-"
    low, high = found.interval
    return (
        f"{percent(found.top1)} ({found.correct:,} of {ui.counted(found.images, 'image')}{split_text(report)}; "
        f"95 % interval {low * 100:.1f} to {high * 100:.1f} %)"
    )


def split_text(report: Report) -> str:
    """', split test', or nothing."""
    return "" if report.data is None or report.data.split is None else f", split {report.data.split}"


def rows(report: Report) -> list[tuple[str, str]]:
    """(what, value): the figures of the whole model."""
    sizes, fit, upload = report.sizes, report.fit, report.upload
    found: list[tuple[str, str]] = []
    if report.accuracy is not None:
        found.append(("top-1 accuracy", accuracy_text(report)))
    if sizes.onnx is not None:
        found.append(("ONNX file", ui.size(sizes.onnx)))
    found.append(("model file", f"{ui.size(sizes.model)} of {fit.board.model_size:,}"))
    if sizes.flash is not None:
        found.append(("flash", f"{ui.size(sizes.flash)} with the firmware"))
    found.append(("working memory", f"{ui.size(sizes.arena)} of {fit.board.arena_size:,}"))
    found.append(("weights", f"{ui.size(sizes.weights)}, {report.kind}"))
    found.append(("parameters", f"{report.parameters:,} ({report.nonzero:,} not zero)"))
    found.append(("multiply-adds", f"{report.macs:,}"))
    found.append(("latency", latency_text(report)))
    if upload is not None:
        found.append(("upload", f"{upload.usb_s:.1f} s over USB, {upload.uart_s:.1f} s over UART (estimates)"))
    return found


def latency_text(report: Report) -> str:
    """The estimate, or why there is none."""
    found = report.latency
    if found is None:
        return "-"
    return f"{found.ms:,.1f} ms (estimate: {found.cycles:,} cycles at {found.clock_hz / 1e6:g} MHz)"


def lines(report: Report) -> list[str]:
    """The whole report for a terminal; what has no room there is in the HTML."""
    said = ui.table([(f"{name:16}", value) for name, value in rows(report)])
    if report.classes:
        said += ["", *_classes(report)]
    if report.accuracy is not None and report.accuracy.mistakes:
        said += ["", "most frequent mistakes", *ui.table(_mistakes(report), right=(0,))]
    if report.comparison is not None:
        said += ["", *_comparison(report.comparison)]
    if report.outputs and not report.classes:
        said += ["", "outputs", *_outputs(report)]
    if report.notes:
        said += ["", *(f"  {visible(note)}" for note in report.notes)]
    return said


def _classes(report: Report) -> list[str]:
    with_labels = report.accuracy is not None
    table = [["class", "images", "predicted", "precision", "recall"] if with_labels else ["class", "predicted"]]
    for entry in report.classes[:_CLASSES]:
        if with_labels:
            shares = [percent(entry.precision, 1), percent(entry.recall, 1)]
            table.append([visible(entry.name), f"{entry.images:,}", f"{entry.predicted:,}", *shares])
        else:
            table.append([visible(entry.name), f"{entry.predicted:,}"])
    said = ui.table(table, right=(1, 2, 3, 4))
    left = len(report.classes) - _CLASSES
    return said if left <= 0 else [*said, f"  and {left:,} more: --html or --json"]


def _mistakes(report: Report) -> list[list[str]]:
    assert report.accuracy is not None
    return [
        [f"{count:,}", visible(f"{report.class_name(label)} taken for {report.class_name(prediction)}")]
        for label, prediction, count in report.accuracy.mistakes[:_MISTAKES]
    ]


def _comparison(comparison: Comparison) -> list[str]:
    said = [f"against {visible(comparison.baseline.name)}"]
    said += ui.table([[what, text] for what, text in comparison_rows(comparison)])
    return said


def comparison_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """(what, value): smaller by how much, and what it did to the accuracy."""
    table = [(RATIOS[name], _times(ratio)) for name, ratio in comparison.ratios().items() if ratio]
    found = comparison.accuracy
    if found is not None:
        low, high = found.interval
        only = f"right in this model alone {found.model_only:,}, in the baseline alone {found.baseline_only:,}"
        spread = f"95 % interval {low * 100:+.1f} to {high * 100:+.1f}"
        table.append(("accuracy", f"{points(found.difference)} ({spread}; {only})"))
    if comparison.kept is not None:
        table.append(("accuracy kept", percent(comparison.kept, 1)))
    return table


def _times(ratio: float) -> str:
    if f"{ratio:.2f}" == "1.00":
        return "the same"
    return f"{ratio:.2f} times smaller" if ratio > 1 else f"{1 / ratio:.2f} times larger"


def _outputs(report: Report) -> list[str]:
    table = [["name", "shape", "least", "mean", "greatest", "not a number"]]
    for entry in report.outputs:
        values = ["-" if v is None else f"{v:.6g}" for v in (entry.least, entry.mean, entry.greatest)]
        table.append([visible(entry.name), str(entry.shape), *values, f"{entry.not_a_number:,}"])
    return ui.table(table, right=(2, 3, 4, 5))
