"""What compression did to the digits, as committed: the bars hold, and the page says what the script measured."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from onnxino_tools.report import measure
from tests.conftest import ROOT

DIGITS = ROOT / "examples" / "digits"
PAGE = (ROOT / "docs" / "compressing.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return json.loads((DIGITS / "compressed.json").read_text(encoding="utf-8"))


def test_the_bars_hold(found: dict[str, Any]) -> None:
    assert found["quick"] is False
    before, after = found["half"]["accuracy"]
    assert before - after <= 0.02
    assert found["half"]["macs"][1] <= found["half"]["macs"][0] / 2
    assert found["tenth"]["weight_bytes"][1] <= found["tenth"]["weight_bytes"][0] / 10
    before, after = found["tenth"]["accuracy"]
    assert after / before >= 0.9
    assert all(found["bars"].values())


def test_the_page_says_what_was_measured(found: dict[str, Any]) -> None:
    half, tenth = found["half"], found["tenth"]
    for part, sizes in ((half, half["macs"]), (tenth, tenth["weight_bytes"])):
        row = " | ".join(f"{100 * share:.1f} %, {size:,}" for share, size in zip(part["accuracy"], sizes, strict=True))
        assert row in PAGE
    for one in found["distil"]:
        plain, distilled = np.array(one["plain"]), np.array(one["distilled"])
        assert len(plain) == len(distilled) == 5
        difference = distilled - plain
        error = difference.std(ddof=1) / np.sqrt(5)
        assert one["mean_difference"] == pytest.approx(difference.mean())
        assert one["standard_error"] == pytest.approx(error)
        assert one["proven"] is bool(difference.mean() > 2.776 * error)  # Student's t, 4 degrees of freedom
        figures = f"{100 * plain.mean():.2f} % | {100 * distilled.mean():.2f} % | {100 * difference.mean():+.2f} points"
        assert f"| {one['images']:,} | {figures} | {100 * error:.2f} | {'yes' if one['proven'] else 'no'} |" in PAGE


def test_the_committed_network_is_the_one_that_was_measured(found: dict[str, Any]) -> None:
    report = measure(DIGITS / "digits.onnx", DIGITS / "digits_test.npz", latency=False)
    assert report.accuracy is not None
    assert report.accuracy.top1 == pytest.approx(found["half"]["accuracy"][0], abs=0.001)
    assert report.macs == found["half"]["macs"][0]
    assert report.sizes.weights == found["tenth"]["weight_bytes"][0]
