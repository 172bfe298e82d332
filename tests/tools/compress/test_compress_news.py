"""What a compression tells before and while it trains: how good the teacher is, and where a training goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxino_tools.compress import Event, compress
from tests.tools.compress import nets

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


def test_the_teacher_is_measured_before_it_teaches(network: onnx.ModelProto, data: Path, teacher: Path) -> None:
    told: list[Event] = []
    recipe = {"fine_tune": {**TUNE, "epochs": 1, "teacher": str(teacher)}, "quantize": {"method": "none"}}
    run(nets.network(solve=False), data, recipe, progress=told.append)
    alone = run(teacher, data, {"quantize": {"method": "none"}}).stages[0].row.accuracy
    kinds = [event.kind for event in told]
    taught = next(event for event in told if event.text.startswith("teacher: "))
    assert taught.text == f"teacher: {100 * alone:.2f} % of the validation images"
    assert told.index(taught) < kinds.index("epoch")
    told.clear()
    onnx.save(nets.network(solve=False), teacher)
    run(network, data, recipe, progress=told.append)
    taught = next(event for event in told if event.text.startswith("teacher: "))
    assert "which is not above the model's own" in taught.text


def test_a_training_that_goes_on_says_from_where(network: onnx.ModelProto, data: Path, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if event.kind == "epoch" and event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(network, data, {"fine_tune": TUNE}, output=tmp_path / "out", progress=stop)
    told: list[Event] = []
    run(network, data, {"fine_tune": TUNE}, output=tmp_path / "out", progress=told.append)
    assert "fine-tuned: went on after epoch 2 of 3" in [event.text for event in told]
