"""The stages: prune, train, quantize; each turns a model into the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino_tools.compress.options import PruneOptions, TuneOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnx import ModelProto

    from onnxino_converter import Converted
    from onnxino_converter.prune import Group, LayerChange, Skipped
    from onnxino_tools.compress.job import Job

Masks = Mapping[str, NDArray[np.bool_]]
Ratio = float | Mapping[str, float]
NORMALIZED = 512  # training images whose statistics the normalizations of a folded network begin with
SCORED = 1024  # training images that Taylor scores are computed from


@dataclass
class State:
    """A network on its way: masks hold where weights stay zero; done: the share that is removed already."""

    model: ModelProto
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict[str, NDArray[np.bool_]])
    changes: list[LayerChange] = field(default_factory=list["LayerChange"])
    skipped: list[Skipped] = field(default_factory=list["Skipped"])


def prune_to(job: Job, model: ModelProto, ratio: Ratio, *, sizes_only: bool = False) -> State:
    """Prunes a network, from which channels may be gone already, to a share of the original's channels or weights.

    sizes_only: nothing but the shapes of the result will be looked at, so that which channels of a layer go is all one.
    """
    from onnxino_converter.prune import prepared, prune

    options = job.recipe.prune
    assert options is not None
    first, model = model is job.model, prepared(model)
    kwargs: dict[str, Any] = {"nm": options.kept_of()} if options.granularity == "n:m" else {}
    if options.granularity != "n:m":
        whole = first or options.granularity != "channel"
        kwargs["ratio"] = ratio if whole else _left(job, model, options, ratio)
    # Scores by gradients take a while, and the shapes do not depend on them where each layer loses its own share.
    quick = sizes_only and options.criterion == "taylor" and options.scope == "layer"
    criterion = "l1" if quick else options.criterion
    result = prune(
        model,
        granularity=options.granularity,  # type: ignore[arg-type]
        criterion=criterion,  # type: ignore[arg-type]
        scope=options.scope,  # type: ignore[arg-type]
        scores=taylor(job, model) if criterion == "taylor" else None,
        exclude=options.exclude,
        multiple=options.multiple,
        **kwargs,
    )
    return State(result.model, dict(result.masks), list(result.changes), list(result.skipped))


def _left(job: Job, model: ModelProto, options: PruneOptions, ratio: Ratio) -> Ratio:
    """The ratio of the channels that are left, by which as many stay as `ratio` leaves of the original's."""
    from onnxino_converter.prune import groups

    before, now = ({group.name: group for group in groups(network)} for network in (job.model, model))
    if options.scope == "global" and not isinstance(ratio, Mapping):
        left, whole = (sum(group.channels for group in found.values()) for found in (now, before))
        return _share(ratio, left / whole) if left != whole else ratio
    given = {name: (_given(ratio, group), group.channels) for name, group in before.items()}
    return {name: _rest(*given[name], group.channels) for name, group in now.items() if name in given}


def _given(ratio: Ratio, group: Group) -> float:
    """The ratio of a group, which a recipe may name by itself, by one of its layers or by their weights."""
    if not isinstance(ratio, Mapping):
        return ratio
    weights = (member.initializer for member in group.members if member.kind == "weights")
    return next((ratio[name] for name in (group.name, *group.layers, *weights) if name in ratio), 0.0)


def _rest(ratio: float, before: int, now: int) -> float:
    """The share of `now` channels that goes, so that as many stay as `ratio` leaves of `before`."""
    return max(0.0, 1 - max(before - round(ratio * before), 1) / now)


def _share(ratio: float, left: float) -> float:
    return min(max(0.0, 1 - (1 - ratio) / left), 0.999)


def steps_of(options: PruneOptions, ratio: Ratio) -> list[Ratio]:
    """The shares that are gone after each step of the schedule."""
    from onnxino_converter.prune import schedule

    if isinstance(ratio, Mapping):
        shares = {name: schedule(options.schedule, value, options.steps) for name, value in ratio.items()}  # type: ignore[arg-type]
        return [{name: values[step] for name, values in shares.items()} for step in range(options.steps)]
    return list(schedule(options.schedule, ratio, options.steps))  # type: ignore[arg-type]


def taylor(job: Job, model: ModelProto) -> dict[str, NDArray[np.float32]]:
    """Importance of each weight by the gradients of training images."""
    from onnxino_tools.train import taylor_scores, to_module

    images, labels = job.train
    chosen = _some(job, SCORED)
    return taylor_scores(to_module(model), images[chosen], labels[chosen])


def _some(job: Job, count: int) -> NDArray[np.int64]:
    """So many training images, by the seed."""
    return np.sort(np.random.default_rng(job.recipe.seed).permutation(len(job.train[0]))[:count])


def tune(
    job: Job,
    model: ModelProto,
    masks: Masks,
    options: TuneOptions,
    checkpoint: Path | None,
    progress: Callable[[Any], None] | None,
) -> tuple[ModelProto, bool]:
    """The network, trained on; weights outside of the masks stay zero. With a teacher: distilled. And whether an epoch
    was better than the network it began with, whose weights stay where none was."""
    from onnxino_tools.train import fit, to_module

    module = to_module(model)
    if options.normalize and not module.normalized:
        module.normalize(job.train[0][_some(job, NORMALIZED)])
    history = fit(
        module,
        job.train,
        job.validation,
        replace(options, seed=job.recipe.seed),
        teacher=None if job.teacher is None or options.teacher is None else to_module(job.teacher),
        masks=dict(masks) or None,
        checkpoint=checkpoint,
        progress=progress,
    )
    return module.to_onnx(), history.best_epoch > 0


def quantized(job: Job, model: ModelProto, images: int | None = None) -> ModelProto:
    """The 8-bit network. images: how many calibrate (default: as the recipe says)."""
    from onnxino_converter.quantize import quantize

    options = job.recipe.quantize
    return quantize(
        model,
        job.samples.calibration(images or options.calibration, job.recipe.seed),
        method=options.method,  # type: ignore[arg-type]
        per_channel=options.per_channel,
        activations=options.activations,  # type: ignore[arg-type]
        equalize=options.equalize,
        bias_correction=options.bias_correction,
    )


def converted(job: Job, model: ModelProto, *, in_float: bool) -> Converted:
    """The model file, with the names of the classes, whether or not it fits a board."""
    from onnxino_converter import convert

    return convert(
        model,
        name=job.name,
        labels=job.labels,
        preprocessing=job.samples.pixels.metadata(),
        board=None,
        float=in_float,
    )


def between(options: TuneOptions, epochs: int) -> TuneOptions:
    """The training between the steps of a schedule."""
    return replace(options, epochs=epochs, warmup=min(options.warmup, epochs), patience=0)


def joined(first: list[LayerChange], second: list[LayerChange]) -> list[LayerChange]:
    """What two steps changed, one after the other."""
    before = {change.name: change.before for change in first}
    now = {change.name: replace(change, before=before.get(change.name, change.before)) for change in second}
    return [*(now.pop(change.name, change) for change in first), *now.values()]
