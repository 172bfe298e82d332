"""compress() in Python, with what needs NumPy alone: pruning, targets, quantization, files, interruptions."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxino import InferenceSession
from onnxino.errors import ConvertError, InputError, MissingExtraError
from onnxino.model import load_model
from onnxino_converter import convert
from onnxino_tools.compress import (
    Event,
    PruneOptions,
    QuantizeOptions,
    Recipe,
    compress,
    ratios,
    stages,
)
from onnxino_tools.compress.recipe import read_recipe
from tests.tools.compress import nets

HALF = {"prune": {"ratio": 0.5}}


def run(model: Any, data: Any, recipe: Any = None, **kwargs: Any) -> Any:
    return compress(model, data, recipe, latency=False, **kwargs)


def predictions(content: bytes | onnx.ModelProto, images: Any) -> Any:
    source = content if isinstance(content, bytes) else convert(content, float=True).model
    with InferenceSession(source) as session:
        return session.run(None, {"image": images})[0].argmax(axis=1)


def test_stages_and_their_figures(network: onnx.ModelProto, data: Path) -> None:
    result = run(network, data, HALF)
    assert [stage.name for stage in result.stages] == ["original", "pruned", "quantized"]
    original, pruned, quantized = (stage.row for stage in result.stages)
    assert original.parameters == 8 * 9 + 12 * 8 * 9 + 3 * 12
    assert pruned.parameters == 4 * 9 + 6 * 4 * 9 + 3 * 6
    assert original.macs == 64 * 8 * 9 + 16 * 12 * 8 * 9 + 36
    assert quantized.macs == pruned.macs < original.macs / 2
    assert quantized.weight_bytes < pruned.weight_bytes < original.weight_bytes
    assert quantized.arena_bytes < pruned.arena_bytes < original.arena_bytes
    assert quantized.oxm_bytes == len(result.oxm)
    # The figures are those of the models that came out, told by other means.
    samples = nets.arrays()
    chosen = samples["split"] == "val"
    inputs = samples["images"][chosen].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    for row, made in ((original, network), (pruned, result.float_onnx), (quantized, result.oxm)):
        assert row.accuracy == pytest.approx((predictions(made, inputs) == samples["labels"][chosen]).mean())
    assert original.accuracy > 0.9
    assert result.report.accuracy is not None
    assert result.report.accuracy.top1 == quantized.accuracy
    assert result.report.baseline is not None
    assert result.misfit is None
    assert result.ratio == 0.5


def test_onnx_runtime_gives_the_bytes_of_the_model_file(network: onnx.ModelProto, data: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    result = run(network, data, HALF)
    inputs = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)
    theirs = runtime.InferenceSession(result.onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    with InferenceSession(result.oxm) as ours:
        assert np.array_equal(theirs.run(None, {"image": inputs})[0], ours.run(None, {"image": inputs})[0])


def test_files_and_the_same_bytes_twice(model: Path, data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "deeper" / "b"
    result = run(model, data, {**HALF, "seed": 3}, output=first, html=tmp_path / "report.html")
    names = ["recipe.toml", "report.json", "stripes.onnx", "stripes.oxm", "stripes_int8.onnx"]
    assert sorted(p.name for p in first.iterdir()) == names
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "How it was compressed" in page
    assert all(f'<th scope="row">{stage.name}</th>' in page for stage in result.stages)
    assert "Not pruned: fc: " in page
    assert "of the baseline&#x27;s accuracy is kept" in page
    run(model, data, first / "recipe.toml", output=second)
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert (first / "stripes.oxm").read_bytes() == result.oxm
    held = json.loads((first / "report.json").read_text())
    assert [stage["stage"] for stage in held["stages"]] == ["original", "pruned", "quantized"]
    assert held["report"]["sizes"]["model_bytes"] == len(result.oxm)
    assert held["fits"] is True
    assert {c["name"]: (c["before"], c["after"]) for c in held["changes"]} == {"conv1": (8, 4), "conv2": (12, 6)}
    assert [entry["node"] for entry in held["skipped"]] == ["fc"]
    metadata = load_model(result.oxm).metadata
    assert metadata is not None
    assert metadata.class_labels == nets.CLASSES
    assert read_recipe(first / "recipe.toml") == result.recipe


def test_another_seed_calibrates_with_other_images(network: onnx.ModelProto, data: Path) -> None:
    few = {"quantize": {"calibration": 5}}
    assert run(network, data, few).oxm != run(network, data, {**few, "seed": 1}).oxm


@pytest.mark.parametrize(
    ("prune", "nonzero"),
    [
        ({"granularity": "weight", "ratio": 0.75}, 0.25),
        ({"granularity": "weight", "ratio": 0.75, "scope": "global"}, 0.25),
        ({"granularity": "n:m", "nm": "1:4"}, 0.31),
    ],
)
def test_weights_become_zero_and_the_shapes_stay(
    network: onnx.ModelProto, data: Path, prune: dict[str, Any], nonzero: float
) -> None:
    result = run(network, data, {"prune": prune})
    original, pruned = result.stages[0].row, result.stages[1].row
    assert (pruned.parameters, pruned.macs) == (original.parameters, original.macs)
    assert pruned.nonzero / original.nonzero == pytest.approx(nonzero, abs=0.03)
    assert result.stages[2].row.nonzero <= pruned.nonzero


@pytest.mark.parametrize("schedule", ["iterative", "polynomial"])
@pytest.mark.parametrize("granularity", ["channel", "weight"])
def test_a_schedule_ends_where_one_shot_does(
    network: onnx.ModelProto, data: Path, schedule: str, granularity: str
) -> None:
    goal = {"ratio": 0.6, "granularity": granularity}
    stepped = run(network, data, {"prune": {**goal, "schedule": schedule, "steps": 3}})
    names = [stage.name for stage in stepped.stages]
    assert names == ["original", "pruned 1 of 3", "pruned 2 of 3", "pruned 3 of 3", "quantized"]
    nonzero = [stage.row.nonzero for stage in stepped.stages[:4]]
    assert nonzero == sorted(nonzero, reverse=True)
    assert len(set(nonzero)) >= 3
    at_once = run(network, data, {"prune": goal})
    assert stepped.stages[3].row.nonzero == at_once.stages[1].row.nonzero
    assert [(c.name, c.before, c.after) for c in stepped.changes] == [
        (c.name, c.before, c.after) for c in at_once.changes
    ]


@pytest.mark.parametrize("layer", ["conv2", "conv2.w"])  # by its node, by its weights
def test_a_ratio_for_each_layer(network: onnx.ModelProto, data: Path, layer: str) -> None:
    result = run(network, data, {"prune": {"ratio": {layer: 0.5}, "schedule": "iterative", "steps": 2}})
    assert {c.name: c.after for c in result.changes} == {"conv1": 8, "conv2": 6}


def test_ratios_by_sensitivity(network: onnx.ModelProto, data: Path) -> None:
    result = run(network, data, {"prune": {"ratio": "auto", "max_drop": 0.05}})
    assert set(result.ratio) <= {"conv1", "conv2"}
    assert result.stages[1].row.accuracy >= result.stages[0].row.accuracy - 0.2


def test_layers_of_which_each_is_needed(network: onnx.ModelProto, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratios, "accuracy", lambda _, model: model.ByteSize() / network.ByteSize() / 2)
    with pytest.raises(InputError, match="no layer can lose anything at a drop of 0 points"):
        run(network, data, {"prune": {"ratio": "auto", "max_drop": 0.0}})


def test_float_results(network: onnx.ModelProto, data: Path, tmp_path: Path) -> None:
    result = run(network, data, {**HALF, "quantize": {"method": "none"}}, output=tmp_path / "out")
    assert [stage.name for stage in result.stages] == ["original", "pruned"]
    assert result.onnx == result.float_onnx
    assert sorted(p.suffix for p in (tmp_path / "out").iterdir()) == [".json", ".onnx", ".oxm", ".toml"]


def test_the_test_images_are_not_looked_at(network: onnx.ModelProto, tmp_path: Path) -> None:
    held = nets.arrays()
    spoilt = {k: held[k].copy() for k in ("images", "labels")}
    spoilt["images"][held["split"] == "test"] = 0
    results = [
        run(network, nets.save(tmp_path / f"{i}.npz", **changed), {"prune": {"ratio": "auto"}})
        for i, changed in enumerate(({}, spoilt))
    ]
    assert results[0].oxm == results[1].oxm
    assert results[0].stages[-1].row == results[1].stages[-1].row
    tested = run(network, tmp_path / "0.npz", {"data": {"evaluate": "test"}})
    assert tested.evaluated == "test"
    assert tested.report.accuracy is not None
    assert tested.report.accuracy.images == 30
    assert tested.stages[-1].row == results_row(run(network, tmp_path / "0.npz"))


def results_row(result: Any) -> Any:
    return result.stages[-1].row


def test_an_interrupted_run_goes_on(
    network: onnx.ModelProto, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"prune": {"ratio": 0.5, "schedule": "iterative", "steps": 2}}
    whole = run(network, data, recipe, output=tmp_path / "whole")
    calls: list[str] = []
    real = stages.quantized

    def stopped(*args: Any) -> Any:
        calls.append("quantized")
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "quantized", stopped)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(network, data, recipe, output=out)
    assert [p.name for p in out.iterdir()] == ["checkpoint"]
    monkeypatch.setattr(stages, "quantized", real)
    told: list[Event] = []
    again = run(network, data, recipe, output=out, progress=told.append)
    assert told[0].text == "going on with what was interrupted here"
    assert not (out / "checkpoint").exists()
    assert again.as_dict() == whole.as_dict()
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (out / file.name).read_bytes()


def test_what_another_run_left_is_not_taken(network: onnx.ModelProto, data: Path, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if event.text == "pruned":
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(network, data, {"prune": {"ratio": 0.25}}, output=out, progress=stop)
    told: list[Event] = []
    result = run(network, data, HALF, output=out, progress=told.append)
    assert "had other options: beginning anew" in told[0].text
    assert result.oxm == run(network, data, HALF).oxm


def test_models_that_cannot_be_compressed(network: onnx.ModelProto, data: Path) -> None:
    quantized = run(network, data).onnx
    with pytest.raises(ConvertError):
        run(quantized, data)
    selu = onnx.ModelProto()
    selu.CopyFrom(network)
    selu.graph.node[5].op_type = "Selu"
    told: list[Event] = []
    with pytest.raises(ConvertError, match="Selu"):  # it would be found after the training otherwise
        run(selu, data, HALF, progress=told.append)
    assert not told
    assert run(selu, data, {**HALF, "quantize": {"method": "none"}}).stages
    with pytest.raises(InputError, match="the model has no layer 'conv3'"):
        run(network, data, {"prune": {"ratio": 0.5, "exclude": ["conv3"]}})


def test_nothing_that_is_read_is_written(model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would be overwritten"):
        run(model, data, output=tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        run(model, data, output=blocked / "out")


def test_excluded_layers_stay(network: onnx.ModelProto, data: Path) -> None:
    recipe = Recipe(prune=PruneOptions(ratio=0.5, exclude=("conv1",)), quantize=QuantizeOptions(equalize=True))
    result = run(network, data, recipe)
    shapes = {t.name: numpy_helper.to_array(t).shape for t in result.float_onnx.graph.initializer}
    assert shapes["conv1.w"] == (8, 1, 3, 3)
    assert shapes["conv2.w"] == (6, 8, 3, 3)
    assert {s.node for s in result.skipped} == {"conv1", "fc"}


def test_without_the_extra(network: onnx.ModelProto, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    with pytest.raises(MissingExtraError, match="Fine-tuning needs the extra 'train'"):
        run(network, data, {"fine_tune": {}})
    with pytest.raises(MissingExtraError, match="Pruning by Taylor scores needs the extra 'train'"):
        run(network, data, {"prune": {"ratio": 0.5, "criterion": "taylor"}})
    assert run(network, data, HALF).stages  # NumPy alone
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "unicorn") else real(name))
    with pytest.raises(MissingExtraError, match="A target in milliseconds needs the extra 'emulator'"):
        compress(network, data, {"targets": {"ms": 5}})

    class Module:
        """What a torch module is known by."""

        state_dict = parameters = None

    with pytest.raises(MissingExtraError, match="Compressing a torch module needs the extra 'train'"):
        run(Module(), data)
