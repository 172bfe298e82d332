"""onnxino compress: options and recipes, what is printed and written, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxino_converter import prune
from onnxino_tools import compress_options
from onnxino_tools.commands import compress as compress_command
from onnxino_tools.compress import pipeline
from onnxino_tools.compress.recipe import read_recipe
from tests.tools.compress import nets
from tests.tools.conftest import Command

QUICK = "--no-latency"


def test_the_table_and_the_files(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    page = tmp_path / "page.html"
    code, text, err = onnxino("compress", model, "--data", data, "--prune", 0.5, QUICK, "--html", page, "-o", out)
    assert code == 0, err
    header, original, pruned, quantized, *rest = text.splitlines()
    assert header.split() == [
        "stage",
        "accuracy",
        "parameters",
        "not",
        "zero",
        "multiply-adds",
        "weights",
        ".oxm",
        "arena",
        "latency",
    ]
    assert [line.split()[0] for line in (original, pruned, quantized)] == ["original", "pruned", "quantized"]
    assert any(line.startswith("  not pruned: fc: ") for line in rest)
    assert any("times fewer bytes of weights" in line for line in rest)
    assert f"  next: onnxino serial-eval --port emulator --model {out}/stripes.oxm --data {data} --split val" in text
    assert f"onnxino report {out}/stripes.oxm --data {data} --split val --baseline {model} --html report.html" in text
    files = "stripes.onnx, stripes_int8.onnx, stripes.oxm, report.json, recipe.toml"
    assert f"wrote {files} to {out}, and the report to {page}" in text
    assert page.is_file()
    assert "pruned: " in err
    oxm = (out / "stripes.oxm").stat().st_size
    assert f"{oxm:,} B" in quantized


def test_json(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, err = onnxino("compress", model, "--data", data, QUICK, "--json", "-o", out, "--name", "small")
    assert code == 0, err
    assert json.loads(text) == json.loads((out / "report.json").read_text())
    assert json.loads(text)["model"] == "small"
    assert (out / "small.oxm").is_file()


def test_the_latency_is_estimated(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    code, text, err = onnxino("compress", model, "--data", data, "--json", "-o", tmp_path / "out")
    assert code == 0, err
    stages = json.loads(text)["stages"]
    assert all(0 < stage["latency_ms"] < 1000 for stage in stages)


@pytest.mark.parametrize(
    ("options", "section", "expected"),
    [
        (["--prune", "2:4"], "prune", {"granularity": "n:m", "nm": "2:4"}),
        (["--prune", "0.5", "--granularity", "weight", "--scope", "global"], "prune", {"scope": "global"}),
        (["--prune", "0.5", "--criterion", "bn", "--multiple", "4"], "prune", {"criterion": "bn", "multiple": 4}),
        (["--prune", "0.5", "--schedule", "iterative", "--steps", "2"], "prune", {"steps": 2, "ratio": 0.5}),
        (["--prune", "50%"], "prune", {"ratio": 0.5}),
        (["--prune", "0.5", "--exclude", "conv1,fc"], "prune", {"exclude": ("conv1", "fc")}),
        (["--prune", "auto", "--max-drop", "0.5"], "prune", {"max_drop": 0.5, "ratio": "auto"}),
        (["--target-macs", "9_000", "--criterion", "l2"], "targets", {"macs": 9000}),
        (["--target-weights", "400", "--target-arena", "1,000"], "targets", {"weight_bytes": 400, "arena_bytes": 1000}),
        (["--quantize", "mse", "--per-tensor", "--equalize"], "quantize", {"method": "mse", "per_channel": False}),
        (["--activations", "int8", "--bias-correction", "--calibration", "9"], "quantize", {"calibration": 9}),
        (["--validation", "0.25", "--limit", "60"], "data", {"validation": 0.25, "limit": 60}),
        (["--validation", "val", "--evaluate-split", "test"], "data", {"evaluate": "test"}),
        (["--scale", "1/255", "--mean", "0.1", "--std", "2"], "data", {"mean": [0.1], "std": [2.0]}),
    ],
)
def test_options_become_the_recipe(
    onnxino: Command,
    model: Path,
    data: Path,
    tmp_path: Path,
    options: list[str],
    section: str,
    expected: dict[str, Any],
) -> None:
    out = tmp_path / "out"
    code, _, err = onnxino("compress", model, "--data", data, QUICK, "-o", out, *options)
    assert code == 0, err
    found = getattr(read_recipe(out / "recipe.toml"), section)
    assert {key: getattr(found, key) for key in expected} == expected


def test_the_criteria_are_those_of_the_converter() -> None:
    assert tuple(compress_options.CRITERIA) == prune.CRITERIA


def test_options_come_before_the_recipe(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("seed = 1\n[prune]\nratio = 0.25\ncriterion = 'l2'\n")
    base = ["compress", model, "--data", data, QUICK, "--recipe", tmp_path / "r.toml"]
    assert onnxino(*base, "--prune", 0.5, "--seed", 2, "-o", tmp_path / "out")[0] == 0
    recipe = read_recipe(tmp_path / "out" / "recipe.toml")
    assert recipe.seed == 2
    assert recipe.prune is not None
    assert (recipe.prune.ratio, recipe.prune.criterion) == (0.5, "l2")


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        ([], "the following arguments are required: -o/--output", "onnxino compress --help"),
        (["-o", "x", "--compare", "--sensitivity"], "cannot be given together", "one of them"),
        (["-o", "x", "--teacher", "t.onnx"], "--teacher is for --fine-tune EPOCHS", "--help"),
        (["-o", "x", "--criterion", "l2"], "--criterion is for --prune RATIO, a target or a recipe", "--help"),
        (["-o", "x", "--prune", "half"], "argument --prune: 'half' is no share", "--help"),
        (["-o", "x", "--target-macs", "0"], "argument --target-macs: '0' is no whole number", "--help"),
        (["-o", "x", "--quantize", "max"], "argument --quantize: invalid choice: 'max'", "--help"),
        (["-o", "x", "--prun", "0.5"], "unrecognized arguments: --prun", "did you mean --prune?"),
        (["--compare", "--prune", "0.5", "--html", "x"], "--html is for one result, not for --compare", "leave"),
        (["--compare", "--prune", "0.5", "--evaluate-split", "test"], "--evaluate-split is for one result", "leave"),
        (["--compare", "--prune", "0.5", "--min-accuracy", "0.9"], "--min-accuracy is for one result", "leave"),
        (["--sensitivity", "--html", "x"], "--html is for one result, not for --sensitivity", "leave"),
        (["--sensitivity", "--target-macs", "9"], "--target-macs is for one result, not for --sens", "leave"),
        (["-o", "x", "--prune", "0.5", "--max-drop", "0.1"], "--max-drop is for --prune auto or --sens", "--help"),
        (["-o", "x", "--prune", "0.5", "--step-epochs", "2"], "--step-epochs is for --schedule", "--help"),
        (["-o", "x", "--fine-tune", "2", "--temperature", "3"], "--temperature is for --teacher", "--help"),
        (["-o", "x", "--fine-tune", "2", "--alpha", "0.5"], "--alpha is for --teacher", "--help"),
        (["-o", "x", "--criterion", "l2", "--min-accuracy", "0.5"], "--criterion is for --prune", "--help"),
    ],
)
def test_wrong_usage(onnxino: Command, model: Path, data: Path, options: list[str], error: str, hint: str) -> None:
    code, out, err = onnxino("compress", model, "--data", data, *options)
    assert (code, out) == (2, "")
    assert error in err
    assert hint in err


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--prune", "1.5"], "prune.ratio is 1.5; expected a number of 0 or more, below 1"),
        (["--prune", "50"], "hint: did you mean 0.5?"),
        (["--prune", "4:2"], "prune.nm is '4:2'"),
        (["--seed", "-1"], "seed is -1"),
        (["--prune", "0.5", "--target-macs", "9"], "targets that a ratio is searched for"),
        (["--validation", "dev"], "has no split 'dev'"),
        (["--recipe", "none.toml"], "the recipe 'none.toml' cannot be read"),
        (["--prune", "0.5", "--exclude", "conv9"], "the model has no layer 'conv9'"),
        (["--name", "a b"], "'a b'"),
        (["--target-macs", "10"], "713 (7130.0 %) more than 10"),
        (["--target-weights", "400", "--target-macs", "10"], "kept: "),
    ],
)
def test_what_fails_leaves_nothing(
    onnxino: Command, model: Path, data: Path, tmp_path: Path, options: list[str], error: str
) -> None:
    out = tmp_path / "out"
    code, text, err = onnxino("compress", model, "--data", data, QUICK, "-o", out, *options)
    assert (code, text) == (1, "")
    assert error in err
    assert not out.exists()


def test_an_unknown_key_names_the_nearest(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[prune]\nrattio = 0.5\n")
    code, _, err = onnxino("compress", model, "--data", data, "--recipe", tmp_path / "r.toml", "-o", tmp_path / "out")
    assert code == 1
    assert "error: the recipe's section [prune] has no 'rattio'\nhint: did you mean ratio?" in err


def test_an_interruption_says_how_to_go_on(
    onnxino: Command, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.work, "quantized", stop)
    out = tmp_path / "out"
    code, _, err = onnxino("compress", model, "--data", data, "--prune", 0.5, QUICK, "-o", out)
    assert code == 130
    assert f"what is done is kept in {out}/checkpoint: the same command goes on from there" in err
    monkeypatch.undo()
    code, _, err = onnxino("compress", model, "--data", data, "--prune", 0.5, QUICK, "-o", out)
    assert code == 0
    assert "note: going on with what was interrupted here" in err


def test_sensitivity(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, err = onnxino("compress", model, "--data", data, "--sensitivity", "--max-drop", 0.1, "-o", out)
    assert code == 0, err
    assert [line.split()[0] for line in text.splitlines()[:3]] == ["layer", "conv1", "conv2"]
    assert "-25 %" in text
    held = json.loads((out / "sensitivity.json").read_text())
    assert [set(layer["accuracy"]) for layer in held["layers"]] == [{"0.25", "0.5", "0.75"}] * 2
    proposed = {layer["layer"]: layer["proposed"] for layer in held["layers"] if layer["proposed"]}
    recipe = read_recipe(out / "recipe.toml")
    assert recipe.prune is not None
    assert recipe.prune.ratio == proposed
    code, text, _ = onnxino("compress", model, "--data", data, "--sensitivity", "--json", "--granularity", "weight")
    assert code == 0
    assert [layer["layer"] for layer in json.loads(text)["layers"]] == ["conv1", "conv2", "fc"]


def test_compare_without_a_teacher(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    code, text, err = onnxino("compress", model, "--data", data, "--compare", "--prune", 0.5, QUICK)
    assert code == 0, err
    said, *table = text.splitlines()
    shares = [float(line.split()[1]) / 100 for line in table if "%" in line]
    error = 100 * max((p * (1 - p) / 45) ** 0.5 for p in shares)
    assert said.startswith("  accuracy: of 45 validation images")
    assert said.endswith(f"its standard error is up to {error:.1f} points")
    lines = [line.split() for line in table]
    assert [line[0] for line in lines] == ["technique", "none", "P", "Q", "D", "P+Q", "P+D+Q"]
    assert lines[1][-1] == "1.00"
    assert "not run: no fine-tuning" in text
    code, text, _ = onnxino(
        "compress", model, "--data", data, "--compare", "--prune", 0.5, QUICK, "--json", "-o", tmp_path / "c"
    )
    assert code == 0
    found = {row["technique"]: row for row in json.loads(text)["techniques"]}
    assert found["none"]["ratio"] == 1
    assert found["P+Q"]["ratio"] == found["none"]["weight_bytes"] / found["P+Q"]["weight_bytes"]
    assert found["D"]["reason"].startswith("no fine-tuning")
    assert json.loads((tmp_path / "c" / "report.json").read_text()) == json.loads(text)
    code, text, err = onnxino("compress", model, "--data", data, "--compare", "--target-macs", 9000, QUICK, "--json")
    assert code == 0, err
    found = {row["technique"]: row for row in json.loads(text)["techniques"]}
    assert found["P+Q"]["macs"] == found["P"]["macs"] <= 9000 < found["Q"]["macs"]
    code, text, err = onnxino("compress", model, "--data", data, "--compare", "--prune", "2:4", QUICK, "--json")
    assert code == 0, err
    code, _, err = onnxino("compress", model, "--data", data, "--compare", "--target-macs", 10, "-o", tmp_path / "none")
    assert code == 1
    assert "the target cannot be met" in err
    assert not (tmp_path / "none").exists()
    code, _, err = onnxino("compress", model, "--data", data, "--compare")
    assert code == 1
    assert "a comparison prunes and quantizes" in err


def test_folders_of_images(onnxino: Command, model: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    held = nets.arrays(30, 15, 0)
    for number, (pixels, label, split) in enumerate(zip(held["images"], held["labels"], held["split"], strict=True)):
        folder = tmp_path / "photos" / str(split) / nets.CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels[..., 0]).save(folder / f"{number:03}.png")
    onnx.save(_labelled(model), model)
    code, text, err = onnxino("compress", model, "--data", tmp_path / "photos", QUICK, "-o", tmp_path / "out", "--json")
    assert code == 0, err
    assert json.loads(text)["stages"][0]["accuracy"] > 0.8


def _labelled(path: Path) -> onnx.ModelProto:
    """With its class names, so that the order of the folders does not matter."""
    model = onnx.load(path)
    model.metadata_props.add(key="labels", value=",".join(nets.CLASSES))
    return model


def test_a_model_that_does_not_fit_says_by_how_much(onnxino: Command, data: Path, tmp_path: Path) -> None:
    """Its arena is too large, even in 8 bits."""
    wide = tmp_path / "wide.onnx"
    onnx.save(nets.network(widths=(500, 4), size=24, solve=False), wide)
    pixels, labels = nets.images(6, 24)
    split = np.array(["train", "val"] * 3)
    np.savez(tmp_path / "few.npz", images=pixels, labels=labels, split=split)
    code, text, err = onnxino("compress", wide, "--data", tmp_path / "few.npz", QUICK, "-o", tmp_path / "out")
    assert code == 0, err
    assert "it does not fit the board: running it takes" in text
    assert "more than the 229,376 there are" in text
    held = json.loads((tmp_path / "out" / "report.json").read_text())
    assert held["fits"] is False


def test_progress_without_a_terminal_is_a_line_now_and_then(
    onnxino: Command, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["compress", model, "--data", data, "--sensitivity"]
    assert "sensitivity: " not in onnxino(*command)[2]  # quicker than that
    monkeypatch.setattr(compress_command, "EVERY", 0.0)
    lines = [line for line in onnxino(*command)[2].splitlines() if not line.startswith("note: ")]
    assert lines == [f"sensitivity: {i} of 6" for i in range(1, 7)]
