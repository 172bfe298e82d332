"""The report's pictures as SVG: confusion matrix, histograms of weights, signals. Colours are those of style.css."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnxino_tools.report.layers import Histogram
from onnxino_tools.report.markup import Markup, escape, shorten, visible

_NUMBERED = 24  # classes up to which cells hold their count
_LONGEST = 14  # characters of a class name beside the matrix
HEAT = 0.55  # opacity of the fullest cell that holds a number: ink on it stays readable
_SIDE = 640  # of a matrix without numbers, in pixels
_LEAST = 0.6  # of its size: a matrix with names is not shrunk further on a narrow page, it scrolls


@dataclass(frozen=True)
class _Matrix:
    """Where things are: names beside the cells where these are wide enough, slanted above wide ones, else upright."""

    names: list[str]

    @property
    def cell(self) -> float:
        count = len(self.names)
        return 46 if count <= 12 else 36 if self.numbered else max(_SIDE / count, 3)

    @property
    def numbered(self) -> bool:
        return len(self.names) <= _NUMBERED

    @property
    def named(self) -> bool:
        return self.cell >= 11

    @property
    def angle(self) -> int:
        return -45 if self.cell >= 24 else -90

    @property
    def text_size(self) -> float:
        return min(13.0, self.cell * 0.8)

    @property
    def room(self) -> float:
        """Pixels for the longest name."""
        return 8 + 0.58 * self.text_size * max(map(len, self.names)) if self.named else 8

    @property
    def left(self) -> float:
        return self.room + 20

    @property
    def top(self) -> float:
        return (self.room * 0.75 if self.angle == -45 else self.room) + 32

    @property
    def side(self) -> float:
        return self.cell * len(self.names)

    @property
    def right(self) -> float:
        """What the last slanted name needs beyond the cells."""
        return self.room * 0.75 if self.angle == -45 else 8


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    """Rows: labels; columns: predictions. The deeper a cell's colour, the larger its share of the row: blue where
    right, orange elsewhere."""
    at = _Matrix([shorten(visible(name), _LONGEST) for name in names])
    parts = _names(at)
    for label, row in enumerate(matrix):
        total = sum(row)
        for predicted, times in enumerate(row):
            x, y = at.left + predicted * at.cell, at.top + label * at.cell
            if times or at.numbered:
                heat = HEAT if at.numbered else 1.0
                parts.append(_cell(x, y, at.cell, times / total if total else 0.0, label == predicted, heat))
            if times and at.numbered:
                middle = x + at.cell / 2, y + at.cell / 2 + 4.5
                parts.append(_text(*middle, f"{times:,}", "middle", _fitting(times, at.cell)))
    parts.append(
        f'<rect class="axis" fill="none" x="{at.left:.1f}" y="{at.top:.1f}" width="{at.side:.1f}" '
        f'height="{at.side:.1f}"/>'
    )
    about = f"Confusion matrix of {len(names)} classes; each row is a true class, each column a predicted one"
    width, height = at.left + at.side + at.right, at.top + at.side + 6
    least = f";min-width:{_LEAST * width:.0f}px" if at.named else ""
    return _svg("matrix", width, height, about, parts, f' style="width:{width:.0f}px{least}"')


def _names(at: _Matrix) -> list[str]:
    """What rows and columns are, and their names."""
    parts = [
        _text(at.left + at.side / 2, 15, "predicted class", "middle", 13, "quiet"),
        f'<text class="quiet" font-size="13" text-anchor="middle" '
        f'transform="translate(14 {at.top + at.side / 2:.1f}) rotate(-90)">true class</text>',
    ]
    for k, name in enumerate(at.names if at.named else []):
        middle, size = (k + 0.5) * at.cell, at.text_size
        parts.append(_text(at.left - 6, at.top + middle + size * 0.35, name, "end", size))
        parts.append(
            f'<text font-size="{size:.1f}" transform="translate({at.left + middle + size * 0.35:.1f} '
            f'{at.top - 6:.1f}) rotate({at.angle})">{escape(name)}</text>'
        )
    return parts


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


def _svg(kind: str, width: float, height: float, about: str, parts: Sequence[str], size: str = "") -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width:.1f} {height:.1f}"{size} role="img" aria-label="{escape(about)}">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )
