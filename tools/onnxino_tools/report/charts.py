"""The report's pictures as SVG: confusion matrix, histograms of weights, signals. Colours are those of style.css."""

from __future__ import annotations

from collections.abc import Sequence

from onnxino_tools.report.layers import Histogram
from onnxino_tools.report.markup import Markup, escape, visible

_NUMBERED = 24  # classes up to which cells hold their count
_LONGEST = 14  # characters of a class name beside the matrix
HEAT = 0.55  # opacity of the fullest cell that holds a number: ink on it stays readable
_SIDE = 640  # of a matrix without numbers, in pixels


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    """Rows: labels; columns: predictions. The deeper a cell's colour, the larger its share of the row: blue where
    right, orange elsewhere."""
    count = len(matrix)
    numbered = count <= _NUMBERED
    cell = 46 if count <= 12 else 36 if numbered else max(_SIDE / count, 3)
    named = cell >= 11
    short = [_short(name) for name in names]
    room = 8 + 7.5 * max(map(len, short)) if named else 24
    left, top = room + 20, room * 0.75 + 40
    right = room * 0.75 if named else 8
    heat = HEAT if numbered else 1.0
    width, height = left + count * cell + right, top + count * cell + 6
    parts = [
        _text(left + count * cell / 2, 15, "predicted class", "middle", 13, "quiet"),
        f'<text class="quiet" font-size="13" text-anchor="middle" '
        f'transform="translate(14 {top + count * cell / 2:.1f}) rotate(-90)">true class</text>',
    ]
    for k in range(count if named else 0):
        middle = (k + 0.5) * cell
        size = min(13.0, cell * 0.9)
        parts.append(_text(left - 6, top + middle + size * 0.35, short[k], "end", size))
        parts.append(
            f'<text font-size="{size:.1f}" transform="translate({left + middle + size * 0.3:.1f} {top - 6:.1f}) '
            f'rotate(-45)">{escape(short[k])}</text>'
        )
    for label, row in enumerate(matrix):
        total = sum(row)
        for predicted, times in enumerate(row):
            x, y = left + predicted * cell, top + label * cell
            if times or numbered:
                parts.append(_cell(x, y, cell, times / total if total else 0.0, label == predicted, heat))
            if numbered and times:
                parts.append(_text(x + cell / 2, y + cell / 2 + 4.5, f"{times:,}", "middle", _fitting(times, cell)))
    side = f"{count * cell:.1f}"
    frame = f'<rect class="axis" fill="none" x="{left:.1f}" y="{top:.1f}" width="{side}" height="{side}"/>'
    about = f"Confusion matrix of {count} classes; each row is a true class, each column a predicted one"
    return _svg("matrix", width, height, about, [*parts, frame], fixed=True)


def histogram(values: Histogram, about: str) -> Markup:
    """Bars of the weights that are not zero."""
    width, height, base = 255.0, 86.0, 70.0
    step, most = width / len(values.counts), max([*values.counts, 1])
    parts: list[str] = []
    for k, count in enumerate(values.counts):
        if count:
            tall = max(60 * count / most, 1)  # what occurs is seen
            parts.append(
                f'<rect class="right" x="{k * step:.1f}" y="{base - tall:.1f}" width="{step - 0.6:.1f}" '
                f'height="{tall:.1f}"/>'
            )
    parts.append(f'<line class="axis" x1="0" y1="{base:g}" x2="{width:g}" y2="{base:g}"/>')
    end = f"{values.end:.3g}" if values.unit == "value" else "127"
    parts += [
        _text(2, height - 4, f"-{end}", "start", 11, "quiet"),
        _text(width / 2, height - 4, "0", "middle", 11, "quiet"),
        _text(width - 2, height - 4, end, "end", 11, "quiet"),
    ]
    return _svg("histogram", width, height, about, parts)


def signal(line: Sequence[float], about: str) -> Markup:
    """A signal as a line; its heights are 0 to 1."""
    step = 100 / max(len(line) - 1, 1)
    points = " ".join(f"{k * step:.1f},{94 - 88 * value:.1f}" for k, value in enumerate(line))
    return _svg("signal", 100, 100, about, [f'<polyline points="{points}"/>'])


def _cell(x: float, y: float, side: float, share: float, right: bool, heat: float) -> str:
    # What occurs at all is told from what does not.
    opacity = heat * (0.08 + 0.92 * share) if share else 0.0
    kind = "right" if right else "wrong"
    return (
        f'<rect class="cell {kind}" x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" '
        f'fill-opacity="{opacity:.2f}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, size: float, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return (
        f'<text{attribute} x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _fitting(number: int, cell: float) -> float:
    """Size of a number that fits its cell."""
    return min(13.0, (cell - 4) / (0.62 * len(f"{number:,}")))


def _short(name: str) -> str:
    text = visible(name)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _svg(kind: str, width: float, height: float, about: str, parts: Sequence[str], fixed: bool = False) -> Markup:
    size = f' width="{width:.0f}" height="{height:.0f}"' if fixed else ""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width:.1f} {height:.1f}"{size} role="img" aria-label="{escape(about)}">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )
