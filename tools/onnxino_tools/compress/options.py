"""The sections of a recipe: data, pruning, fine-tuning, quantization, targets; checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from onnxino.errors import InputError
from onnxino_converter.prune import CRITERIA, GRANULARITIES, SCHEDULES, SCOPES
from onnxino_tools.compress import checks
from onnxino_tools.train import Training

METHODS = ("minmax", "percentile", "mse", "entropy")
MOST = 0.95  # the largest ratio that is tried: what is left of a layer beyond it classifies nothing


@dataclass(frozen=True)
class DataOptions:
    """Which images do what. train: the split that trains and calibrates. validation: the split by which everything is
    chosen, or a share of `train` (0..0.9) that is held out by the seed, class by class. evaluate: the split that the
    final report is about; None: the validation split. limit: only N images of each split (0: all). resize: image
    files: crop, stretch or pad. scale, mean, std, layout: how pixels become inputs, as in onnxino.pixels."""

    train: str = "train"
    validation: str | float = "val"
    evaluate: str | None = None
    limit: int = 0
    resize: str = "crop"
    scale: float | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    layout: str | None = None

    def __post_init__(self) -> None:
        checks.text("data.train", self.train)
        if isinstance(self.validation, str):
            checks.text("data.validation", self.validation)
        else:
            checks.number("data.validation", self.validation, 0.01, 0.9)
        if self.evaluate is not None:
            checks.text("data.evaluate", self.evaluate)
        checks.integer("data.limit", self.limit, 0)
        checks.choice("data.resize", self.resize, ("crop", "stretch", "pad"))
        self._check_pixels()

    def _check_pixels(self) -> None:
        if self.scale is not None:
            checks.number("data.scale", self.scale, 1e-12)
        for name, values, low in (("mean", self.mean, -1e12), ("std", self.std, 1e-12)):
            if values is not None and not isinstance(values, list | tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InputError(
                    f"data.{name} is {checks.shown(values)}; expected a list of numbers", f"{name} = [0.5]"
                )
            for value in values or []:
                checks.number(f"data.{name}", value, low)
        if self.scale is None and (self.mean or self.std):
            raise InputError("data.mean and data.std need data.scale", "scale = 1 for pixels of 0..255")
        if self.layout is not None:
            checks.choice("data.layout", self.layout, ("NHWC", "NCHW"))


@dataclass(frozen=True)
class PruneOptions:
    """What is removed. ratio: the share of channels (or weights), or one for each layer by its name, or "auto": what
    the sensitivity of the layers proposes for a loss of `max_drop` (share of images); None: searched for the targets.
    epochs: of fine-tuning between the steps of a schedule. nm: of each m weights in a row, n stay. multiple: channel
    counts stay multiples of it."""

    ratio: float | dict[str, float] | str | None = None
    granularity: str = "channel"
    criterion: str = "l1"
    scope: str = "layer"
    schedule: str = "one-shot"
    steps: int = 1
    epochs: int = 1
    nm: str = "2:4"
    exclude: tuple[str, ...] = ()
    multiple: int = 1
    max_drop: float = 0.02

    def __post_init__(self) -> None:
        _check_ratio(self.ratio)
        checks.choice("prune.granularity", self.granularity, GRANULARITIES)
        checks.choice("prune.criterion", self.criterion, CRITERIA)
        checks.choice("prune.scope", self.scope, SCOPES)
        checks.choice("prune.schedule", self.schedule, SCHEDULES)
        checks.integer("prune.steps", self.steps, 1, 100)
        checks.integer("prune.epochs", self.epochs, 0)
        checks.integer("prune.multiple", self.multiple, 1)
        checks.number("prune.max_drop", self.max_drop, 0, 1)
        object.__setattr__(self, "exclude", checks.texts("prune.exclude", self.exclude))
        self.kept_of()
        self._check_together()

    def _check_together(self) -> None:
        if self.granularity == "n:m":
            n, m = self.kept_of()
            if self.schedule != "one-shot" or self.ratio not in (None, 1 - n / m):
                raise InputError(
                    f"{self.nm} pruning removes {m - n} of {m} weights at once: it takes no ratio and no schedule",
                    "leave prune.ratio and prune.schedule away",
                )
        if self.criterion in ("bn", "l1-next") and self.granularity != "channel":
            raise InputError(
                f"prune.criterion '{self.criterion}' is for channels, not for granularity '{self.granularity}'",
                "take l1, l2 or taylor",
            )
        if (self.schedule == "one-shot") != (self.steps == 1):
            raise InputError(
                f"prune.schedule is '{self.schedule}' with {self.steps} step{'s' if self.steps != 1 else ''}",
                "one-shot has 1 step, iterative and polynomial have 2 or more: prune.steps, --steps",
            )

    def kept_of(self) -> tuple[int, int]:
        """(n, m) of nm. Raises InputError."""
        n, _, m = str(self.nm).partition(":")
        if not (n.isdecimal() and m.isdecimal() and 0 < int(n) < int(m) <= 64):
            raise InputError(f"prune.nm is {checks.shown(self.nm)}; expected N:M with 0 < N < M, such as 2:4")
        return int(n), int(m)


def _check_ratio(ratio: object) -> None:
    if isinstance(ratio, Mapping):
        items: dict[str, object] = dict(ratio)  # pyright: ignore[reportUnknownArgumentType]
        for name, value in items.items():
            checks.number(f"prune.ratio of '{name}'", value, 0, 1, below=True)
    elif isinstance(ratio, str):
        if ratio != "auto":
            raise InputError(f"prune.ratio is '{ratio}'; expected a number of 0 or more, below 1, or 'auto'")
    elif ratio is not None:
        checks.number("prune.ratio", ratio, 0, 1, below=True)


@dataclass(frozen=True)
class TuneOptions(Training):
    """Training, with the seed of the recipe. teacher: an ONNX classifier of the same input and classes, whose answers
    are learned too. normalize: a network that has convolutions and no BatchNormalization (exporters fold them) trains
    with some, which are folded back."""

    teacher: str | None = None
    normalize: bool = True

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except InputError as error:
            raise InputError(f"fine_tune: {error.message}", error.hint) from None
        if self.teacher is not None:
            checks.text("fine_tune.teacher", self.teacher)
        checks.flag("fine_tune.normalize", self.normalize)


@dataclass(frozen=True)
class QuantizeOptions:
    """The quantizer's options (docs/quantizing.md); method "none" leaves the network in float32. calibration: how many
    training images its ranges come from."""

    method: str = "minmax"
    per_channel: bool = True
    activations: str = "uint8"
    equalize: bool = False
    bias_correction: bool = False
    calibration: int = 300

    def __post_init__(self) -> None:
        checks.choice("quantize.method", self.method, ("none", *METHODS))
        for name in ("per_channel", "equalize", "bias_correction"):
            checks.flag(f"quantize.{name}", getattr(self, name))
        checks.choice("quantize.activations", self.activations, ("uint8", "int8"))
        checks.integer("quantize.calibration", self.calibration, 1)


@dataclass(frozen=True)
class Targets:
    """What the result must keep to; None: nothing said. ms: estimated at the board's 64 MHz. accuracy: the share of
    the validation images (0..1) that the result must reach; the others are sizes that a ratio is searched for."""

    macs: int | None = None
    weight_bytes: int | None = None
    arena_bytes: int | None = None
    ms: float | None = None
    accuracy: float | None = None

    def __post_init__(self) -> None:
        for name in ("macs", "weight_bytes", "arena_bytes"):
            if getattr(self, name) is not None:
                checks.integer(f"targets.{name}", getattr(self, name), 1)
        if self.ms is not None:
            checks.number("targets.ms", self.ms, 0.001)
        if self.accuracy is not None:
            checks.number("targets.accuracy", self.accuracy, 0, 1)

    def given(self) -> dict[str, float]:
        """The sizes that are set: those that a ratio is searched for."""
        return {name: value for name, value in self.as_dict().items() if name != "accuracy"}

    def as_dict(self) -> dict[str, float]:
        """All that are set."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a result, beside model and data. prune, fine_tune: None leaves the stage out."""

    seed: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    prune: PruneOptions | None = None
    fine_tune: TuneOptions | None = None
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)
    targets: Targets = field(default_factory=Targets)

    def __post_init__(self) -> None:
        checks.integer("seed", self.seed, 0, 2**32 - 1)
        given = self.targets.given()
        if given and self.prune is None:
            object.__setattr__(self, "prune", PruneOptions())
        if self.prune is None:
            return
        if given and self.prune.ratio is not None:
            raise InputError(
                "a ratio of pruning is given, and targets that a ratio is searched for", "give one of the two"
            )
        if given and self.prune.granularity != "channel":
            raise InputError(
                f"targets need pruning by channels: granularity '{self.prune.granularity}' leaves zeros in place, "
                "which take their bytes and time on the device",
                "leave prune.granularity away, or the targets",
            )
        if not given and self.prune.ratio is None and self.prune.granularity != "n:m":
            raise InputError(
                "there is no ratio of pruning, and no target to search one for",
                'prune.ratio = 0.5, or "auto", or targets such as weight_bytes = 60000',
            )

    @property
    def trains(self) -> bool:
        """Whether gradients are needed."""
        return self.fine_tune is not None or (self.prune is not None and self.prune.criterion == "taylor")

    @property
    def quantizes(self) -> bool:
        """Whether the result is in 8 bits."""
        return self.quantize.method != "none"
