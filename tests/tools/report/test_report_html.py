"""The page: well-formed, self-contained, without script; what others named is text and nothing else; accessible."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from onnxino_tools.data import Dataset
from onnxino_tools.report import measure
from onnxino_tools.report.charts import HEAT
from onnxino_tools.report.html import render
from onnxino_tools.report.markup import name, visible
from tests.tools.report.models import images, linear, pictures, signals
from tests.tools.report.page import Page

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
STYLE = Path(__file__).parents[3] / "tools" / "onnxino_tools" / "report" / "style.css"
NASTY = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "a&amp;b 'c' </table>", "\u202eright\x1b[31m\0"]


@pytest.fixture(scope="module")
def digits() -> str:
    model = DIGITS / "digits_int8.onnx"
    return render(measure(model, DIGITS / "digits_test.npz", baseline=model, latency=False))


def pages(digits: str) -> list[str]:
    """Of every kind of data."""
    nasty = Dataset(images(), "<data>.npz", np.arange(20) % 4, names=[f"<i>{k}.png" for k in range(20)])
    return [
        digits,
        render(measure(linear((3, 8, 8), 4), latency=False)),
        render(measure(linear((3, 8, 8), 4), Dataset(images(), "no labels"), latency=False)),
        render(measure(linear((40,), 4), signals(), baseline=linear((3, 8, 8), 4), latency=False)),
        render(measure(linear((3, 8, 8), 4, labels=NASTY, name="<b>net</b>"), nasty, latency=False)),
        render(measure(linear((3, 8, 8), 1), pictures("a"), latency=False)),
    ]


def test_well_formed_and_self_contained(digits: str) -> None:
    for content in pages(digits):
        page = Page(content)
        assert page.errors == []
        outside = re.sub(r'src="data:image/png;base64,[A-Za-z0-9+/=]*"', "", content)
        assert not re.search(r"https?:|//|@import|url\(", outside)
        assert not page.of("script", "link", "iframe", "object", "embed", "form", "base", "audio", "video")
        names = {(tag, name) for tag, attributes in page.elements for name in attributes}
        assert not [name for _, name in names if name.startswith("on")]
        assert {pair for pair in names if pair[1] in ("src", "href", "srcset", "data", "action")} <= {("img", "src")}
        assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.of("img"))
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        policy = next(m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert policy.startswith("default-src 'none'")
        assert "script" not in policy


def test_what_others_named_is_text(digits: str) -> None:
    content = pages(digits)[4]
    page = Page(content)
    assert page.errors == []
    shown = [int(number) for number in re.findall(r"image (\d+), <i>\1\.png", page.text)]
    assert len(shown) == 12
    for title in (*map(visible, NASTY), "<data>.npz"):
        assert title in page.text, title
    assert "<i>" not in content
    assert "\0" not in content
    assert "\x1b" not in content
    content.encode("utf-8")


def test_halves_of_characters_are_no_error(tmp_path: Path) -> None:
    """File names that are not UTF-8 come as lone surrogates."""
    data = Dataset(images(), "caf\udce9.npz", np.arange(20) % 4, ["\udcff", "b", "c", "d"])
    assert "\ufffd" in render(measure(linear((3, 8, 8), 4), data, latency=False)).encode().decode()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("/stem/stem.0/Conv", ["/stem", "/stem.0", "/Conv"]),
        ("/ReduceMean", ["/ReduceMean"]),
        ("model.features.3", ["model.", "features.3"]),
        ("StatefulPartitionedCall_1", ["StatefulPartitionedCall_", "1"]),
        ("W" * 30, ["W" * 24, "W" * 6]),
        ("paper box", ["paper box"]),
        ("a<b/c", ["a&lt;b", "/c"]),
    ],
)
def test_lines_of_a_name_end_between_its_parts(text: str, lines: list[str]) -> None:
    assert name(text) == f"<bdi>{'<wbr>'.join(lines)}</bdi>"


def test_accessible(digits: str) -> None:
    for content in pages(digits):
        page = Page(content)
        assert page.of("html")[0]["lang"] == "en"
        assert len(page.of("h1")) == len(page.of("main")) == len(page.of("title")) == 1
        assert all(image["alt"] for image in page.of("img"))
        assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.of("svg"))
        assert all(th["scope"] in ("col", "row") for th in page.of("th"))
        assert len(page.of("caption")) == len(page.of("table"))
        assert not re.search(r"<th[^>]*></th>", content)
        assert all(
            box["tabindex"] == "0" and box["aria-label"] for box in page.of("div") if box.get("class") == "scroll"
        )


def test_the_same_report_gives_the_same_page() -> None:
    first, second = (render(measure(linear((3, 8, 8), 4), pictures(), latency=False)) for _ in range(2))
    assert first == second


def test_figures_of_the_report_are_on_the_page(digits: str) -> None:
    text = " ".join(Page(digits).text.replace("\u00a0", " ").split())
    report = measure(DIGITS / "digits_int8.onnx", DIGITS / "digits_test.npz", latency=False)
    assert report.accuracy is not None
    for figure in (
        f"{report.accuracy.top1 * 100:.2f} %",
        f"{report.accuracy.correct:,} of 1,000",
        f"{report.sizes.model:,} bytes of flash",
        f"{report.macs:,} for one input",
        f"{report.nonzero:,} not zero",
        report.sha256,
        *(layer.name for layer in report.layers),
    ):
        assert figure in text, figure
    assert len(Page(digits).of("img")) == len(report.wrong) == report.wrong_total == 13


def themes() -> dict[str, dict[str, str]]:
    """The colours of light, dark and print, by name."""
    blocks = re.findall(r":root \{([^}]*)\}", STYLE.read_text("utf-8"))
    found = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]
    assert len(found) == 3
    return dict(zip(("light", "dark", "print"), found, strict=True))


def luminance(colour: tuple[float, float, float]) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def rgb(text: str) -> tuple[float, float, float]:
    r, g, b = (int(text[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return r, g, b


def contrast(first: tuple[float, float, float], second: tuple[float, float, float]) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_contrast(theme: str) -> None:
    """WCAG AA: text 4.5, also on the fullest cell of the confusion matrix; graphics 3."""
    colours = {name: rgb(value) for name, value in themes()[theme].items()}
    for ground in ("page", "surface"):
        for ink in ("ink", "muted"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for ink in ("right", "wrong"):
            assert contrast(colours[ink], colours[ground]) >= 3, (ink, ground)
    for fill in ("right", "wrong"):
        r, g, b = (HEAT * f + (1 - HEAT) * p for f, p in zip(colours[fill], colours["page"], strict=True))
        assert contrast(colours["ink"], (r, g, b)) >= 4.5, fill
