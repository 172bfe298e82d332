"""The parts of the page that tell of the model: sizes, baseline, operators, weights."""

from __future__ import annotations

from onnxino_tools import ui
from onnxino_tools.report import charts, text
from onnxino_tools.report.compare import Comparison
from onnxino_tools.report.layers import Layer
from onnxino_tools.report.markup import (
    Markup,
    bar,
    escape,
    figure,
    grid,
    join,
    name,
    paragraph,
    section,
    shorten,
    table,
)
from onnxino_tools.report.report import Report

_HISTOGRAMS = 120
_LONGEST = 48  # characters of an operator's name


def sizes(report: Report) -> Markup:
    """Bytes, and how much of the board they take."""
    sizes, board = report.sizes, report.fit.board
    rows: list[list[str]] = []
    if sizes.onnx is not None:
        rows.append(["ONNX file", f"{sizes.onnx:,}", "", ""])
    rows.append(["Model file (.oxm)", f"{sizes.model:,}", *_room(sizes.model, board.model_size)])
    rows.append([_part("of it weights"), f"{sizes.weights:,}", "", ""])
    rows.append([_part("of it biases, scales, tables"), f"{sizes.constants:,}", "", ""])
    if sizes.firmware is not None:
        rows.append(["Firmware", f"{sizes.firmware:,}", *_room(sizes.firmware, board.image_size)])
        rows.append(["Flash: model and firmware", f"{sizes.model + sizes.firmware:,}", "", ""])
    rows.append(["Working memory (arena)", f"{sizes.arena:,}", *_room(sizes.arena, board.arena_size)])
    head = ["Part", "Bytes", "Room", "Used"]
    return section("Sizes and memory", table(f"Sizes in bytes, and the room on {board.title}", head, rows, (1, 2, 3)))


def _part(what: str) -> Markup:
    """Of the line above."""
    return Markup(f'<span class="part">{escape(what)}</span>')


def _room(size: int, room: int) -> list[str]:
    return [f"{room:,}", join([f"{size / room:,.1%}".replace("%", " %"), bar(size / room, size > room)])]


def baseline(comparison: Comparison | None) -> Markup:
    """Ratios and the difference of accuracies; nothing without a baseline."""
    if comparison is None:
        return Markup()
    ratios = comparison.ratios()
    rows: list[list[str]] = []
    for key, what in text.RATIOS.items():
        mine, theirs = (_figure(report, key) for report in (comparison.model, comparison.baseline))
        ratio = ratios[key]
        unit = ", bytes" if key.endswith("bytes") else ""
        rows.append([what[:1].upper() + what[1:] + unit, mine, theirs, "-" if ratio is None else f"{ratio:.2f}"])
    mine, theirs = comparison.model.accuracy, comparison.baseline.accuracy
    rows.append(["Top-1 accuracy", *(text.percent(a.top1) if a else "-" for a in (mine, theirs)), "-"])
    head = ["Figure", "This model", "Baseline", "Ratio"]
    caption = f"This model, and {comparison.baseline.name}. Ratio: how many times smaller this model is"
    said = table(caption, head, rows, (1, 2, 3))
    return section("Against the baseline", said, _difference(comparison))


def _difference(comparison: Comparison) -> Markup:
    found = comparison.accuracy
    if found is None:
        return Markup()
    low, high = found.interval
    kept = "" if comparison.kept is None else f" {text.percent(comparison.kept, 1)} of the baseline's accuracy is kept."
    return paragraph(
        f"Accuracy: {text.points(found.difference)} on the same {ui.counted(found.images, 'image')} (95 % interval "
        f"{low * 100:+.1f} to {high * 100:+.1f}). {ui.counted(found.model_only, 'image')} only this model classified "
        f"right, {found.baseline_only:,} only the baseline.{kept}"
    )


def _figure(report: Report, key: str) -> str:
    """A report's figure by the name of its ratio."""
    sizes = report.sizes
    values = {
        "onnx_bytes": sizes.onnx,
        "model_bytes": sizes.model,
        "weight_bytes": sizes.weights,
        "arena_bytes": sizes.arena,
        "parameters": report.parameters,
        "nonzero": report.nonzero,
        "macs": report.macs,
    }
    if key == "latency_ms":
        return "-" if report.latency is None else f"{report.latency.ms:,.1f} ms"
    value = values[key]
    return "-" if value is None else f"{value:,}"


def layers(report: Report) -> Markup:
    """The table of operators."""
    latency = report.latency
    head = ["Operator", "Kernel", "Output", "MACs", "Parameters", "Zeros", "Bytes"]
    if latency is not None:
        head.append("ms")
    rows: list[list[str]] = []
    for layer in report.layers:
        row = [_operator(layer.name), layer.kernel, "x".join(map(str, layer.shape)), _some(layer.macs)]
        row += [_some(layer.parameters), text.percent(layer.zero_share, 1), _some(layer.weight_bytes)]
        if latency is not None:
            row.append("-" if layer.cycles is None else f"{layer.cycles * 1000 / latency.clock_hz:,.2f}")
        rows.append(row)
    caption = "In the order in which they run on the device. MACs: multiply-adds. Bytes: of weights"
    caption += "" if latency is None else ". ms: estimated milliseconds"
    return section("Operators", table(caption, head, rows, range(3, len(head))))


def histograms(report: Report) -> Markup:
    """Each layer's weights."""
    layers = [layer for layer in report.layers if layer.histogram is not None]
    figures = [_histogram(layer) for layer in layers[:_HISTOGRAMS]]
    if not figures:
        return Markup()
    unit = "in quantization steps" if report.kind == "int8" else "as stored"
    said = f"Weights that are not zero, {unit}, from the least to the greatest; zeros are counted below each."
    left = len(layers) - len(figures)
    more = f" The first {len(figures):,} of {len(layers):,} operators." if left else ""
    return section("Weights", paragraph(said + more, "muted"), grid(figures, "grid wide"))


def _histogram(layer: Layer) -> Markup:
    assert layer.histogram is not None
    zeros = text.percent(layer.zero_share, 1)
    about = f"Histogram of the {layer.parameters:,} weights of {layer.name}; {zeros} are zero"
    odd = layer.histogram.not_finite
    infinite = f", {odd:,} not finite" if odd else ""
    caption = join(
        [Markup(f"<b>{_operator(layer.name)}</b><br>"), f"{layer.parameters:,} weights, {zeros} zero{infinite}"]
    )
    return figure(charts.histogram(layer.histogram, about), caption)


def _some(number: int) -> str:
    return f"{number:,}" if number else "-"


def _operator(title: str) -> Markup:
    """An operator's name; of one that an exporter made of many, both ends, and the whole when pointed at."""
    short = shorten(title, _LONGEST)
    return name(title) if short == title else Markup(f'<span title="{escape(title)}">{name(short)}</span>')
