"""Recipes: TOML read and written, every key and value checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxino.errors import InputError
from onnxino_tools.compress import PruneOptions, Recipe, Targets, TuneOptions, read_recipe
from onnxino_tools.compress.recipe import as_toml, from_mapping, recipe_from

FULL = """
seed = 7
[data]
train = "training"
validation = 0.2
evaluate = "test"
limit = 100
scale = 0.00392156862745098
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
layout = "NCHW"
[prune]
granularity = "channel"
criterion = "l2"
schedule = "polynomial"
steps = 3
epochs = 2
exclude = ["conv1", 'with "quotes" and \\']
multiple = 4
ratio = { conv2 = 0.5, "a.b" = 0.25 }
[fine_tune]
epochs = 5
augment = ["flip", "shift"]
feature_layers = [["r2", "r5"]]
feature_weight = 0.5
teacher = "teacher.onnx"
[quantize]
method = "mse"
per_channel = false
"""


def test_everything_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(FULL)
    recipe = read_recipe(tmp_path / "r.toml")
    assert recipe.seed == 7
    assert recipe.data.validation == 0.2
    assert recipe.data.mean == [0.5, 0.5, 0.5]
    assert recipe.prune is not None
    assert recipe.prune.ratio == {"conv2": 0.5, "a.b": 0.25}
    assert recipe.prune.exclude == ("conv1", 'with "quotes" and \\')
    assert recipe.fine_tune is not None
    assert recipe.fine_tune.teacher == str(tmp_path / "teacher.onnx")
    assert recipe.fine_tune.feature_layers == (("r2", "r5"),)
    assert (recipe.quantize.method, recipe.quantize.per_channel) == ("mse", False)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(FULL)
    recipe = read_recipe(tmp_path / "r.toml")
    inner = tmp_path / "out"
    inner.mkdir()
    (inner / "recipe.toml").write_text(as_toml(recipe, inner))
    assert 'teacher = "../teacher.onnx"' in (inner / "recipe.toml").read_text()
    assert read_recipe(inner / "recipe.toml") == recipe
    for plain in (Recipe(), Recipe(targets=Targets(macs=5, ms=2.5)), Recipe(prune=PruneOptions(ratio="auto"))):
        (inner / "plain.toml").write_text(as_toml(plain))
        assert read_recipe(inner / "plain.toml") == plain


def test_forms_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[prune]\nratio = 0.5\n")
    expected = Recipe(prune=PruneOptions(ratio=0.5))
    for source in (tmp_path / "r.toml", str(tmp_path / "r.toml"), {"prune": {"ratio": 0.5}}, expected):
        assert recipe_from(source) == expected
    assert recipe_from({"prune": PruneOptions(ratio=0.5)}) == expected
    assert recipe_from({}) == Recipe()
    for wrong in ([], 5):
        with pytest.raises(InputError, match="expected a Recipe, its sections as a mapping, or the path of a file"):
            recipe_from(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"prun": {}}, "the recipe has no 'prun'", "did you mean prune?"),
        ({"prune": {"ration": 0.5}}, "section [prune] has no 'ration'", "did you mean ratio?"),
        ({"fine_tune": {"epoch": 5}}, "section [fine_tune] has no 'epoch'", "did you mean epochs?"),
        ({"fine_tune": {"seed": 5}}, "section [fine_tune] has no 'seed'", ""),
        ({"quantize": {"xyz": 1}}, "section [quantize] has no 'xyz'", "known: method, per_channel"),
        ({"ratio": 0.5}, "'ratio' outside of its section", "belongs below [prune]"),
        ({"prune": 0.5}, "'prune' is 0.5; expected a section [prune]", ""),
        ({"seed": -1}, "seed is -1; expected an integer of 0 to", ""),
        ({"seed": True}, "seed is true", ""),
        ({"prune": {"ratio": 1.0}}, "prune.ratio is 1; expected a number of 0 or more, below 1", ""),
        ({"prune": {"ratio": -0.1}}, "prune.ratio is -0.1", ""),
        ({"prune": {"ratio": float("nan")}}, "prune.ratio is nan", ""),
        ({"prune": {"ratio": "half"}}, "prune.ratio is 'half'; expected a number of 0 or more, below 1, or 'auto'", ""),
        ({"prune": {"ratio": {"c": 2}}}, "prune.ratio of 'c' is 2", ""),
        ({"prune": {"ratio": 0.5, "granularity": "filter"}}, "'filter'; expected one of channel, weight, n:m", ""),
        ({"prune": {"ratio": 0.5, "criterion": "L1"}}, "prune.criterion is 'L1'", ""),
        ({"prune": {"ratio": 0.5, "criterion": "bn", "granularity": "weight"}}, "'bn' is for channels", "taylor"),
        ({"prune": {"ratio": 0.5, "steps": 3}}, "'one-shot' with 3 steps", "--steps"),
        ({"prune": {"ratio": 0.5, "schedule": "iterative"}}, "'iterative' with 1 step", "2 or more"),
        ({"prune": {"ratio": 0.5, "multiple": 0}}, "prune.multiple is 0; expected an integer of 1 or more", ""),
        ({"prune": {"ratio": 0.5, "exclude": "conv"}}, "prune.exclude is 'conv'; expected a list", ""),
        ({"prune": {"granularity": "n:m", "nm": "4:2"}}, "prune.nm is '4:2'; expected N:M", ""),
        ({"prune": {"granularity": "n:m", "ratio": 0.3}}, "2:4 pruning removes 2 of 4", "leave"),
        ({"prune": {}}, "no ratio of pruning, and no target", 'prune.ratio = 0.5, or "auto"'),
        ({"prune": {"ratio": 0.5}, "targets": {"macs": 5}}, "and targets that a ratio is searched for", "one of"),
        ({"prune": {"granularity": "weight"}, "targets": {"macs": 5}}, "leaves zeros in place", "leave"),
        ({"targets": {"macs": 0}}, "targets.macs is 0; expected an integer of 1 or more", ""),
        ({"targets": {"arena_bytes": 1.5}}, "targets.arena_bytes is 1.5", ""),
        ({"targets": {"ms": 0}}, "targets.ms is 0", ""),
        ({"fine_tune": {"epochs": 0}}, "fine_tune: epochs is 0", ""),
        ({"fine_tune": {"alpha": 1.5}}, "fine_tune: alpha is 1.5", ""),
        ({"fine_tune": {"teacher": ""}}, "fine_tune.teacher is ''; expected a text", ""),
        ({"quantize": {"method": "minmix"}}, "quantize.method is 'minmix'", "did you mean minmax?"),
        ({"quantize": {"equalize": 1}}, "quantize.equalize is 1; expected true or false", ""),
        ({"quantize": {"calibration": 0}}, "quantize.calibration is 0", ""),
        ({"data": {"validation": 0.95}}, "data.validation is 0.95; expected a number of 0.01 to 0.9", ""),
        ({"data": {"mean": [0.5]}}, "data.mean and data.std need data.scale", "scale = 1"),
        ({"data": {"scale": 1, "std": [0]}}, "data.std is 0", ""),
        ({"data": {"scale": 1, "mean": 0.5}}, "data.mean is 0.5; expected a list of numbers", "mean = [0.5]"),
        ({"data": {"scale": 1, "std": 10**400}}, "expected a list of numbers", "std = [0.5]"),
        ({"targets": {"ms": 10**400}}, "targets.ms is 1000", ""),
        ({"fine_tune": {"epochs": 10**400}}, "fine_tune: epochs is 1000", ""),
        ({"data": {"layout": "CHW"}}, "data.layout is 'CHW'", "did you mean NCHW?"),
        ({"data": {"resize": "zoom"}}, "data.resize is 'zoom'", ""),
    ],
)
def test_wrong_recipes(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping(values)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[prune\n")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for name, message in (("r.toml", "is no TOML"), ("b.toml", "is no TOML"), ("none.toml", "cannot be read")):
        with pytest.raises(InputError, match=message):
            read_recipe(tmp_path / name)


def test_what_needs_gradients() -> None:
    assert not Recipe(prune=PruneOptions(ratio=0.5)).trains
    assert Recipe(fine_tune=TuneOptions()).trains
    assert Recipe(prune=PruneOptions(ratio=0.5, criterion="taylor")).trains
