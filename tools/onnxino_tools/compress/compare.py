"""Pruning (P), quantization (Q), distillation (D) and what combines them, side by side on the same network."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError
from onnxino_tools import ui
from onnxino_tools.compress.events import Event, Progress, silent
from onnxino_tools.compress.job import Job, make_job
from onnxino_tools.compress.journal import FOLDER, Journal, tidied
from onnxino_tools.compress.options import QuantizeOptions, Recipe, Targets
from onnxino_tools.compress.pipeline import Run, mark
from onnxino_tools.compress.ratios import choose_ratio
from onnxino_tools.compress.recipe import as_toml, recipe_from
from onnxino_tools.compress.rows import Row, milliseconds, percent

if TYPE_CHECKING:
    from onnxino_tools.data.dataset import Dataset

LABELS = ("none", "P", "Q", "D", "P+Q", "P+D+Q")
FLOAT = QuantizeOptions(method="none")


@dataclass(frozen=True)
class Technique:
    """One row of the comparison; row: None where it was not run, `reason` says why."""

    label: str
    row: Row | None
    reason: str | None = None


@dataclass(frozen=True)
class Comparison:
    """All six, in their order; ratio: what pruning removed; images: of the validation, which the accuracies are of."""

    techniques: list[Technique]
    recipe: Recipe
    ratio: Any
    images: int

    @property
    def error(self) -> float:
        """The greatest standard error of an accuracy, as a share: sqrt(p (1 - p) / n) of the binomial distribution."""
        shares = [one.row.accuracy for one in self.techniques if one.row is not None]
        return max(math.sqrt(p * (1 - p) / self.images) for p in shares)

    def as_dict(self) -> dict[str, Any]:
        """For --json and report.json."""
        first = self.techniques[0].row
        assert first is not None
        rows = [
            {
                "technique": one.label,
                "reason": one.reason,
                **({} if one.row is None else one.row.as_dict() | {"ratio": first.weight_bytes / one.row.weight_bytes}),
            }
            for one in self.techniques
        ]
        said = {"images": self.images, "standard_error": self.error}
        return {"seed": self.recipe.seed, "ratio": self.ratio, "validation": said, "techniques": rows}

    def table(self) -> list[str]:
        """For people."""
        first = self.techniques[0].row
        assert first is not None
        lines: list[list[str]] = [["technique", "accuracy", "change", "weights", ".oxm", "arena", "latency", "ratio"]]
        for one in self.techniques:
            row = one.row
            if row is None:
                lines.append([one.label, f"not run: {one.reason}"])
                continue
            lines.append(
                [
                    one.label,
                    percent(row.accuracy),
                    f"{100 * (row.accuracy - first.accuracy):+.2f}",
                    f"{row.weight_bytes:,} B",
                    f"{row.oxm_bytes:,} B",
                    f"{row.arena_bytes:,} B",
                    milliseconds(row.latency_ms),
                    f"{first.weight_bytes / row.weight_bytes:.2f}",
                ]
            )
        shown = [line for line in lines if len(line) > 2]
        aligned = iter(ui.table(shown, right=range(1, 8)))
        said = (
            f"  accuracy: of {ui.counted(self.images, 'validation image')}, by which everything was chosen; "
            f"its standard error is up to {100 * self.error:.1f} points"
        )
        return [said, *(next(aligned) if len(line) > 2 else f"  {line[0]}  {line[1]}" for line in lines)]


def compare(
    model: Any,
    data: str | Path | Dataset,
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *,
    output: str | Path | None = None,
    latency: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Runs each technique alone and together, as the recipe would do it; accuracy is that of the validation images.

    The recipe must prune. Where it fine-tunes, P and P+Q are fine-tuned by the labels alone, D and P+D+Q distilled by
    the teacher; without a teacher D and P+D+Q are not run, and say so. output: a folder for report.json and
    recipe.toml, which also holds what is done so far. Raises as compress() does.
    """
    wanted = recipe_from(recipe)
    if wanted.prune is None or not wanted.quantizes:
        raise InputError(
            "a comparison prunes and quantizes: the recipe does without one of them",
            "--prune 0.5 or a target, and a method of quantization",
        )
    job = make_job(model, data, wanted, latency=latency)
    folder = None if output is None else Path(output)
    tell = progress or silent
    with tidied(folder):
        ratio = _ratio(job, folder, tell)
        rows = _run_all(job, ratio, folder, tell)
    techniques = [Technique(label, rows.get(label), None if label in rows else _reason(wanted)) for label in LABELS]
    result = Comparison(techniques, wanted, ratio, len(job.samples.validation))
    if folder is not None:
        _write(folder, result)
    return result


def _ratio(job: Job, folder: Path | None, tell: Progress) -> Any:
    journal = Journal(None if folder is None else folder / FOLDER / "ratio", mark(job))
    return choose_ratio(job, journal, tell)


def _reason(recipe: Recipe) -> str:
    return "no fine-tuning, --fine-tune EPOCHS" if recipe.fine_tune is None else "no teacher, --teacher T.onnx"


def _run_all(job: Job, ratio: Any, folder: Path | None, tell: Progress) -> dict[str, Row]:
    """The rows by label. Four runs: where one ends in 8 bits, the float network before is another row."""
    base, tune = job.recipe, job.recipe.fine_tune
    assert base.prune is not None
    prune = base.prune if base.prune.granularity == "n:m" else replace(base.prune, ratio=ratio)
    hard = None if tune is None else replace(tune, teacher=None, feature_weight=0.0, feature_layers=())
    soft = tune if tune is not None and tune.teacher is not None else None
    plain = replace(base, prune=prune, targets=Targets())
    runs: list[tuple[str, str | None, Recipe]] = [
        ("none", "Q", replace(plain, prune=None, fine_tune=None)),
        ("P", "P+Q", replace(plain, prune=prune, fine_tune=hard)),
    ]
    if soft is not None:
        runs += [
            ("D", None, replace(plain, prune=None, fine_tune=soft, quantize=FLOAT)),
            ("", "P+D+Q", replace(plain, prune=prune, fine_tune=soft)),
        ]
    rows: dict[str, Row] = {}
    for in_float, in_int8, recipe in runs:
        label = in_int8 or in_float
        tell(Event("note", f"comparing: {' and '.join(part for part in (in_float, in_int8) if part)}"))
        part = replace(job, recipe=recipe, teacher=job.teacher if recipe.fine_tune is soft else None)
        journal = Journal(None if folder is None else folder / FOLDER / label, mark(part))
        done = Run(part, journal, tell).stages()
        if in_int8 is not None:
            rows[in_int8] = replace(done[-1].row, stage=in_int8)
        if in_float:
            row = done[-1].row if in_int8 is None else done[-2].row
            rows[in_float] = replace(row, stage=in_float)
    return rows


def _write(folder: Path, result: Comparison) -> None:
    from onnxino_tools.files import write_all

    text = json.dumps(result.as_dict(), indent=2) + "\n"
    write_all(folder, [("report.json", text.encode()), ("recipe.toml", as_toml(result.recipe, folder).encode())])
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
