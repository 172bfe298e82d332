"""Class labels and preprocessing: given by the user, or by the ONNX file's own metadata where it is obvious."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino.errors import ConvertError
from onnxino.schema.model import Metadata, Preprocessing
from onnxino_converter.ir import PortInfo

if TYPE_CHECKING:
    from onnx import ModelProto

LABEL_KEYS = ("class_labels", "labels", "classes", "class_names", "names")
PREPROCESSING_KEYS = ("layout", "mean", "scale", "std")


def make_metadata(
    model: ModelProto, output: PortInfo, labels: Sequence[str] | None, preprocessing: Mapping[str, Any] | None
) -> Metadata | None:
    """Metadata for the model file, or None. Labels must be as many as the first output's last dimension."""
    count = output.shape[-1] if output.shape else 1
    chosen: list[str] | None = None
    if labels is not None:
        chosen = [str(label) for label in labels]
        if len(chosen) != count:
            raise ConvertError(
                f"there are {len(chosen)} labels, the output '{output.name}' has {count} values {_sizes(output)}",
                "give one label for each value, in the order of the output",
            )
    else:
        found = _labels_of(model)
        chosen = found if found is not None and len(found) == count else None
    prepared = None if preprocessing is None else make_preprocessing(preprocessing)
    if chosen is None and prepared is None:
        return None
    return Metadata(class_labels=chosen, preprocessing=prepared)


def _sizes(output: PortInfo) -> str:
    return f"[{', '.join('?' if size < 0 else str(size) for size in output.shape)}]"


def _labels_of(model: ModelProto) -> list[str] | None:
    """Labels in metadata_props: a JSON list, a dictionary from index to name (JSON or Python), or names with commas."""
    props = {entry.key.lower(): entry.value for entry in model.metadata_props}
    for key in LABEL_KEYS:
        if key in props:
            return _parse_labels(props[key])
    return None


def _parse_labels(text: str) -> list[str] | None:
    value: Any = None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
            break
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    if isinstance(value, dict):
        entries: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        try:
            by_index = {int(k): str(v) for k, v in entries.items()}
        except (TypeError, ValueError):
            return None
        return [by_index[i] for i in range(len(by_index))] if set(by_index) == set(range(len(by_index))) else None
    if isinstance(value, list | tuple):
        return [str(v) for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [part.strip() for part in text.split(",")] if "," in text else None


def make_preprocessing(options: Mapping[str, Any]) -> Preprocessing:
    """real = (pixel * scale - mean[c]) / std[c], checked."""
    unknown = sorted(set(options) - set(PREPROCESSING_KEYS))
    if unknown:
        raise ConvertError(f"preprocessing has no option '{unknown[0]}'", f"it takes {', '.join(PREPROCESSING_KEYS)}")
    scale = _number("scale", options.get("scale", 1.0))
    mean, std = _channel_values("mean", options.get("mean")), _channel_values("std", options.get("std"))
    if mean is not None and std is not None and len(mean) != len(std) and 1 not in (len(mean), len(std)):
        raise ConvertError(
            f"preprocessing has {len(mean)} means and {len(std)} standard deviations", "give one for each channel"
        )
    if std is not None and np.any(std == 0):
        raise ConvertError("preprocessing divides by a standard deviation of 0", "give standard deviations above 0")
    layout = options.get("layout")
    if layout not in (None, "NHWC", "NCHW"):
        raise ConvertError(f"preprocessing has the layout {layout!r}", "NHWC or NCHW")
    return Preprocessing(scale=scale, mean=mean, std=std, layout=layout)


def _number(what: str, value: Any) -> float:
    try:
        number = float(np.float32(value))
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConvertError(f"preprocessing: {what} is {value!r}", "a finite number")
    return number


def _channel_values(what: str, value: Any) -> Any:
    if value is None:
        return None
    values: list[Any] = [value] if np.ndim(value) == 0 else list(value)
    if not values:
        raise ConvertError(f"preprocessing: {what} is empty", "one number, or one for each channel")
    return np.asarray([_number(what, v) for v in values], np.float32)
