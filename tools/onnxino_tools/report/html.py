"""The report as one HTML file: no script, no request, light and dark, for screens, phones and paper."""

from __future__ import annotations

from pathlib import Path

from onnxino import __version__
from onnxino_tools import ui
from onnxino_tools.report import html_data, html_model, text
from onnxino_tools.report.markup import Markup, escape, join, name, paragraph, section
from onnxino_tools.report.report import Report
from onnxino_tools.transport import BAUD_RATE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(report: Report, *more: Markup) -> str:
    """The whole page. The same report gives the same text. more: sections of a caller, put behind the first figures."""
    style = Path(__file__).with_name("style.css").read_text("utf-8")
    title = f"{report.name}: Onnxino report"
    body = join(
        [
            _header(report),
            _cards(report),
            _notes(report),
            *more,
            html_model.baseline(report.comparison),
            html_model.sizes(report),
            html_data.classes(report),
            html_data.confusion(report),
            html_data.wrong_images(report),
            html_data.outputs(report),
            html_model.layers(report),
            html_model.histograms(report),
            _about(report),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        f"<footer>Made by Onnxino {escape(__version__)}. Model file SHA-256: {escape(report.sha256)}</footer>\n"
        "</body>\n</html>\n"
    )


def _header(report: Report) -> Markup:
    file = "" if report.file is None else Path(report.file).name
    ports = "; ".join(f"{port['name']} [{', '.join(map(str, port['shape']))}]" for port in report.inputs)
    lines = [f"{report.kind} model", file, f"input {ports}"]
    parts = [Markup(f"<header>\n<h1>{name(report.name)}</h1>\n"), paragraph(", ".join(filter(None, lines)), "muted")]
    if report.data is not None:
        data = report.data
        said = f"Measured on {ui.counted(data.images, 'image')} of {Path(data.source).name}"
        parts.append(paragraph(f"{said}{text.split_text(report)}. Input: {data.input}.", "muted"))
    return join([*parts, Markup("</header>\n")])


def _cards(report: Report) -> Markup:
    """The figures that one looks for first: (what, value, what is said below)."""
    sizes, found = report.sizes, report.accuracy
    cards: list[tuple[str, str, str]] = []
    if found is not None:
        low, high = found.interval
        under = f"{found.correct:,} of {found.images:,}; 95 % interval {low * 100:.1f} to {high * 100:.1f} %"
        cards.append(("Top-1 accuracy", text.percent(found.top1), under))
    if report.comparison is not None:
        ratio = report.comparison.ratios()["weight_bytes"]
        if ratio is not None:
            kept = report.comparison.kept
            under = "" if kept is None else f"{text.percent(kept, 1)} of its accuracy kept"
            cards.append(("Weights, against the baseline", f"{ratio:.2f} times", f"smaller; {under}".rstrip("; ")))
    cards.append(("Model file", _kilobytes(sizes.model), f"{sizes.model:,} bytes of flash"))
    cards.append(("Working memory", _kilobytes(sizes.arena), f"{sizes.arena:,} bytes of RAM"))
    if report.latency is not None:
        under = f"{report.latency.cycles:,} cycles at {report.latency.clock_hz / 1e6:g} MHz"
        cards.append(("Latency, estimated", f"{report.latency.ms:,.1f} ms", under))
    cards.append(("Multiply-adds", _millions(report.macs), f"{report.macs:,} for one input"))
    cards.append(("Parameters", _millions(report.parameters), f"{report.nonzero:,} not zero"))
    upload = report.upload
    if upload is not None:
        cards.append(("Upload, estimated", f"{upload.usb_s:.1f} s", f"over USB; {upload.uart_s:.1f} s over UART"))
    boxes = [
        Markup(
            f'<div><dt>{escape(what)}</dt><dd class="value">{escape(value)}</dd>'
            f'<dd class="under">{escape(_unbroken(under))}</dd></div>\n'
        )
        for what, value, under in cards
    ]
    return Markup(f'<dl class="cards">\n{join(boxes)}</dl>\n')


def _notes(report: Report) -> Markup:
    if not report.notes:
        return Markup()
    items = join(Markup(f"<li>{escape(note[:1].upper() + note[1:])}</li>\n") for note in report.notes)
    return Markup(f'<div class="notes" role="note">\n<ul>\n{items}</ul>\n</div>\n')


def _about(report: Report) -> Markup:
    lines = [
        "Accuracy: from the outputs of the model file on this computer, which are the board's to the byte. Wilson's "
        "interval: 95 % of such intervals hold the true accuracy.",
        "Weights count neither biases nor scales; in bytes they are as the device stores them, padding included.",
        "Latency: cycles of one inference as the emulator of the board counts them; an estimate, no measurement.",
        f"Upload: an estimate, from the protocol's frames at {BAUD_RATE:,} baud (UART) or from the time "
        "that a byte takes in the emulator (USB), and from the longest times that the flash needs to erase and write.",
    ]
    return section("How this was measured", *(paragraph(line, "about") for line in lines))


def _kilobytes(size: int) -> str:
    return f"{size:,} B" if size < 1024 else f"{size / 1024:,.1f} KB"


def _millions(number: int) -> str:
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:,.1f} k" if number < 1_000_000 else f"{number / 1e6:,.2f} M"


def _unbroken(text: str) -> str:
    """Numbers stay on the line of their unit."""
    return text.replace(" %", "\u00a0%").replace(" s ", "\u00a0s ")
