"""The sensitivity of the layers: what the accuracy is with each pruned alone, and the ratios that follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino_tools import ui
from onnxino_tools.compress.events import Progress, silent
from onnxino_tools.compress.job import make_job
from onnxino_tools.compress.options import Recipe
from onnxino_tools.compress.ratios import measure_sensitivity, ratios_of
from onnxino_tools.compress.recipe import as_toml, from_mapping
from onnxino_tools.compress.rows import percent

if TYPE_CHECKING:
    from onnxino_tools.data.dataset import Dataset


@dataclass(frozen=True)
class Analysis:
    """accuracies: of the validation images, by layer and ratio; proposed: the ratio of each layer for a loss of
    max_drop; recipe: the one that prunes so."""

    original: float
    accuracies: dict[str, dict[float, float]]
    proposed: dict[str, float]
    max_drop: float
    recipe: Recipe

    def as_dict(self) -> dict[str, Any]:
        """For --json and sensitivity.json."""
        layers = [
            {
                "layer": name,
                "accuracy": {f"{ratio:g}": value for ratio, value in found.items()},
                "proposed": round(self.proposed.get(name, 0.0), 4),
            }
            for name, found in self.accuracies.items()
        ]
        return {"accuracy": self.original, "max_drop": self.max_drop, "layers": layers}

    def table(self) -> list[str]:
        """For people."""
        ratios = sorted({ratio for found in self.accuracies.values() for ratio in found})
        rows = [["layer", *(f"-{100 * ratio:g} %" for ratio in ratios), "proposed"]]
        for name, found in self.accuracies.items():
            figures = [percent(found[ratio]) if ratio in found else "-" for ratio in ratios]
            rows.append([name, *figures, f"{self.proposed.get(name, 0.0):.2f}"])
        lines = ui.table(rows, right=range(1, len(ratios) + 2))
        return [
            *lines,
            "",
            f"  accuracy unpruned: {percent(self.original)}; proposed for a loss of about "
            f"{100 * self.max_drop:g} points in all; fine-tuning restores a part of it",
        ]


def analyse(
    model: Any,
    data: str | Path | Dataset,
    values: Mapping[str, Any],
    folder: Path | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Prunes each layer alone by several ratios and measures the accuracy on the validation images.

    values: a recipe's sections, of which [data] and [prune] count. output: a folder for sensitivity.json and a
    recipe.toml that prunes as proposed. Raises as compress() does.
    """
    prune: Any = values.get("prune", {})
    given: dict[str, Any] = {key: value for key, value in values.items() if key != "targets"}
    given["prune"] = {**prune, "ratio": "auto"} if isinstance(prune, Mapping) else prune
    recipe = from_mapping(given, folder)
    assert recipe.prune is not None
    job = make_job(model, data, recipe)
    found = measure_sensitivity(job, progress or silent)
    proposed = ratios_of(found, recipe.prune.max_drop)
    accuracies: dict[str, dict[float, float]] = {}
    for row in found.table:
        accuracies.setdefault(row.name, {})[row.ratio] = row.value
    result = Analysis(
        found.baseline,
        accuracies,
        proposed,
        recipe.prune.max_drop,
        replace(recipe, prune=replace(recipe.prune, ratio=proposed)),
    )
    if output is not None:
        from onnxino_tools.files import write_all

        text = json.dumps(result.as_dict(), indent=2) + "\n"
        where = Path(output)
        files = [("sensitivity.json", text.encode()), ("recipe.toml", as_toml(result.recipe, where).encode())]
        write_all(where, files)
    return result
