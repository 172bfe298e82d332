"""The pipeline prune -> fine-tune or distil -> quantize -> evaluate, with a row of figures after each stage."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino_tools.compress import stages as work
from onnxino_tools.compress.events import Event, Progress, silent
from onnxino_tools.compress.job import Job, make_job
from onnxino_tools.compress.journal import Journal, fingerprint, tidied
from onnxino_tools.compress.measuring import final_report, measured, row_of, teacher_note
from onnxino_tools.compress.options import Recipe
from onnxino_tools.compress.ratios import choose_ratio, settled
from onnxino_tools.compress.recipe import as_toml, recipe_from
from onnxino_tools.compress.result import CompressResult, StageResult, file_names
from onnxino_tools.compress.targets import inaccurate, missed, misses
from onnxino_tools.compress.verdict import warnings

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_converter import Converted
    from onnxino_tools.data.dataset import Dataset
    from onnxino_tools.report import Report


def compress(
    model: Any,
    data: str | Path | Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    output: str | Path | None = None,
    name: str | None = None,
    html: str | Path | None = None,
    latency: bool = True,
    progress: Progress | None = None,
) -> CompressResult:
    """Compresses a float classifier: prune -> fine-tune or distil -> quantize, as the recipe says (None: 8 bits only).

    model: path, bytes, onnx.ModelProto or torch nn.Module; float32, one input. data: path or Dataset, with labels.
    recipe: Recipe, path of a TOML file, or a mapping of its sections. output: a folder for NAME.onnx, NAME_int8.onnx,
    NAME.oxm, report.json and recipe.toml; html: a file for the report to look at, written with them. While it works,
    output holds `checkpoint`, from which the same call goes on after an interruption. The same arguments give the same
    bytes.

    name: of the files (default: from the model). latency: whether the emulator estimates the time of each stage.

    Raises InputError (TargetMissedError where a target cannot be met), ConvertError, MissingExtraError, all but the
    missed target before any work.
    """
    wanted = Recipe() if recipe is None else recipe_from(recipe)
    job = make_job(model, data, wanted, name, latency)
    folder = None if output is None else Path(output)
    if folder is not None:
        _check_output(folder, job, model, data, html)
    with tidied(folder):
        journal = Journal(folder, mark(job))
        result = Run(job, journal, progress or silent).run()
        if folder is not None:
            from onnxino_tools.files import write_all

            write_all(folder, result.files(folder, html=html))
        journal.close()
    return result


def _check_output(folder: Path, job: Job, model: Any, data: Any, html: str | Path | None) -> None:
    """Before the work: whether the files can be written, and are none of those that are read."""
    from onnxino_tools.files import check_apart, check_writable

    read = [path for path in (model, data) if isinstance(path, str | Path)]
    tune = job.recipe.fine_tune
    if tune is not None and tune.teacher is not None:
        read.append(tune.teacher)
    names = file_names(job.name, job.recipe, html)
    check_apart([folder / file for file in names], read)
    for name in names:
        check_writable(folder / name, "report.html")


def mark(job: Job) -> str:
    """Everything that decides the result."""
    samples = job.samples
    parts: list[bytes | str] = [job.name, as_toml(job.recipe), job.model.SerializeToString(deterministic=True)]
    if job.teacher is not None:
        parts.append(job.teacher.SerializeToString(deterministic=True))
    for data in (samples.train, samples.validation, samples.evaluate):
        if data is not None:
            parts.append(data.images.tobytes())
            parts.append(b"" if data.labels is None else data.labels.tobytes())
    return fingerprint(*parts)


@dataclass
class Run:
    """One run of the pipeline."""

    job: Job
    journal: Journal
    progress: Progress
    done: list[StageResult] = field(default_factory=list[StageResult])
    reports: tuple[Report, Report] | tuple[()] = ()  # of the first and the last stage
    ratio: Any = None
    state: work.State = field(init=False)
    network: ModelProto = field(init=False)  # the last one in float32
    final: ModelProto = field(init=False)
    converted: Converted = field(init=False)  # of the last stage

    def run(self) -> CompressResult:
        """All stages, and the report of the result. Raises TargetMissedError where it misses a target."""
        self.stages()
        return self._result()

    def stages(self) -> list[StageResult]:
        """All stages."""
        job = self.job
        if self.journal.resumed:
            self.progress(Event("note", "going on with what was interrupted here"))
        elif self.journal.other:
            self.progress(Event("note", "what was interrupted here had other options: beginning anew"))
        start = time.monotonic()
        self.ratio = choose_ratio(job, self.journal, self.progress)
        self._stage("original", job.model, start)
        taught = teacher_note(job, self.done[0].row.accuracy)
        if taught is not None:
            self.progress(Event("note", taught))
        self.state = self._prune(self.ratio)
        network = self.state.model
        if job.recipe.fine_tune is not None:
            name = "distilled" if job.teacher is not None else "fine-tuned"
            network = self._train(name, network, self.state.masks, job.recipe.fine_tune)
        self.network = self.final = network
        if job.recipe.quantizes:
            start = time.monotonic()
            self.final, _ = self.journal.model("quantized", lambda: (work.quantized(job, network), {}))
            self._stage("quantized", self.final, start, in_float=False)
        return self.done

    def _prune(self, ratio: Any) -> work.State:
        """After the last step of the schedule; between the steps there is training where the recipe has any."""
        job, options = self.job, self.job.recipe.prune
        state = work.State(job.model)
        if options is None:
            return state
        shares = work.steps_of(options, ratio)
        for number, share in enumerate(shares, 1):
            start = time.monotonic()
            name = "pruned" if len(shares) == 1 else f"pruned {number} of {len(shares)}"
            if number > 1 and number == len(shares) and options.scope == "global" and job.recipe.targets.given():
                share = self.journal.value("last ratio", lambda at=state.model: settled(job, at, ratio))
            state = self._pruned(name, state, share)
            self._stage(name, state.model, start)
            tune = job.recipe.fine_tune
            if number < len(shares) and tune is not None and options.epochs:
                trained = self._train(f"trained {number}", state.model, state.masks, work.between(tune, options.epochs))
                state = replace(state, model=trained)
        return state

    def _pruned(self, name: str, state: work.State, share: Any) -> work.State:
        """One step. What it changed is kept in the journal as well."""
        made: list[work.State] = []

        def make() -> tuple[ModelProto, work.Masks]:
            made.append(work.prune_to(self.job, state.model, share))
            return made[0].model, made[0].masks

        model, masks = self.journal.model(name, make)
        if not made:  # done by an earlier call: what it said is computed from the same model again
            made.append(work.prune_to(self.job, state.model, share))
        return work.State(model, masks, work.joined(state.changes, made[0].changes), made[0].skipped)

    def _train(self, name: str, model: ModelProto, masks: work.Masks, options: Any) -> ModelProto:
        start = time.monotonic()

        told: list[int] = []

        def epoch(at: Any) -> None:
            if not told and at.epoch > 1:
                self.progress(Event("note", f"{name}: went on after epoch {at.epoch - 1} of {at.epochs}"))
            told.append(at.epoch)
            self.progress(Event("epoch", name, at.epoch, at.epochs))

        def make() -> tuple[ModelProto, work.Masks]:
            tuned, better = work.tune(self.job, model, masks, options, self.journal.training(name), epoch)
            if not better:
                self.progress(Event("note", f"{name}: no epoch was better than the start, whose weights stay"))
            return tuned, masks

        trained, _ = self.journal.model(name, make)
        self._stage(name, trained, start)
        return trained

    def _stage(self, name: str, model: ModelProto, start: float, *, in_float: bool = True) -> None:
        self.converted = work.converted(self.job, model, in_float=in_float)
        report = measured(self.job, self.converted.model)
        row = row_of(name, report)
        result = StageResult(name, model, row, time.monotonic() - start)
        self.done.append(result)
        self.reports = (self.reports[0] if self.reports else report, report)
        self.progress(Event("stage", name, result=result))

    def _result(self) -> CompressResult:
        job, targets, converted = self.job, self.job.recipe.targets, self.converted
        latency = self.done[-1].row.latency_ms
        sizes = {**converted.report, "ms": float("inf") if latency is None else latency}
        if misses(targets, sizes):
            raise missed(targets, sizes)
        reached = self.done[-1].row.accuracy
        if targets.accuracy is not None and reached < targets.accuracy:
            raise inaccurate(targets.accuracy, reached)
        report = final_report(job, converted.model, self.final, *self.reports)
        return CompressResult(
            name=job.name,
            recipe=job.recipe,
            stages=self.done,
            float_onnx=self.network,
            onnx=self.final,
            converted=converted,
            report=report,
            evaluated=job.samples.evaluated,
            ratio=self.ratio,
            changes=self.state.changes,
            skipped=self.state.skipped,
            misfit=None if report.fit.fits else report.fit.text,
            warnings=self._warnings(),
        )

    def _warnings(self) -> list[str]:
        job = self.job
        normalized = any(node.op_type == "BatchNormalization" for node in job.model.graph.node)
        classes = math.prod(job.samples.model.outputs[0].shape)
        return warnings(job.recipe, [stage.row for stage in self.done], max(classes, 2), normalized)
