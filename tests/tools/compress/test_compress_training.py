"""The stages that need gradients: fine-tuning, distillation, Taylor scores; their resume; and torch modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxino.errors import InputError
from onnxino_tools.compress import Event, compare, compress
from tests.tools.compress import nets
from tests.train.networks import Net

TUNE = {"epochs": 3, "batch": 16, "learning_rate": 0.01}


def run(model: Any, data: Any, recipe: Any, **kwargs: Any) -> Any:
    return compress(model, data, recipe, latency=False, **kwargs)


@pytest.fixture(scope="module", autouse=True)
def _torch() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.onnx"
    onnx.save(nets.network(seed=5, widths=(16, 24)), path)
    return path


def initializers(model: onnx.ModelProto) -> dict[str, Any]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_fine_tuning_restores_what_pruning_cost(network: onnx.ModelProto, data: Path) -> None:
    result = run(network, data, {"prune": {"ratio": 0.5}, "fine_tune": {**TUNE, "epochs": 12}})
    rows = {stage.name: stage.row for stage in result.stages}
    assert list(rows) == ["original", "pruned", "fine-tuned", "quantized"]
    assert rows["fine-tuned"].accuracy > rows["pruned"].accuracy + 0.2
    assert rows["quantized"].accuracy >= rows["fine-tuned"].accuracy - 0.1
    assert rows["fine-tuned"].macs == rows["pruned"].macs


def test_training_that_makes_a_network_worse_is_left_out(network: onnx.ModelProto, data: Path) -> None:
    told: list[Event] = []
    recipe = {"fine_tune": {**TUNE, "learning_rate": 5.0, "schedule": "constant"}, "quantize": {"method": "none"}}
    result = run(network, data, recipe, progress=told.append)
    first, last = result.stages
    assert last.row.accuracy == first.row.accuracy
    assert [e.text for e in told if e.kind == "note"] == [
        "fine-tuned: no epoch was better than the start, whose weights stay"
    ]


def test_a_folded_network_trains_with_normalizations_and_ends_without(data: Path) -> None:
    net = Net(("N", 1, 8, 8))
    for inputs in (1, 8):
        net.conv(inputs, 8, bias=True)
        net.op("Relu")
    net.op("GlobalAveragePool")
    net.op("Flatten")
    net.dense(8, 3)
    model = net.model()
    results = [
        run(model, data, {"fine_tune": {**TUNE, **more}, "quantize": {"method": "none"}})
        for more in ({}, {"normalize": True}, {"normalize": False})
    ]
    for result in results:
        assert [node.op_type for node in result.onnx.graph.node] == [node.op_type for node in model.graph.node]
        assert result.stages[1].row.accuracy > result.stages[0].row.accuracy
    assert results[0].oxm == results[1].oxm != results[2].oxm
    with pytest.raises(InputError, match=r"fine_tune\.normalize"):
        run(model, data, {"fine_tune": {"normalize": 3}})


def test_distilling_is_called_so_and_takes_the_teacher(network: onnx.ModelProto, data: Path, teacher: Path) -> None:
    made = [
        run(network, data, {"prune": {"ratio": 0.5}, "fine_tune": {**TUNE, **more}, "quantize": {"method": "none"}})
        for more in ({}, {"teacher": str(teacher), "alpha": 0.9}, {"teacher": str(teacher), "alpha": 0.0})
    ]
    assert [result.stages[2].name for result in made] == ["fine-tuned", "distilled", "distilled"]
    assert made[0].oxm != made[1].oxm
    assert np.allclose(initializers(made[0].onnx)["fc.w"], initializers(made[2].onnx)["fc.w"])  # alpha 0: labels alone


@pytest.mark.parametrize("prune", [{"granularity": "weight", "ratio": 0.6}, {"granularity": "n:m", "nm": "2:4"}])
def test_masks_are_kept_in_training(data: Path, prune: dict[str, Any]) -> None:
    network = nets.network(solve=False)  # which training makes better, so that its weights are taken
    head = next(t for t in network.graph.initializer if t.name == "fc.w")
    values = np.random.default_rng(0).normal(0, 0.1, tuple(head.dims)).astype(np.float32)
    head.CopyFrom(numpy_helper.from_array(values, "fc.w"))
    if prune["granularity"] == "weight":
        prune = {**prune, "schedule": "polynomial", "steps": 2}
    result = run(network, data, {"prune": prune, "fine_tune": TUNE})
    named = {stage.name: stage for stage in result.stages}
    last = [stage for stage in result.stages if stage.name.startswith("pruned")][-1]
    before, after = initializers(last.model), initializers(named["fine-tuned"].model)
    for name in ("conv2.w", "fc.w"):
        assert (after[name][before[name] == 0] == 0).all()
        assert not np.array_equal(before[name], after[name])
    assert named["fine-tuned"].row.nonzero <= last.row.nonzero


def test_schedules_alternate_pruning_and_training(network: onnx.ModelProto, data: Path) -> None:
    told: list[Event] = []
    prune = {"ratio": 0.5, "schedule": "iterative", "steps": 2, "epochs": 2}
    result = run(network, data, {"prune": prune, "fine_tune": TUNE}, progress=told.append)
    names = [stage.name for stage in result.stages]
    assert names == ["original", "pruned 1 of 2", "trained 1", "pruned 2 of 2", "fine-tuned", "quantized"]
    epochs = [(e.text, e.done, e.total) for e in told if e.kind == "epoch"]
    assert epochs == [("trained 1", i, 2) for i in (1, 2)] + [("fine-tuned", i, 3) for i in (1, 2, 3)]
    assert {c.name: (c.before, c.after) for c in result.changes} == {"conv1": (8, 4), "conv2": (12, 6)}


def test_taylor_scores_choose_other_channels_than_norms(network: onnx.ModelProto, data: Path) -> None:
    by_norm = run(network, data, {"prune": {"ratio": 0.5}})
    by_taylor = run(network, data, {"prune": {"ratio": 0.5, "criterion": "taylor"}})
    assert by_taylor.stages[1].row.macs == by_norm.stages[1].row.macs
    kept = [initializers(result.float_onnx)["conv2.w"] for result in (by_norm, by_taylor)]
    assert not np.array_equal(*kept)


def test_training_that_was_interrupted_gives_the_same_bytes(
    network: onnx.ModelProto, data: Path, tmp_path: Path
) -> None:
    recipe = {"prune": {"ratio": 0.5}, "fine_tune": {**TUNE, "epochs": 4, "augment": ["shift"]}, "seed": 4}

    def stop(event: Event) -> None:
        if event.kind == "epoch" and event.done == 2:
            raise KeyboardInterrupt

    whole, out = tmp_path / "whole", tmp_path / "out"
    run(network, data, recipe, output=whole)
    with pytest.raises(KeyboardInterrupt):
        run(network, data, recipe, output=out, progress=stop)
    told: list[Event] = []
    run(network, data, recipe, output=out, progress=told.append)
    assert [e.done for e in told if e.kind == "epoch"] == [3, 4]
    assert {p.name for p in out.iterdir()} == {p.name for p in whole.iterdir()}
    for file in whole.iterdir():
        assert file.read_bytes() == (out / file.name).read_bytes(), file.name


def test_torch_modules(data: Path) -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 3)
    )
    with pytest.raises(InputError, match="does not tell the size that a torch module takes"):
        run(module, data.parent, {})
    result = run(module, data, {"fine_tune": TUNE})
    assert result.name == "sequential"
    assert result.stages[-1].row.accuracy > 0.8


def test_all_techniques_side_by_side(network: onnx.ModelProto, data: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = {"prune": {"ratio": 0.5}, "fine_tune": {**TUNE, "teacher": str(teacher)}}
    result = compare(network, data, recipe, output=tmp_path / "out", latency=False)
    assert [one.label for one in result.techniques] == ["none", "P", "Q", "D", "P+Q", "P+D+Q"]
    rows = {one.label: one.row for one in result.techniques}
    assert all(rows.values())
    sizes = {label: row.weight_bytes for label, row in rows.items() if row is not None}
    assert sizes["none"] == sizes["D"] > sizes["P"] > sizes["P+Q"] == sizes["P+D+Q"]
    assert sizes["none"] > sizes["Q"]
    alone = run(network, data, recipe)
    assert rows["P+D+Q"] is not None
    assert rows["P+D+Q"].accuracy == alone.stages[-1].row.accuracy
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"report.json", "recipe.toml"}


def test_teachers_of_another_kind(network: onnx.ModelProto, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    onnx.save(nets.network(size=10), other)
    with pytest.raises(InputError, match=r"has an input of \[\?, 1, 10, 10\], the model one of \[\?, 1, 8, 8\]"):
        run(network, data, {"fine_tune": {**TUNE, "teacher": str(other)}})
