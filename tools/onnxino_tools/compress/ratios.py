"""How much is pruned: as the recipe says, as the layers' sensitivity proposes, or as much as the targets ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError
from onnxino_tools.compress import stages as work
from onnxino_tools.compress.events import Event, Progress
from onnxino_tools.compress.job import Job
from onnxino_tools.compress.journal import Journal
from onnxino_tools.compress.measuring import accuracy
from onnxino_tools.compress.targets import STEPS, Found, TargetMissedError, figure, missed, misses, search

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_converter.prune import Row as SensitivityRow
    from onnxino_converter.prune import Sensitivity

RESERVE = 1.01
FEW = 4  # training images that calibrate while sizes are searched: they do not depend on the ranges


def choose_ratio(job: Job, journal: Journal, tell: Progress) -> Any:
    """The share to remove: a number, one for each layer, or None where nothing is pruned.

    Raises TargetMissedError, before any training.
    """
    options, targets = job.recipe.prune, job.recipe.targets
    if options is None:
        return None
    if options.granularity == "n:m":
        n, m = options.kept_of()
        return 1 - n / m
    if options.ratio == "auto":
        return journal.value("ratios", lambda: propose(job, tell))
    if not targets.given():
        return options.ratio

    def find() -> float:
        found = search_ratio(job)
        sizes = ", ".join(f"{name} {figure(value)}" for name, value in found.sizes.items())
        tell(Event("note", f"ratio {found.ratio:g} keeps to the targets: {sizes}"))
        return found.ratio

    return journal.value("ratio", find)


def search_ratio(job: Job) -> Found:
    """The smallest ratio that keeps to the targets. Raises TargetMissedError."""
    targets = job.recipe.targets
    # A little is held back: the estimate of milliseconds depends on the weights, too, if hardly.
    strict = targets if targets.ms is None else replace(targets, ms=targets.ms / RESERVE)

    def sizes(ratio: float) -> dict[str, float]:
        return sizes_of(job, work.prune_to(job, job.model, ratio, sizes_only=True).model if ratio else job.model)

    try:
        return search(strict, sizes)
    except TargetMissedError as error:
        if misses(targets, error.best):
            raise missed(targets, error.best, error.ratio) from None
        return Found(STEPS / 100, error.best, [])


def settled(job: Job, model: ModelProto, ratio: float) -> float:
    """The ratio of the last step, from `ratio` on, by which the network keeps to the targets: trained weights may lose
    other channels than those of the search. Raises TargetMissedError."""
    targets, sizes = job.recipe.targets, dict[str, float]()
    for step in range(round(100 * ratio), STEPS + 1):
        sizes = sizes_of(job, work.prune_to(job, model, step / 100, sizes_only=True).model)
        if not misses(targets, sizes):
            return step / 100
    raise missed(targets, sizes, STEPS / 100)


def sizes_of(job: Job, model: ModelProto) -> dict[str, float]:
    """macs, weight_bytes and arena_bytes of the network as it will run; ms where a target asks for it (infinite where
    the network does not fit the board)."""
    made = work.quantized(job, model, FEW) if job.recipe.quantizes else model
    converted = work.converted(job, made, in_float=not job.recipe.quantizes)
    sizes: dict[str, float] = {name: converted.report[name] for name in ("macs", "weight_bytes", "arena_bytes")}
    if job.recipe.targets.ms is not None:
        from onnxino_tools.report.latency import estimate
        from onnxino_tools.report.subject import open_subject

        latency, _ = estimate(open_subject(converted.model))
        sizes["ms"] = float("inf") if latency is None else latency.ms
    return sizes


def propose(job: Job, tell: Progress) -> dict[str, float]:
    """One ratio for each layer, by the sensitivity. Raises InputError where no layer may lose anything."""
    options = job.recipe.prune
    assert options is not None
    proposed = ratios_of(measure_sensitivity(job, tell), options.max_drop)
    if not proposed:
        raise InputError(
            f"no layer can lose anything at a drop of {100 * options.max_drop:g} points of accuracy",
            "allow more: --max-drop 0.05; or prune by a ratio and fine-tune",
        )
    return proposed


def ratios_of(found: Sensitivity, max_drop: float) -> dict[str, float]:
    """What is proposed, without the layers that stay as they are."""
    return {name: round(ratio, 4) for name, ratio in found.propose(max_drop).items() if ratio >= 0.0001}


def measure_sensitivity(job: Job, tell: Progress) -> Sensitivity:
    """The accuracy on the validation images with each layer pruned alone. Raises InputError for N:M, which takes no
    ratio."""
    from onnxino_converter.prune import prepared, sensitivity

    options = job.recipe.prune
    assert options is not None
    model = prepared(job.model)
    done = [0]

    def evaluated(row: SensitivityRow, total: int) -> None:
        done[0] += 1
        tell(Event("epoch", "sensitivity", done[0], total))

    return sensitivity(
        model,
        lambda network: accuracy(job, network),
        granularity=options.granularity,  # type: ignore[arg-type]
        criterion=options.criterion,  # type: ignore[arg-type]
        scores=work.taylor(job, model) if options.criterion == "taylor" else None,
        exclude=options.exclude,
        multiple=options.multiple,
        progress=evaluated,
    )
