"""What a compression gives: its stages, the models, the report, and the files that are written of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino_tools.compress.options import Recipe
from onnxino_tools.compress.recipe import as_toml
from onnxino_tools.compress.rows import Row, cells, header

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_converter import Converted
    from onnxino_converter.prune import LayerChange, Skipped
    from onnxino_tools.report import Report
    from onnxino_tools.report.markup import Markup


@dataclass(frozen=True)
class StageResult:
    """A stage that is done: the model as it is then, its figures, and how long it took (training included)."""

    name: str
    model: ModelProto = field(repr=False)
    row: Row
    seconds: float


@dataclass(frozen=True)
class CompressResult:
    """stages: the original first. float_onnx: the last network in float32; onnx: the result, in 8 bits unless the
    recipe says otherwise. ratio: the share that was removed (None: nothing). report: about the split `evaluated`.
    misfit: what of the result does not fit the board, and by how much; None where it fits. warnings: that accuracy
    collapsed, and what helps; empty where it did not."""

    name: str
    recipe: Recipe
    stages: list[StageResult]
    float_onnx: ModelProto = field(repr=False)
    onnx: ModelProto = field(repr=False)
    converted: Converted = field(repr=False)
    report: Report = field(repr=False)
    evaluated: str
    ratio: Any
    changes: list[LayerChange] = field(repr=False)
    skipped: list[Skipped]
    misfit: str | None
    warnings: list[str] = field(default_factory=list[str])

    @property
    def oxm(self) -> bytes:
        """The model file."""
        return self.converted.model

    def as_dict(self) -> dict[str, Any]:
        """The content of report.json: the same for the same model, data and recipe, so no times of the day."""
        return {
            "model": self.name,
            "seed": self.recipe.seed,
            "ratio": self.ratio,
            "targets": self.recipe.targets.as_dict(),
            "warnings": self.warnings,
            "stages": [stage.row.as_dict() for stage in self.stages],
            "evaluated": self.evaluated,
            "fits": self.misfit is None,
            "misfit": self.misfit,
            "changes": [asdict(change) for change in self.changes],
            "skipped": [asdict(one) for one in self.skipped],
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in self._models().items()},
            "report": self.report.as_dict(),
        }

    def files(self, folder: Path, html: str | Path | None = None) -> list[tuple[str, bytes]]:
        """(name, content) of everything that is written to `folder`."""
        made = list(self._models().items())
        made.append(("report.json", (json.dumps(self.as_dict(), indent=2) + "\n").encode()))
        made.append(("recipe.toml", as_toml(self.recipe, folder).encode()))
        if html is not None:
            from onnxino_tools.report import html as page

            made.append(
                (str(Path(html).absolute()), page.render(self.report, self._section()).encode())
            )  # an absolute name stays one
        return made

    def _section(self) -> Markup:
        """The stages, for the report to look at."""
        from onnxino_tools.report.markup import paragraph, section, table

        caption = "What each stage cost and gained; accuracy of the images that choose"
        rows = [cells(stage.row) for stage in self.stages]
        titles = [title[:1].upper() + title[1:] for title in header()]
        warned = [paragraph(f"Note: {text}.") for text in self.warnings]
        skipped = [paragraph(f"Not pruned: {one.node}: {one.reason}.") for one in self.skipped]
        return section("How it was compressed", table(caption, titles, rows, range(1, 9)), *warned, *skipped)

    def _models(self) -> dict[str, bytes]:
        models = {f"{self.name}.onnx": self.float_onnx.SerializeToString(deterministic=True)}
        if self.recipe.quantizes:
            models[f"{self.name}_int8.onnx"] = self.onnx.SerializeToString(deterministic=True)
        models[f"{self.name}.oxm"] = self.converted.model
        return models


def file_names(name: str, recipe: Recipe, html: str | Path | None) -> list[str]:
    """What `files` will be called."""
    made = [f"{name}.onnx", *([f"{name}_int8.onnx"] if recipe.quantizes else []), f"{name}.oxm"]
    made += ["report.json", "recipe.toml"]
    return made if html is None else [*made, str(Path(html).absolute())]
