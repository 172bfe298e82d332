"""Pieces of HTML: text of models and data is escaped here, and nowhere is it put in otherwise."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

_MANY = 7  # columns that are too wide for a phone
_BREAKS = re.compile(r"(?<=[^/\s])(?=/)|(?<=[_:])(?=[^_:/\s])|(?<=\.)(?=[^\W\d])")
_LONG = re.compile(r"([^\s\0]{24})(?=[^\s\0])")


def shorten(text: str, longest: int) -> str:
    """The text, or its two ends with an ellipsis in place of what is too much between them."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[-tail:]}"


class Markup(str):
    """HTML that is finished: not escaped again."""

    __slots__ = ()


def visible(text: str) -> str:
    """The text without what is no character: control characters and halves of surrogate pairs become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def escape(text: str) -> Markup:
    """Text as HTML; finished HTML as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text)))


def name(text: str) -> Markup:
    """A name that somebody else chose, so that its writing direction stays its own. Its lines end between the parts
    of a path, and within a part only where that is very long."""
    marked = _LONG.sub("\\1\0", _BREAKS.sub("\0", visible(text)))  # visible text has no NUL
    return Markup(f"<bdi>{'<wbr>'.join(map(html.escape, marked.split(chr(0))))}</bdi>")


def join(parts: Iterable[str], between: str = "") -> Markup:
    """Puts pieces together."""
    return Markup(between.join(escape(part) for part in parts))


def section(title: str, *parts: str) -> Markup:
    """A part of the page with its heading; nothing where all parts are empty."""
    body = join(part for part in parts if part)
    return Markup(f"<section>\n<h2>{escape(title)}</h2>\n{body}</section>\n") if body else Markup()


def paragraph(text: str, kind: str = "") -> Markup:
    """A paragraph."""
    return Markup(f"<p{_class(kind)}>{escape(text)}</p>\n")


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = (), kind: str = "full"
) -> Markup:
    """A table that scrolls by itself where it is wider than the page, and shows it; each row begins with its heading.

    numbers: columns that are aligned to the right.
    """
    right = set(numbers)

    def cell(tag: str, column: int, text: str, scope: str = "") -> str:
        return f"<{tag}{scope}{_class('number' if column in right else '')}>{escape(text)}</{tag}>"

    top = "".join(cell("th", k, text, ' scope="col"') for k, text in enumerate(head))
    lines: list[str] = []
    for row in rows:
        first = cell("th", 0, row[0], ' scope="row"')
        lines.append(f"<tr>{first}{''.join(cell('td', k, text) for k, text in enumerate(row[1:], 1))}</tr>\n")
    hint = '<span class="hint"> Wider than the page: scroll sideways.</span>' if len(head) >= _MANY else ""
    return Markup(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">\n'
        f"<table{_class(kind)}>\n<caption><span>{escape(caption)}{hint}</span></caption>\n"
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table>\n</div>\n"
    )


def bar(share: float, over: bool = False) -> Markup:
    """A share of 1 as a bar beside its number, which says the same: hidden from screen readers."""
    width = min(max(share, 0.0), 1.0) * 100
    kind = "bar over" if over else "bar"
    return Markup(f'<span class="{kind}" aria-hidden="true"><i style="width:{width:.1f}%"></i></span>')


def figure(picture: str, caption: str) -> Markup:
    """A picture with what it shows."""
    return Markup(f"<figure>\n{escape(picture)}\n<figcaption>{escape(caption)}</figcaption>\n</figure>\n")


def grid(figures: Iterable[str], kind: str = "grid") -> Markup:
    """Figures side by side."""
    return Markup(f"<div{_class(kind)}>\n{join(figures)}</div>\n")


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
