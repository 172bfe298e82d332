"""The parts of the page that tell of the data: classes, confusion matrix, wrong images, outputs."""

from __future__ import annotations

from pathlib import Path

from onnxino_tools import ui
from onnxino_tools.report import charts, text
from onnxino_tools.report.markup import Markup, bar, escape, figure, grid, join, name, paragraph, section, table
from onnxino_tools.report.report import Report, Wrong

_TABLE_CLASSES = 24  # for more, the confusion matrix is no table too
_MISTAKES = 12


def classes(report: Report) -> Markup:
    """Precision and recall, or how often each class was predicted."""
    if not report.classes:
        return Markup()
    if report.accuracy is None:
        rows = [[name(entry.name), f"{entry.predicted:,}"] for entry in report.classes]
        return section("Classes", table("How often each class was predicted", ["Class", "Predicted"], rows, (1,), ""))
    head = ["Class", "Images", "Predicted", "Precision", "Recall"]
    rows = [
        [name(c.name), f"{c.images:,}", f"{c.predicted:,}", _share(c.precision), _share(c.recall)]
        for c in report.classes
    ]
    caption = "Precision: share of right ones among those predicted. Recall: share of the class that was found"
    return section("Classes", table(caption, head, rows, (1, 2, 3, 4)))


def _share(share: float | None) -> Markup:
    return escape("-") if share is None else join([text.percent(share, 1), bar(share)])


def confusion(report: Report) -> Markup:
    """The matrix as picture and table, and the most frequent mistakes."""
    found = report.accuracy
    if found is None:
        return Markup()
    names = [entry.name for entry in report.classes]
    parts: list[str] = []
    beside: list[str] = []
    if found.confusion is None:
        parts.append(paragraph(f"{len(names):,} classes are too many for a matrix."))
    else:
        picture = charts.confusion(found.confusion, names)
        label = "Confusion matrix, scrollable"
        beside.append(Markup(f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{picture}</div>\n'))
        if len(names) <= _TABLE_CLASSES:
            parts.append(_as_table(found.confusion, names))
    rows = [
        [name(report.class_name(label)), name(report.class_name(predicted)), f"{count:,}"]
        for label, predicted, count in found.mistakes[:_MISTAKES]
    ]
    if rows:
        beside.append(table("Most frequent mistakes", ["True class", "Predicted", "Images"], rows, (2,), ""))
    both = Markup(f'<div class="beside">\n{join(beside)}</div>\n')
    return section("Confusion matrix", both, *parts)


def _as_table(matrix: list[list[int]], names: list[str]) -> Markup:
    """The matrix for those who do not see it."""
    rows = [[name(title), *(f"{n:,}" for n in row)] for title, row in zip(names, matrix, strict=True)]
    head = ["True class", *(name(title) for title in names)]
    inner = table("Images by true class (rows) and predicted class (columns)", head, rows, range(1, len(head)), "")
    return Markup(f"<details>\n<summary>The matrix as a table</summary>\n{inner}</details>\n")


def wrong_images(report: Report) -> Markup:
    """The wrongly classified images."""
    if report.accuracy is None or not report.wrong_total:
        return Markup()
    shown = [_one_wrong(report, wrong) for wrong in report.wrong]
    if not shown:
        return Markup()
    count = ui.counted(report.wrong_total, "image")
    first = "" if report.confidence_kind is None else ", the surest first"
    said = f"{count} wrong, {len(shown):,} shown{first}."
    kind = {
        "softmax": " Confidence: the softmax of the model's outputs.",
        "output": " Confidence: the model's output for the predicted class.",
    }.get(report.confidence_kind or "", "")
    counted = ""
    if report.data is not None and any(wrong.source_index is not None for wrong in report.wrong):
        counted = f" Images are numbered as in {Path(report.data.source).name}, from 0."
    return section("Wrongly classified images", paragraph(said + kind + counted, "muted"), grid(shown))


def _one_wrong(report: Report, wrong: Wrong) -> Markup:
    true, predicted = report.class_name(wrong.label), report.class_name(wrong.prediction)
    file = None if wrong.name is None else Path(wrong.name).name
    number = None if wrong.source_index is None else f"image {wrong.source_index}"
    which = ", ".join(filter(None, (number, file)))
    about = f"{which}: {true}, taken for {predicted}"
    seen, picture = wrong.picture, Markup()
    if seen is not None and seen.png is not None:
        size = f'width="{seen.width}" height="{seen.height}"'
        picture = Markup(f'<img src="{seen.uri}" {size} alt="{escape(about)}">')
    elif seen is not None and seen.line is not None:
        picture = charts.signal(seen.line, about)
    sure = "" if wrong.confidence is None else f", {text.percent(wrong.confidence, 0)}"
    caption = join(
        [
            Markup(f"<b>{name(true)}</b> taken for <b>{name(predicted)}</b>"),
            sure,
            Markup("<br>"),
            which,
        ]
    )
    return figure(picture, caption)


def outputs(report: Report) -> Markup:
    """Values of outputs that are no classes, or of several."""
    if not report.outputs or (report.classes and len(report.outputs) == 1):
        return Markup()
    rows: list[list[str]] = []
    for entry in report.outputs:
        values = ["-" if v is None else f"{v:.6g}" for v in (entry.least, entry.mean, entry.greatest)]
        rows.append([name(entry.name), str(entry.shape), *values, f"{entry.not_a_number:,}"])
    head = ["Output", "Shape on the device", "Least", "Mean", "Greatest", "Not a number"]
    return section("Outputs", table("Values over all inputs that were measured", head, rows, (2, 3, 4, 5)))
