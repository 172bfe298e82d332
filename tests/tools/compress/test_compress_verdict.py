"""What is said of results that are not worth anything, and of pruning that would prune nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxino.errors import InputError
from onnxino_tools.compress import PruneOptions, Recipe, Row, Targets, TuneOptions, compress
from onnxino_tools.compress.recipe import as_toml, from_mapping
from onnxino_tools.compress.verdict import warnings
from tests.tools.compress import nets
from tests.tools.conftest import Command

QUICK = "--no-latency"
PRUNE = PruneOptions(ratio=0.5)


def rows(*accuracies: float) -> list[Row]:
    return [Row("", accuracy, 1, 1, 1, 1, 1, 1, None) for accuracy in accuracies]


@pytest.mark.parametrize(
    ("recipe", "accuracies", "normalized", "expected"),
    [
        (Recipe(prune=PRUNE), (0.9, 0.1, 0.8), True, []),
        (Recipe(prune=PRUNE), (0.9, 0.79), True, ["lost 11.0 points", "--fine-tune 20", "--prune auto"]),
        (Recipe(prune=PRUNE), (0.9, 0.79), False, ["lost", "--fine-tune 20", "--prune auto", "PRESERVE"]),
        (Recipe(prune=PRUNE, fine_tune=TuneOptions(epochs=7)), (0.9, 0.5), True, ["lost", "--fine-tune 14", "auto"]),
        (Recipe(prune=PruneOptions(ratio="auto")), (0.9, 0.5), True, ["lost", "--fine-tune 20"]),
        (Recipe(), (0.9, 0.5), False, ["lost", "--fine-tune 20"]),
        (Recipe(prune=PRUNE), (0.15, 0.15), True, ["guessing among 10 classes gets 10.00 %", "check the labels"]),
        (Recipe(), (0.9, 0.12), True, ["lost 78.0", "guessing", "--fine-tune 20"]),
    ],
)
def test_a_collapse_is_told_with_what_helps(
    recipe: Recipe, accuracies: tuple[float, ...], normalized: bool, expected: list[str]
) -> None:
    found = warnings(recipe, rows(*accuracies), 10, normalized)
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert part in text


def test_the_command_says_it_below_the_table(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    code, _, err = onnxino("compress", model, "--data", data, "--prune", 0.9, QUICK, "-o", out, "--html", page)
    assert code == 0, err
    assert "note: the result lost " in err
    assert "note: train on after pruning: --fine-tune 20" in err
    assert "PRESERVE" not in err  # it has BatchNormalization
    held = json.loads((out / "report.json").read_text())["warnings"]
    assert held
    assert all(f"note: {line}" in err for line in held)
    assert "Note: the result lost " in page.read_text()


def test_an_accuracy_that_is_missed_writes_nothing(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["compress", model, "--data", data, QUICK, "-o", out, "--min-accuracy", 0.8]
    code, text, err = onnxino(*command, "--prune", 0.9)
    assert (code, text) == (1, "")
    assert "error: the target cannot be met: the result classifies " in err
    assert "points less than 80 %" in err
    assert "hint: prune less" in err
    assert not out.exists()
    code, _, err = onnxino(*command)
    assert code == 0, err
    assert "accuracy = 0.8" in (out / "recipe.toml").read_text()
    assert json.loads((out / "report.json").read_text())["targets"] == {"accuracy": 0.8}


def test_an_accuracy_is_no_size_that_a_ratio_is_searched_for() -> None:
    recipe = from_mapping({"prune": {"ratio": 0.5}, "targets": {"accuracy": 0.9}})
    assert recipe.targets.given() == {}
    assert "[targets]\naccuracy = 0.9\n" in as_toml(recipe)
    assert Recipe(targets=Targets(accuracy=0.9)).prune is None
    with pytest.raises(InputError, match=r"targets.accuracy is 90; expected a number of 0 to 1") as caught:
        Targets(accuracy=90)
    assert caught.value.hint == "did you mean 0.9?"


def test_python_has_the_warnings_too(network: object, data: Path) -> None:
    assert compress(network, data, latency=False).warnings == []
    assert "lost" in compress(network, data, {"prune": {"ratio": 0.9}}, latency=False).warnings[0]


def folded(network: onnx.ModelProto) -> onnx.ModelProto:
    """Without its BatchNormalization, as exporters leave it."""
    model = onnx.ModelProto()
    model.CopyFrom(network)
    kept = [node for node in model.graph.node if node.op_type != "BatchNormalization"]
    for node in kept:
        node.input[:] = [name.replace("n", "c") if name in ("n1", "n2") else name for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


@pytest.mark.parametrize(
    ("options", "normalized", "error", "hint"),
    [
        (["--criterion", "bn"], False, "the model has no BatchNormalization", "--criterion l1-next; or export with it"),
        (["--exclude", "conv1,conv2"], True, "none of its 3 layers can lose anything: conv1: ", "exclude fewer layers"),
    ],
)
def test_pruning_that_would_prune_nothing_is_an_error_before_any_work(
    onnxino: Command,
    network: onnx.ModelProto,
    data: Path,
    tmp_path: Path,
    options: list[str],
    normalized: bool,
    error: str,
    hint: str,
) -> None:
    path, out = tmp_path / "net.onnx", tmp_path / "out"
    onnx.save(network if normalized else folded(network), path)
    searched = [] if normalized else [["--target-macs", 9000]]
    for wanted in (["--prune", 0.5], ["--prune", "auto"], *searched):
        code, text, err = onnxino("compress", path, "--data", data, *wanted, *options, QUICK, "-o", out)
        assert (code, text) == (1, "")
        assert error in err
        assert f"hint: {hint}" in err
        assert "original: " not in err  # nothing was measured
        assert not out.exists()
    for fine in (["--prune", 0], *([["--target-macs", 30000]] if normalized else [])):  # nothing has to go
        code, _, err = onnxino("compress", path, "--data", data, *fine, *options, QUICK, "-o", out)
        assert code == 0, err


def test_a_single_layer_cannot_lose_channels(data: Path) -> None:
    shapes = [helper.make_tensor_value_info(*port) for port in (("x", 1, ["n", 1, 8, 8]), ("y", 1, ["n", 3]))]
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"], "fc")]
    weights = numpy_helper.from_array(np.ones((64, 3), np.float32), "w")
    graph = helper.make_graph(nodes, "one", shapes[:1], shapes[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(InputError, match="none of its 1 layer can lose anything: fc: ") as caught:
        compress(model, data, {"prune": {"ratio": 0.5}}, latency=False)
    assert "--granularity weight" in str(caught.value.hint)


def test_hints_are_about_compressing(
    onnxino: Command, network: onnx.ModelProto, model: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.pt").write_bytes(b"PK\x03\x04")
    code, _, err = onnxino("compress", tmp_path / "net.pt", "--data", data, "-o", tmp_path / "out")
    assert code == 1
    assert "compress(module, data, recipe, output='out')" in err
    assert "from_module(module, (1, 3, 64, 64))" in err
    assert "quantize_static" not in err
    onnx.save(compress(network, data, latency=False).onnx, tmp_path / "int8.onnx")
    code, _, err = onnxino("compress", tmp_path / "int8.onnx", "--data", data, "-o", tmp_path / "out")
    assert code == 1
    assert "hint: give the float model that it was made from" in err
    assert "--calibrate" not in err
    unsplit = nets.save(tmp_path / "unsplit.npz", split=None)
    code, _, err = onnxino("compress", model, "--data", unsplit, "-o", tmp_path / "out")
    assert code == 1
    assert "hint: give the share of the training images that is held out: --validation 0.15" in err
