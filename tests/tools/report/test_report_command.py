"""onnxino report: what it prints, its JSON, its files, and what it says of mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.tools.conftest import Command
from tests.tools.report.models import linear

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL, DATA = DIGITS / "digits_int8.onnx", DIGITS / "digits_test.npz"

KEYS: dict[str, set[str]] = {
    "": {
        *("report_version", "onnxino", "model", "sizes", "parameters", "nonzero", "macs", "board", "latency"),
        *("upload", "data", "outputs", "accuracy", "classes", "layers", "wrong", "baseline", "notes"),
    },
    "model": {"name", "file", "kind", "sha256", "inputs"},
    "sizes": {
        *("onnx_bytes", "model_bytes", "firmware_bytes", "flash_bytes", "arena_bytes"),
        *("weight_bytes", "constant_bytes"),
    },
    "board": {"name", "fits", "model_bytes", "arena_bytes", "flash_over", "arena_over"},
    "latency": {"ms", "cycles", "clock_hz", "estimate", "note"},
    "upload": {"uart_s", "usb_s", "flash_s", "line_bytes", "requests", "baud_rate"},
    "data": {"source", "split", "images", "input", "backend"},
    "accuracy": {"top1", "correct", "images", "interval95", "without_class", "confusion_matrix", "mistakes"},
    "wrong": {"total", "shown"},
    "baseline": {
        *("name", "file", "kind", "onnx_bytes", "model_bytes", "weight_bytes", "arena_bytes", "parameters", "nonzero"),
        *("macs", "latency_ms", "top1", "ratios", "accuracy_kept", "accuracy_difference"),
    },
    "outputs.0": {"name", "shape", "min", "max", "mean", "not_a_number"},
    "classes.0": {"name", "images", "predicted", "precision", "recall"},
    "layers.0": {
        *("name", "kernel", "shape", "macs", "parameters", "nonzero", "weight_bytes", "cycles", "histogram"),
    },
    "layers.0.histogram": {"from", "to", "unit", "counts"},
    "accuracy.mistakes.0": {"label", "prediction", "count"},
    "wrong.shown.0": {"index", "source_index", "name", "label", "prediction", "confidence"},
    "baseline.accuracy_difference": {
        *("difference", "standard_error", "interval95", "model_only_right", "baseline_only_right", "images"),
    },
    "baseline.ratios": {
        *("onnx_bytes", "model_bytes", "weight_bytes", "arena_bytes", "parameters", "nonzero", "macs", "latency_ms"),
    },
}


def at(value: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        value = value[int(part) if part.isdigit() else part]
    return value


@pytest.fixture
def linear_file(tmp_path: Path) -> Path:
    path = tmp_path / "linear.onnx"
    onnx.save(linear((3, 8, 8), 4), str(path))
    return path


def test_text(onnxino: Command) -> None:
    code, out, err = onnxino("report", MODEL, "--data", DATA, "--no-latency")
    assert code == 0, err
    assert "98.70 % (987 of 1,000 images; 95 % interval 97.8 to 99.2 %)" in out
    for row in ("ONNX file", "model file", "with the firmware", "working memory", "multiply-adds", "most frequent"):
        assert row in out
    assert "no latency: not asked for" in out


def test_json(onnxino: Command) -> None:
    """The keys that docs/reporting.md promises, and no others."""
    code, out, err = onnxino("report", MODEL, "--data", DATA, "--baseline", MODEL, "--no-latency", "--json")
    assert code == 0, err
    report = json.loads(out)
    for path, keys in KEYS.items():
        assert set(at(report, path)) == keys, path
    assert report["report_version"] == 1
    assert (report["accuracy"]["correct"], report["accuracy"]["images"]) == (987, 1000)
    assert np.array(report["accuracy"]["confusion_matrix"]).trace() == 987
    assert len(report["wrong"]["shown"]) == report["wrong"]["total"] == 13
    assert report["latency"] == {
        "ms": None,
        "cycles": None,
        "clock_hz": None,
        "estimate": True,
        "note": "no latency: not asked for",
    }


def test_the_documentation_names_every_key() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reporting.md").read_text("utf-8")
    missing = [f"{path}.{key}" for path, keys in KEYS.items() for key in keys if f"`{key}`" not in text]
    assert missing == []


def test_html(onnxino: Command, tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    code, out, err = onnxino("report", MODEL, "--data", DATA, "--no-latency", "--html", target, "--thumbnails", 5)
    assert code == 0, err
    assert str(target) in out
    content = target.read_text("utf-8")
    assert content.count("<img ") == 5
    assert "13 images wrong, 5 shown" in content
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_no_thumbnails(onnxino: Command, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    options = ("--no-latency", "--html", target, "--thumbnails", 0, "--limit", 200)
    assert onnxino("report", MODEL, "--data", DATA, *options)[0] == 0
    assert "<img " not in target.read_text("utf-8")


def test_latency(onnxino: Command) -> None:
    pytest.importorskip("unicorn")
    code, out, _ = onnxino("report", MODEL, "--json")
    assert code == 0
    latency = json.loads(out)["latency"]
    assert latency["ms"] == round(latency["cycles"] / 64_000, 3) > 0
    assert "estimate: " in onnxino("report", MODEL)[1]


def test_pixel_options(onnxino: Command, linear_file: Path, tmp_path: Path) -> None:
    """Another scale gives other outputs."""
    data = tmp_path / "data.npz"
    np.savez(data, images=np.full((4, 8, 8, 3), 100, np.uint8), labels=np.arange(4))
    means: list[float] = []
    for options in ((), ("--scale", "1"), ("--scale", "1", "--mean", "100")):
        code, out, err = onnxino("report", linear_file, "--data", data, "--no-latency", "--json", *options)
        assert code == 0, err
        means.append(json.loads(out)["outputs"][0]["mean"])
    assert means[1] == pytest.approx(means[0] * 255, rel=1e-4)
    assert means[2] == 0


def test_a_folder_of_images(onnxino: Command, linear_file: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("a", "b", "c", "d"):
        (tmp_path / "data" / name).mkdir(parents=True)
        image.new("RGB", (20, 10), (9, 99, 200)).save(tmp_path / "data" / name / f"{name}.png")
    code, out, err = onnxino("report", linear_file, "--data", tmp_path / "data", "--no-latency", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["accuracy"]["images"] == 4
    first = report["wrong"]["shown"][0]
    assert first["name"].endswith(".png")
    assert first["source_index"] is None


def test_a_split(onnxino: Command, linear_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    split = np.array(["train", "test", "test", "val"])
    np.savez(data, images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.arange(4), split=split)

    def measured(*options: str) -> tuple[str | None, int, list[list[int]]]:
        """Split, images, and of the wrong ones where they are in the split and in the file."""
        code, out, err = onnxino("report", linear_file, "--data", data, "--no-latency", "--json", *options)
        assert code == 0, err
        report = json.loads(out)
        wrong = [[one["index"], one["source_index"]] for one in report["wrong"]["shown"]]
        return report["data"]["split"], report["data"]["images"], wrong

    # Equal outputs: the first class, so that all but the first image of the file are wrong.
    assert measured() == ("test", 2, [[0, 1], [1, 2]])
    assert measured("--split", "val") == ("val", 1, [[0, 3]])
    assert measured("--split", "all") == (None, 4, [[1, 1], [2, 2], [3, 3]])
    page = tmp_path / "report.html"
    assert onnxino("report", linear_file, "--data", data, "--no-latency", "--split", "val", "--html", page)[0] == 0
    assert "<br>image 3</figcaption>" in page.read_text("utf-8")
    assert "Images are numbered as in data.npz, from 0." in page.read_text("utf-8")
    assert "split test" in onnxino("report", linear_file, "--data", data, "--no-latency")[1]


def test_the_terminal_gets_no_control_characters(onnxino: Command, tmp_path: Path) -> None:
    path, data = tmp_path / "evil.onnx", tmp_path / "data.npz"
    onnx.save(linear((3, 8, 8), 4, labels=["\x1b[2Ja", "b\x07", "c", "d"]), str(path))
    np.savez(data, images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.arange(4))
    code, out, _ = onnxino("report", path, "--data", data, "--no-latency")
    assert code == 0
    assert "\x1b" not in out
    assert "\x07" not in out


@pytest.mark.parametrize(
    ("options", "code", "message", "hint"),
    [
        (["nothing.onnx"], 1, "there is no model 'nothing.onnx'", "onnxino convert"),
        ([MODEL, "--data", "nothing.npz"], 1, "there is no data at 'nothing.npz'", "a data set .npz holds"),
        ([MODEL, "--data", DATA, "--split", "val"], 1, "has no array 'split'", "leave --split away"),
        ([MODEL, "--split", "val"], 2, "--split and --limit choose among data", "--data"),
        ([MODEL, "--limit", "5"], 2, "--split and --limit choose among data", "--data"),
        ([MODEL, "--data", DATA, "--limit", "0"], 2, "--limit", "--help"),
        ([MODEL, "--thumbnails", "-1"], 2, "--thumbnails", "--help"),
        ([MODEL, "--data", DATA, "--baseline", "no.onnx"], 1, "there is no model 'no.onnx'", "onnxino convert"),
        ([MODEL, "--html", MODEL], 1, "is read here", "another name"),
        ([MODEL, "--html", "."], 1, "is a folder", "add a name"),
        ([MODEL, "--mean", "1"], 2, "--mean and --std need --scale", "--scale 1"),
    ],
)
def test_mistakes(
    onnxino: Command,
    options: list[Any],
    code: int,
    message: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = onnxino("report", *options, "--no-latency")
    assert found == code
    assert out == ""
    assert message in err
    assert "hint: " in err
    assert hint in err
    assert list(tmp_path.iterdir()) == []
    asked = json.loads(onnxino("report", *options, "--no-latency", "--json")[1])
    assert message in asked["error"]["message"]


def test_an_interrupt_leaves_nothing_half_done(
    onnxino: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxino_tools.report import html

    def interrupted(_: object) -> str:
        raise KeyboardInterrupt

    (tmp_path / "report.html").write_text("as before")
    monkeypatch.setattr(html, "render", interrupted)
    code, _, _ = onnxino("report", MODEL, "--no-latency", "--html", tmp_path / "report.html")
    assert code == 130
    assert [path.read_text() for path in tmp_path.iterdir()] == ["as before"]
