"""Whether a result is worth anything: what is said, loudly, of one that lost what made it useful."""

from __future__ import annotations

from collections.abc import Sequence

from onnxino_tools.compress.options import Recipe
from onnxino_tools.compress.rows import Row, percent

LOST = 0.10  # of the validation images: more than a trade of accuracy for size
CHANCE = 1.5  # times the share that guessing gets


def warnings(recipe: Recipe, rows: Sequence[Row], classes: int, normalized: bool) -> list[str]:
    """Sentences on a collapse, and what helps; empty where there is none.

    rows: of the stages, the original first. classes: how many the model tells apart. normalized: whether the original
    has BatchNormalization.
    """
    first, last = rows[0].accuracy, rows[-1].accuracy
    found: list[str] = []
    if first - last > LOST + 1e-9:
        found.append(
            f"the result lost {100 * (first - last):.1f} points of accuracy on the validation images: "
            f"{percent(first)} before, {percent(last)} after"
        )
    if last <= CHANCE / classes:
        found.append(
            f"the result is not much better than guessing: {percent(last)} of the validation images, and "
            f"guessing among {classes} classes gets {percent(1 / classes)}"
        )
    if not found:
        return []
    if first <= CHANCE / classes:
        return [*found, f"the original is no better ({percent(first)}): check the labels, and --scale, --mean, --std"]
    return [*found, *_advice(recipe, normalized)]


def _advice(recipe: Recipe, normalized: bool) -> list[str]:
    """What may help, as options of the command."""
    lines: list[str] = []
    if recipe.fine_tune is None:
        lines.append(
            "train on after pruning: --fine-tune 20" if recipe.prune is not None else "train on: --fine-tune 20"
        )
    else:
        lines.append(f"train for longer: --fine-tune {2 * recipe.fine_tune.epochs}")
    if recipe.prune is not None and recipe.prune.ratio != "auto":
        lines.append("or remove only what the layers can lose: --prune auto --max-drop 0.02")
    if recipe.prune is not None and not normalized:
        lines.append(f"networks with BatchNormalization recover better; {KEEP_NORMALIZATION}")
    return lines


KEEP_NORMALIZATION = (
    "export with it: torch.onnx.export(model, example, 'model.onnx', dynamo=False, do_constant_folding=False, "
    "training=torch.onnx.TrainingMode.PRESERVE), or onnxino_tools.train.from_module(model, shape)"
)
