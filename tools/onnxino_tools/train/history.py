"""What a training tells while it runs and afterwards. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """One pass over the training data. Losses are means per sample, accuracies shares from 0 to 1.

    train_loss: what was minimized, with distillation and augmentation; train_accuracy on the augmented images.
    validation_loss: cross entropy without label smoothing (None without validation data). seconds: wall clock.
    """

    number: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Start:
    """The network as the training found it, which is a candidate for the result: as in Epoch, with the masks applied.
    number: 0. seconds: of the evaluation."""

    validation_loss: float
    validation_accuracy: float
    seconds: float
    number: int = 0


@dataclass(frozen=True)
class Progress:
    """Handed to `progress` after each epoch, when its checkpoint is written. `remaining`: estimated seconds to the last
    epoch (early stopping may be earlier)."""

    epoch: int
    epochs: int
    last: Epoch
    best: bool
    elapsed: float
    remaining: float


@dataclass
class History:
    """The epochs of a training, those before a resume included.

    best_epoch: whose weights the module has (the last one without validation data), counted from 1; 0: those it was
    given, as no epoch was better. stopped_early: by `patience`. resumed_from: epochs that were there already in the
    checkpoint, 0 if none. start: before the first epoch (None without validation data).
    """

    epochs: list[Epoch] = field(default_factory=list[Epoch])
    best_epoch: int = 0
    stopped_early: bool = False
    resumed_from: int = 0
    start: Start | None = None

    @property
    def best(self) -> Epoch | Start:
        """The epoch of which the module has the weights, or the start."""
        if self.best_epoch == 0 and self.start is not None:
            return self.start
        return self.epochs[self.best_epoch - 1]

    @property
    def seconds(self) -> float:
        """Time of all epochs, those before a resume included."""
        return sum(epoch.seconds for epoch in self.epochs)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "seconds": self.seconds}
