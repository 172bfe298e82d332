"""A training is deterministic, goes on where it was interrupted, and refuses checkpoints that are not its own."""

from __future__ import annotations

import itertools
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import InputError  # noqa: E402
from onnxino_tools.train import Progress, Training, evaluate, fit, to_module  # noqa: E402
from tests.train.networks import content, patterns, small  # noqa: E402

QUICK = Training(epochs=3, batch=16, learning_rate=0.02, seed=5)
DATA = patterns(96), patterns(48, seed=1)
EVERYTHING = replace(
    QUICK,
    epochs=4,
    augment=("flip", "flip-vertical", "shift", "crop", "rotate", "rot90", "colour", "erase"),
    mixup=0.3,
    cutmix=1.0,
    label_smoothing=0.1,
    warmup=0.5,
    ema=0.9,
    feature_weight=0.5,
    feature_layers=(("relu2", "relu2"),),
    alpha=0.5,
)


def test_the_same_again_gives_the_same_bytes() -> None:
    teacher = to_module(small(seed=9))
    results: list[bytes] = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed * len(results))  # torch's own generator must not matter
        module = to_module(small(dropout=True))
        settings = replace(EVERYTHING, seed=seed)
        fit(module, *DATA, settings, teacher=teacher)
        results.append(content(module))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_other_generators_are_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(to_module(small(dropout=True)), *DATA, replace(QUICK, epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


class Stop(Exception):
    """Ends a training from its callback."""


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Stop])
def test_a_resumed_training_gives_the_same_bytes(optimizer: str, error: type[BaseException], tmp_path: Path) -> None:
    teacher = to_module(small(seed=9))
    settings = replace(EVERYTHING, optimizer=optimizer)
    mask = {"head6.weight": np.arange(3 * 64).reshape(3, 64) % 3 > 0}
    whole = to_module(small(dropout=True))
    more: dict[str, Any] = {"teacher": teacher, "masks": mask}
    expected = fit(whole, *DATA, settings, **more)
    path = tmp_path / "training.ckpt"

    def stop(progress: Progress) -> None:
        if progress.epoch in (1, 3):
            raise error

    for reached in (1, 3):
        with pytest.raises(error):
            fit(
                to_module(small(dropout=True)),
                *DATA,
                settings,
                teacher=teacher,
                masks=mask,
                checkpoint=path,
                progress=stop,
            )
        assert len(torch.load(path, weights_only=True)["history"]["epochs"]) == reached
    module = to_module(small(dropout=True))
    history = fit(module, *DATA, settings, **more, checkpoint=path)
    assert history.resumed_from == 3
    assert content(module) == content(whole)
    assert history.best_epoch == expected.best_epoch
    assert history.start is not None
    assert history.start == replace(expected.start, seconds=history.start.seconds)  # type: ignore[type-var]
    strip = [replace(epoch, seconds=0.0) for epoch in history.epochs]
    assert strip == [replace(epoch, seconds=0.0) for epoch in expected.epochs]

    again = to_module(small(dropout=True))
    assert fit(again, *DATA, settings, **more, checkpoint=path).resumed_from == 4
    assert content(again) == content(whole)
    assert [file.name for file in tmp_path.iterdir()] == ["training.ckpt"]


def test_an_epoch_that_is_cut_off_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino_tools.train.optimizer import Optimizer

    whole = to_module(small())
    fit(whole, *DATA, QUICK)
    path = tmp_path / "training.ckpt"
    inner, steps = Optimizer.step, itertools.count()

    def step(self: Any, loss: Any) -> None:
        if next(steps) == 9:  # in the second epoch of six steps each
            raise KeyboardInterrupt
        inner(self, loss)

    monkeypatch.setattr(Optimizer, "step", step)
    module = to_module(small())
    with pytest.raises(KeyboardInterrupt):
        fit(module, *DATA, QUICK, checkpoint=path)
    assert not module.training
    module = to_module(small())
    assert fit(module, *DATA, QUICK, checkpoint=path).resumed_from == 1
    assert content(module) == content(whole)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to a thread")
def test_ctrl_c_at_any_moment_keeps_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "training.ckpt"
    main = threading.main_thread().ident
    assert main is not None

    def soon(progress: Progress) -> None:
        if progress.epoch == 2:
            threading.Timer(0.03, signal.pthread_kill, (main, signal.SIGINT)).start()

    settings = replace(QUICK, epochs=100_000)
    with pytest.raises(KeyboardInterrupt):
        fit(to_module(small()), *DATA, settings, checkpoint=path, progress=soon)
    assert [file.name for file in tmp_path.iterdir()] == ["training.ckpt"]
    reached = len(torch.load(path, weights_only=True)["history"]["epochs"])
    assert 2 <= reached < 100_000


def test_early_stopping_returns_the_best_weights(tmp_path: Path) -> None:
    images, labels = patterns(40, seed=3)
    shuffled = np.random.default_rng(0).permutation(labels)  # nothing to learn: validation gets worse by chance
    validation = patterns(60, seed=4)
    settings = Training(epochs=60, batch=8, learning_rate=0.02, patience=3, seed=1)
    module, path = to_module(small()), tmp_path / "training.ckpt"
    history = fit(module, (images, shuffled), validation, settings, checkpoint=path)
    assert history.stopped_early
    assert len(history.epochs) == history.best_epoch + 3 < 60
    accuracies = [epoch.validation_accuracy or 0.0 for epoch in history.epochs]
    assert history.best.validation_accuracy == max(accuracies) == evaluate(module, validation).accuracy
    again = to_module(small())
    assert fit(again, (images, shuffled), validation, settings, checkpoint=path).stopped_early
    assert content(again) == content(module)


def test_checkpoints_of_other_trainings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "my training.ckpt"
    fit(to_module(small()), *DATA, QUICK, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"another training; different: epochs \(there 3, here 4\)") as caught:
        fit(to_module(small()), *DATA, replace(QUICK, epochs=4), checkpoint=path)
    assert str(caught.value.hint).endswith(f"rm '{path}'")
    with pytest.raises(InputError, match=r"different: initial model\n"):
        fit(to_module(small(seed=1)), *DATA, QUICK, checkpoint=path)
    with pytest.raises(InputError, match=r"different: training data\n"):
        fit(to_module(small()), patterns(96, seed=8), DATA[1], QUICK, checkpoint=path)
    with pytest.raises(InputError, match=r"different: teacher\n"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=path, teacher=small())
    with pytest.raises(InputError, match=r"different: masks\n"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=path, masks={"head5.bias": np.ones(3, bool)})
    assert path.read_bytes() == before


def test_checkpoints_of_other_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.ckpt"
    torch.save({"format": 9, "key": {}}, path)
    with pytest.raises(InputError, match=r"is a checkpoint of format 9; expected 2"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=path)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other"])
def test_damaged_checkpoints_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "training.ckpt"
    fit(to_module(small()), *DATA, replace(QUICK, epochs=1), checkpoint=path)
    whole = path.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"epoch 3", "empty": b""}[damage])
    with pytest.raises(InputError, match="is damaged, or no checkpoint of a training"):
        fit(to_module(small()), *DATA, replace(QUICK, epochs=1), checkpoint=path)


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    told: list[Progress] = []
    with pytest.raises(InputError, match="is a folder, the name of a file was expected"):
        fit(to_module(small()), *DATA, QUICK, checkpoint=tmp_path, progress=told.append)
    assert not told
