"""What a training is told: the hyperparameters, checked as soon as they are given. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from onnxino.errors import InputError

AUGMENTATIONS = ("flip", "flip-vertical", "shift", "crop", "rotate", "rot90", "colour", "erase")
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "constant")
LAYOUTS = ("auto", "nchw", "nhwc")


@dataclass(frozen=True)
class Training:
    """Hyperparameters of fit(). The defaults fine-tune a small network; from random weights take more epochs.

    epochs, batch: passes over the training data, and samples a step (a last batch of one sample is left out).
    learning_rate: its greatest value. Common: 0.05 for sgd and 0.003 for adamw, from random weights and after pruning.
    optimizer: sgd (Nesterov, with `momentum`) or adamw. weight_decay: for weights, not for biases and normalizations;
        decoupled with adamw, part of the gradient with sgd.
    schedule: cosine (down to 0 at the end) or constant; the first `warmup` epochs (may be a fraction) rise linearly.
    label_smoothing: share of a label that goes to all classes evenly, 0..1.
    augment: names out of AUGMENTATIONS (docs/training.md), applied in their order there.
    mixup, cutmix: the parameter of the Beta distribution of the mixing ratio; 0: none. With both, each batch takes one
        of them.
    patience: epochs without a better validation accuracy before the end; 0: none. seed: of everything random.
    temperature, alpha: of distillation: alpha weighs the soft targets, 1 - alpha the labels.
    feature_weight, feature_layers: pairs (student's tensor, teacher's tensor), and the weight of their distance.
    ema: decay of an exponential moving average of the weights, which is then validated and returned; 0: none.
    layout: of the images, for augmentation: nchw, nhwc or auto (where the axis of 1 to 4 channels is).

    Raises InputError for a value outside of its range, naming both.
    """

    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.003
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()
    mixup: float = 0.0
    cutmix: float = 0.0
    patience: int = 0
    seed: int = 0
    temperature: float = 4.0
    alpha: float = 0.9
    feature_weight: float = 0.0
    feature_layers: tuple[tuple[str, str], ...] = ()
    momentum: float = 0.9
    ema: float = 0.0
    layout: str = "auto"

    def __post_init__(self) -> None:
        for name, (kind, fits, expected) in _RULES.items():
            value = getattr(self, name)
            # bool is an int to Python, but epochs = true is a slip.
            if isinstance(value, bool) or not isinstance(value, kind) or not abs(value) <= _HUGE or not fits(value):
                raise InputError(f"{name} is {value!r}; expected {expected}", f"for example {name} = {_sane(name)!r}")
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("layout", LAYOUTS)):
            _check_name(name, getattr(self, name), allowed)
        object.__setattr__(self, "augment", _names(self.augment))
        object.__setattr__(self, "feature_layers", _pairs(self.feature_layers))
        if self.warmup > self.epochs:
            raise InputError(
                f"warmup is {self.warmup} epochs, the whole training {self.epochs}",
                f"for example warmup = {self.epochs / 10:g}",
            )
        if bool(self.feature_layers) != bool(self.feature_weight):
            missing = "feature_layers" if self.feature_weight else "feature_weight"
            raise InputError(
                f"feature matching needs feature_weight and feature_layers; there is no {missing}",
                "for example feature_weight = 1.0, feature_layers = [['student tensor', 'teacher tensor']]",
            )


_Rule = tuple["type[int] | tuple[type[int], type[float]]", Callable[[Any], bool], str]
_REAL = (int, float)
_HUGE = 1e300  # a greater integer is none that float() takes; NaN is not within it either


def _above(kind: Any, least: float) -> _Rule:
    return kind, lambda v: v >= least, f"{'a whole number' if kind is int else 'a number'} of {least:g} or more"


def _share(below: bool) -> _Rule:
    end = "below 1" if below else "to 1"
    return _REAL, lambda v: 0 <= v < 1 if below else 0 <= v <= 1, f"a number from 0 {end}"


_POSITIVE: _Rule = (_REAL, lambda v: v > 0, "a number above 0")
_RULES: dict[str, _Rule] = {
    "epochs": _above(int, 1),
    "batch": _above(int, 2),
    "learning_rate": _POSITIVE,
    "weight_decay": _above(_REAL, 0),
    "warmup": _above(_REAL, 0),
    "label_smoothing": _share(below=True),
    "mixup": _above(_REAL, 0),
    "cutmix": _above(_REAL, 0),
    "patience": _above(int, 0),
    "seed": (int, lambda v: 0 <= v < 2**63, "a whole number from 0 below 2^63"),
    "temperature": _POSITIVE,
    "alpha": _share(below=False),
    "feature_weight": _above(_REAL, 0),
    "momentum": _share(below=True),
    "ema": _share(below=True),
}


def _sane(name: str) -> Any:
    return Training.__dataclass_fields__[name].default


def _check_name(what: str, name: object, allowed: tuple[str, ...]) -> None:
    if isinstance(name, str) and name in allowed:
        return
    near = get_close_matches(str(name), allowed, 1)
    raise InputError(
        f"{what} is {name!r}; expected one of {', '.join(allowed)}", f"did you mean {near[0]}?" if near else None
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _names(augment: Any) -> tuple[str, ...]:
    """The augmentations in the order in which they are applied, each once."""
    if not _is_list(augment):
        raise InputError(f"augment is {augment!r}; expected a list of names", "for example augment = ['flip', 'shift']")
    names = [str(name) for name in augment]
    for name in names:
        if name in ("mixup", "cutmix"):
            raise InputError(f"{name} is a setting of its own, no name in augment", f"for example {name} = 0.2")
        _check_name("an augmentation", name, AUGMENTATIONS)
    return tuple(name for name in AUGMENTATIONS if name in names)


def _pairs(layers: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of names, as tuples; TOML gives lists."""
    hint = "for example feature_layers = [['student tensor', 'teacher tensor']]"
    if not _is_list(layers):
        raise InputError(f"feature_layers is {layers!r}; expected a list of pairs of names", hint)
    pairs: list[tuple[str, str]] = []
    for pair in layers:
        if not _is_list(pair) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            raise InputError(f"feature_layers holds {pair!r}; expected a pair of names", hint)
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)
