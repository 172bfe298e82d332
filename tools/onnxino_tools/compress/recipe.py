"""Recipes as TOML files: read with every key checked, written so that a run can be repeated."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from onnxino.errors import InputError
from onnxino_tools.compress import checks
from onnxino_tools.compress.options import DataOptions, PruneOptions, QuantizeOptions, Recipe, Targets, TuneOptions

SECTIONS: dict[str, type] = {
    "data": DataOptions,
    "prune": PruneOptions,
    "fine_tune": TuneOptions,
    "quantize": QuantizeOptions,
    "targets": Targets,
}


def recipe_from(source: Recipe | Mapping[str, Any] | str | Path) -> Recipe:
    """A recipe from any of its forms. Raises InputError for a file that is none, and for what it says wrongly."""
    if isinstance(source, Recipe):
        return source
    if isinstance(source, Mapping):
        return from_mapping(source)
    if not isinstance(source, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(
            f"the recipe is {source!r}; expected a Recipe, its sections as a mapping, or the path of a file"
        )
    return read_recipe(source)


def read_recipe(path: str | Path) -> Recipe:
    """A recipe's file. A relative teacher lies beside it."""
    return from_mapping(*load(path))


def load(path: str | Path) -> tuple[dict[str, Any], Path]:
    """What a recipe's file holds, and its folder. Raises InputError."""
    file = Path(path)
    try:
        with open(file, "rb") as stream:
            return tomllib.load(stream), file.parent
    except OSError as error:
        raise InputError(f"the recipe '{file}' cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe '{file}' is no TOML: {error}", "docs/compressing.md shows one") from error


def from_mapping(values: Mapping[str, Any], folder: Path | None = None) -> Recipe:
    """A recipe from its sections. folder: where a relative teacher lies. Raises InputError; a key that is not known is
    refused with the nearest one."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key in SECTIONS:
            made[key] = _section(key, value)
        elif key == "seed":
            made[key] = value
        else:
            raise _misplaced(key)
    tune = made.get("fine_tune")
    if folder is not None and tune is not None and tune.teacher is not None:
        made["fine_tune"] = replace(tune, teacher=os.path.normpath(folder / tune.teacher))
    return Recipe(**made)


def _misplaced(key: str) -> InputError:
    homes = [name for name, kind in SECTIONS.items() if key in _keys(kind)]
    if homes:
        return InputError(f"the recipe has '{key}' outside of its section", f"it belongs below [{homes[0]}]")
    return checks.unknown("the recipe", key, ["seed", *SECTIONS])


def _section(name: str, value: object) -> Any:
    kind = SECTIONS[name]
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise InputError(f"the recipe's '{name}' is {checks.shown(value)}; expected a section [{name}]")
    items: dict[str, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
    known = _keys(kind)
    for key in items:
        if key not in known:
            raise checks.unknown(f"the recipe's section [{name}]", key, known)
    return kind(**items)


def _keys(kind: type) -> list[str]:
    """The keys of a section; the seed is the recipe's."""
    return [f.name for f in fields(kind) if f.name != "seed"]


def as_toml(recipe: Recipe, folder: Path | None = None) -> str:
    """The recipe with all its values; what is None is left out. folder: where the file will lie, for the teacher."""
    lines = ["# What a compression was done by: onnxino compress MODEL.onnx --data DATA --recipe recipe.toml -o DIR"]
    lines.append(f"seed = {recipe.seed}")
    for name in SECTIONS:
        section: Any = getattr(recipe, name)
        if section is None or (isinstance(section, Targets) and not section.as_dict()):
            continue
        values: dict[str, Any] = {key: getattr(section, key) for key in _keys(SECTIONS[name])}
        if folder is not None and values.get("teacher") is not None:
            values["teacher"] = Path(os.path.relpath(values["teacher"], folder)).as_posix()
        tables: dict[str, dict[str, float]] = {key: value for key, value in values.items() if isinstance(value, dict)}
        lines += ["", f"[{name}]"]
        lines += [f"{k} = {_value(v)}" for k, v in values.items() if v is not None and k not in tables]
        for key, table in tables.items():
            lines += ["", f"[{name}.{key}]", *(f"{_text(k)} = {_value(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        parts: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return f"[{', '.join(map(_value, parts))}]"
    return repr(value)


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL, which JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
