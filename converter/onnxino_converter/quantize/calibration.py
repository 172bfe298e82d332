"""Checks calibration data and cuts them into batches that the model takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from onnxino.errors import InputError
from onnxino_converter.quantize.graph import Array, Feeds, FloatGraph

if TYPE_CHECKING:
    from onnx import ValueInfoProto

BATCH = 16  # where the model's batch is not fixed
HINT = "calibration takes float32 arrays as the float model does, for example {'input': array of shape [samples, ...]}"


def batches_of(graph: FloatGraph, calibration: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[Feeds]:
    """Feeds for the model, each of the model's batch. Raises InputError for data that do not fit."""
    feeds = [calibration] if isinstance(calibration, Mapping) else list(calibration)
    batches = [batch for feed in feeds for batch in _cut(graph, cast("Mapping[str, Any]", feed))]
    if not batches:
        raise InputError("there are no calibration data", HINT)
    return batches


def _cut(graph: FloatGraph, feed: Mapping[str, Any]) -> list[Feeds]:
    ports: list[ValueInfoProto] = list(graph.model.graph.input)
    names = [port.name for port in ports]
    if sorted(feed) != sorted(names):
        raise InputError(f"the calibration data are for {_list(feed)}, the model's inputs are {_list(names)}", HINT)
    arrays = {port.name: _check(port, feed[port.name]) for port in ports}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"the inputs have different numbers of calibration samples: {counts}", HINT)
    count = next(iter(counts.values()))
    sizes = {_sizes(port)[0] for port in ports}
    fixed = {size for size in sizes if size is not None}
    step = fixed.pop() if len(fixed) == 1 else BATCH
    if not fixed and None not in sizes and count < step:
        raise InputError(f"there are {count} calibration samples, but the model takes {step} at once", HINT)
    last = count - count % step if None not in sizes else count
    return [{name: array[at : at + step] for name, array in arrays.items()} for at in range(0, last, step)]


def _check(port: ValueInfoProto, data: Any) -> Array:
    array = np.asarray(data)
    sizes = _sizes(port)
    text = f"[{', '.join('?' if s is None or k == 0 else str(s) for k, s in enumerate(sizes))}]"
    if array.ndim != len(sizes) or any(s not in (None, n) for s, n in zip(sizes[1:], array.shape[1:], strict=True)):
        found = list(array.shape)
        raise InputError(f"the calibration data for '{port.name}' have shape {found}, the model takes {text}", HINT)
    if array.dtype.kind != "f":
        hint = "scale the pixels as in training (for example array / 255) and give float32"
        raise InputError(f"the calibration data for '{port.name}' are {array.dtype}, the model takes float32", hint)
    if array.size == 0:
        raise InputError(f"the calibration data for '{port.name}' are empty (shape {list(array.shape)})", HINT)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(
            f"the calibration data for '{port.name}' hold {bad} values that are not finite (NaN or infinity)",
            "leave such samples out",
        )
    return np.ascontiguousarray(array, np.float32)


def _sizes(port: ValueInfoProto) -> list[int | None]:
    return [int(d.dim_value) if d.HasField("dim_value") else None for d in port.type.tensor_type.shape.dim]


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "nothing"
