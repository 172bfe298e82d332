"""The page in a real browser: nothing is requested or wider than the page, pictures are shown, words are whole."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxino_tools.data import Dataset
from onnxino_tools.report import measure
from onnxino_tools.report.html import render
from tests.tools.report.models import linear

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

# Looks at the page from within, in place of the policy that forbids scripts: the page itself has none.
_PROBE = """<script>addEventListener("load", () => {
  const page = document.documentElement, all = [...document.body.querySelectorAll("*")];
  const inside = e => !e.closest(".scroll") || e.matches(".scroll");
  const wide = all.filter(e => inside(e) && e.getBoundingClientRect().right > innerWidth + 1);
  const hint = document.querySelector(".hint"), matrix = document.querySelector("svg.matrix").getBoundingClientRect();
  // An operator's name in one box for each part of its path: more of them are broken words.
  const lines = e => { const r = document.createRange(); r.selectNodeContents(e); return r.getClientRects().length; };
  const torn = [...document.querySelectorAll("tbody th bdi")].filter(e => lines(e) > e.childNodes.length);
  parent.postMessage(JSON.stringify({
    file: location.pathname.split("/").pop(),
    width: innerWidth, scroll: page.scrollWidth, wide: wide.map(e => e.outerHTML.slice(0, 80)),
    broken: [...document.images].filter(i => !i.naturalWidth).length, images: document.images.length,
    requests: performance.getEntriesByType("resource").filter(r => !r.name.startsWith("data:")).map(r => r.name),
    matrix: matrix.right, hint: getComputedStyle(hint).display, torn: torn.map(e => e.textContent),
    background: getComputedStyle(document.body).backgroundColor, svgs: document.querySelectorAll("svg").length,
  }), "*");
});</script>"""


def browse(*arguments: str) -> str:
    assert BROWSER is not None
    options = ["--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # it refuses to run as root otherwise
    done = subprocess.run([BROWSER, *options, *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def look(folder: Path, frames: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """What the probe finds in each (page, width): in frames, for a window has a least width."""
    parts: list[str] = []
    for number, (page, width) in enumerate(frames):
        content, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', _PROBE, page)
        assert count == 1
        (folder / f"{number}.html").write_text(content, "utf-8")
        parts.append(f'<iframe style="border:0" width="{width}" height="900" src="{number}.html"></iframe>')
    outer = folder / "outer.html"
    collect = "addEventListener('message', e => document.body.append(Object.assign("
    collect += "document.createElement('pre'), {textContent: e.data})));"
    outer.write_text(f"<body><script>{collect}</script>{''.join(parts)}", "utf-8")
    shown = browse("--virtual-time-budget=20000", "--dump-dom", outer.as_uri())
    found = [json.loads(html.unescape(text)) for text in re.findall(r"<pre>(.*?)</pre>", shown, re.DOTALL)]
    assert len(found) == len(frames), shown[-1000:]
    return sorted(found, key=lambda one: [f"{n}.html" for n in range(len(frames))].index(one["file"]))


@pytest.fixture(scope="module")
def digits() -> str:
    model = DIGITS / "digits_int8.onnx"
    return render(measure(model, DIGITS / "digits_test.npz", baseline=model, latency=False))


def test_page(digits: str, tmp_path: Path) -> None:
    """At two widths, and with very long names."""
    classes = ["W" * 200, "a name of many words " * 10, "c", "d"]
    data = Dataset(np.zeros((8, 8, 8, 3), np.uint8), "x" * 150, np.arange(8) % 4, classes, names=["y" * 180] * 8)
    long = render(measure(linear((3, 8, 8), 4, name="z" * 120), data, latency=False))
    for found, width in zip(
        look(tmp_path, [(digits, 400), (digits, 1200), (long, 400)]), (400, 1200, 400), strict=True
    ):
        assert found["width"] == found["scroll"] == width
        assert found["wide"] == []
        assert found["requests"] == []
        assert found["broken"] == 0
        assert found["hint"] == ("block" if width == 400 else "none")
        assert found["matrix"] < width
        assert found["torn"] == [] or found["file"] == "2.html"
        assert found["images"] == (13 if found["file"] != "2.html" else 6)
        assert found["svgs"] > 1


def test_screenshot(digits: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(digits, "utf-8")
    browse(f"--screenshot={tmp_path / 'page.png'}", "--window-size=1200,900", page.as_uri())
    image = pytest.importorskip("PIL.Image")
    with image.open(tmp_path / "page.png") as file:
        colours = file.convert("RGB").getcolors(1 << 24)
    assert len(colours) > 20  # it is not blank
