"""The training loop: fine-tuning and distillation, with masks, early stopping and checkpoints."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onnxino.errors import InputError
from onnxino_tools.files import check_writable
from onnxino_tools.train import checkpoint as checkpoints
from onnxino_tools.train.augment import Augmenter
from onnxino_tools.train.average import Average
from onnxino_tools.train.data import (
    Arrays,
    Samples,
    check_labels,
    class_count,
    device_of,
    masks_of,
    samples_of,
    teacher_of,
)
from onnxino_tools.train.history import Epoch, History, Progress, Start
from onnxino_tools.train.losses import Objective
from onnxino_tools.train.optimizer import Optimizer
from onnxino_tools.train.scores import score
from onnxino_tools.train.settings import Training

if TYPE_CHECKING:
    from onnx import ModelProto

_EXAMPLES = 2


def fit(
    module: nn.Module,
    train: Arrays,
    validation: Arrays | None,
    settings: Training,
    *,
    teacher: nn.Module | ModelProto | Path | str | None = None,
    masks: Mapping[str, NDArray[Any]] | None = None,
    checkpoint: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> History:
    """Trains the module in place; at the end it has the weights of the epoch with the best validation accuracy (of
    equal ones, the least validation loss), or those it came with where no epoch is better, and is in evaluation mode.
    On the same processor, with the same PyTorch and number of threads, the same arguments give the same weights bit for
    bit.

    module: from to_module(), or any that gives logits [N, classes]. train, validation: images float32 [N, ...] as the
    model takes them, and labels int64 [N]; without validation data the last weights stay.
    teacher: a module or an ONNX model that takes the same images and tells the same classes apart: distillation, with
    the temperature, alpha and features of the settings.
    masks: parameter name -> bool array of its shape, False where a weight stays zero.
    checkpoint: written after each epoch; where it exists, the training goes on from it, and gives the weights of an
    uninterrupted run. Ctrl-C ends the training with KeyboardInterrupt, and leaves the checkpoint of the last epoch.
    progress: called after each epoch.

    Raises InputError for data, labels, masks, teachers and checkpoints that do not fit, and where the loss is not
    finite; ConvertError for a teacher that cannot be read.
    """
    return _Fit(module, train, validation, settings, teacher, masks, checkpoint, progress).run()


class _Fit:
    """One training."""

    def __init__(
        self,
        module: nn.Module,
        train: Arrays,
        validation: Arrays | None,
        settings: Training,
        teacher: nn.Module | ModelProto | Path | str | None,
        masks: Mapping[str, NDArray[Any]] | None,
        checkpoint: Path | str | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.module, self.settings, self.progress = module, settings, progress
        self.device = device_of(module)
        self.train, self.validation = _checked(module, train, validation, settings)
        example = self.train.images[:_EXAMPLES]
        classes = class_count(module, example, "the model")
        check_labels(self.train, classes, "training")
        if self.validation is not None:
            check_labels(self.validation, classes, "validation")
        self.teacher = teacher_of(teacher, module, example, classes)
        self.masks = masks_of(masks, module)
        self.augment = Augmenter(settings, self.train.images)
        self.path = None if checkpoint is None else Path(checkpoint)
        if self.path is not None:
            check_writable(self.path, "training.ckpt")
        data = {"training": self.train, "validation": self.validation}
        self.key = {} if self.path is None else checkpoints.key_of(module, data, settings, self.teacher, self.masks)
        with _seeded(settings.seed, 0):
            self.objective = Objective(module, self.teacher, settings, example.to(self.device))
        self.optimizer = Optimizer(module, self.objective.features, settings, self.masks)
        self.optimizer.apply_masks()  # before the average begins
        self.average = Average(module, settings.ema) if settings.ema else None
        self.history = History()
        self.best: dict[str, Tensor] | None = None

    def run(self) -> History:
        self._resume()
        try:
            with _deterministic():
                self._start()
                for number in range(len(self.history.epochs) + 1, self.settings.epochs + 1):
                    if self.history.stopped_early:
                        break
                    self._epoch(number)
        finally:
            if self.best is not None:
                self.module.load_state_dict(self.best)
            self.module.eval()
        return self.history

    def _start(self) -> None:
        """The given weights are the first candidate: a training must not return a worse network than it was given."""
        if self.validation is None or self.history.epochs:
            return
        start = time.perf_counter()
        tested = score(self.module, self.validation)
        if math.isfinite(tested.loss):
            self.history.start = Start(tested.loss, tested.accuracy, time.perf_counter() - start)
            self.best = _copied(self.module)

    def _epoch(self, number: int) -> None:
        start = time.perf_counter()
        with _seeded(self.settings.seed, number):
            loss, accuracy = self._pass(number)
        state = self.average.state() if self.average is not None else _copied(self.module)
        tested = None
        if self.validation is not None:
            with _weights(self.module, state if self.average is not None else None):
                tested = score(self.module, self.validation)
            self._check_finite(tested.loss, number, "validation loss")
        last = Epoch(
            number,
            loss,
            accuracy,
            tested.loss if tested else None,
            tested.accuracy if tested else None,
            self.optimizer.rate,
            time.perf_counter() - start,
        )
        better = _is_better(last, self.history)
        self.history.epochs.append(last)
        if better:
            self.history.best_epoch, self.best = number, state
        waited = number - self.history.best_epoch
        self.history.stopped_early = 0 < self.settings.patience <= waited and number < self.settings.epochs
        self._save()
        self._tell(last, better)

    def _pass(self, number: int) -> tuple[float, float]:
        """One epoch's steps: mean loss and share of right answers."""
        settings, samples = self.settings, self.train
        rng = np.random.default_rng([settings.seed, number])
        order = torch.from_numpy(rng.permutation(len(samples)))
        batches = [order[start : start + settings.batch] for start in range(0, len(order), settings.batch)]
        batches = [part for part in batches if len(part) > 1]  # statistics need two samples
        self.module.train()
        total, right, seen = 0.0, 0, 0
        for step, part in enumerate(batches):
            labels = samples.labels[part]
            mixed = self.augment(samples.images[part], labels, rng).to(self.device)
            labels = labels.to(self.device)
            self.optimizer.set_rate(number - 1 + step / len(batches), 1 / len(batches))
            loss, logits = self.objective(mixed, labels)
            value = float(loss.detach())
            self._check_finite(value, number, "loss")
            self.optimizer.step(loss)
            if self.average is not None:
                self.average.update(self.module)
            total += value * len(part)
            right += int((logits.detach().argmax(1) == labels).sum())
            seen += len(part)
        return total / seen, right / seen

    def _check_finite(self, value: float, number: int, what: str) -> None:
        if math.isfinite(value):
            return
        rate = self.settings.learning_rate
        raise InputError(
            f"the training diverged: in epoch {number} the {what} is {value}, with a learning rate of {rate:g}",
            f"take a smaller one, for example learning_rate = {rate / 10:g}, or warmup = 1",
        )

    def _tell(self, last: Epoch, better: bool) -> None:
        if self.progress is None:
            return
        here = self.history.epochs[self.history.resumed_from :]
        each = sum(epoch.seconds for epoch in here) / len(here)
        left = 0 if self.history.stopped_early else self.settings.epochs - last.number
        self.progress(Progress(last.number, self.settings.epochs, last, better, self.history.seconds, each * left))

    def _save(self) -> None:
        if self.path is None:
            return
        features = self.objective.features
        state = {
            "model": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "features": {} if features is None else features.state_dict(),
            "average": {} if self.average is None else self.average.saved(),
            "best": self.best,
            "history": self.history.as_dict(),
        }
        checkpoints.save(self.path, self.key, state)

    def _resume(self) -> None:
        state = None if self.path is None else checkpoints.load(self.path, self.key)
        if state is None:
            return
        self.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.objective.features is not None:
            self.objective.features.load_state_dict(state["features"])
        if self.average is not None:
            self.average.load(state["average"])
        self.best = state["best"]
        past = state["history"]
        self.history = History([Epoch(**epoch) for epoch in past["epochs"]], past["best_epoch"], past["stopped_early"])
        self.history.start = None if past["start"] is None else Start(**past["start"])
        self.history.resumed_from = len(self.history.epochs)


def _checked(
    module: nn.Module, train: Arrays, validation: Arrays | None, settings: Training
) -> tuple[Samples, Samples | None]:
    samples = samples_of(train, module, "training")
    if len(samples) < 2:
        raise InputError("there is one training sample; expected two or more")
    if validation is None and settings.patience:
        raise InputError("patience needs validation data", "give validation data, or patience = 0")
    return samples, None if validation is None else samples_of(validation, module, "validation")


def _is_better(last: Epoch, history: History) -> bool:
    if last.validation_accuracy is None or not (history.epochs or history.start):
        return True
    best = history.best
    return (last.validation_accuracy, -(last.validation_loss or 0.0)) > (
        best.validation_accuracy or 0.0,
        -(best.validation_loss or 0.0),
    )


def _copied(module: nn.Module) -> dict[str, Tensor]:
    state: dict[str, Tensor] = module.state_dict()
    return {name: value.detach().clone() for name, value in state.items()}


@contextmanager
def _weights(module: nn.Module, state: Mapping[str, Tensor] | None) -> Generator[None]:
    """The module with these weights, and then with its own again."""
    if state is None:
        yield
        return
    own = _copied(module)
    module.load_state_dict(state)
    try:
        yield
    finally:
        module.load_state_dict(own)


@contextmanager
def _seeded(seed: int, number: int) -> Generator[None]:
    """torch's own generator (Dropout, initial projections) as this epoch needs it, and then as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng([seed, number, 1]).integers(2**63)))
        yield


@contextmanager
def _deterministic() -> Generator[None]:
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
