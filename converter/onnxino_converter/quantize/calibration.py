"""Calibration data: checked against the model, and cut into batches that run fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from onnxino.errors import InputError
from onnxino_converter.quantize.evaluate import Evaluator
from onnxino_converter.quantize.graph import Array, Feeds, FloatGraph

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

BATCH = 16
HINT = "calibration takes float32 arrays as the float model does, for example {'input': array of shape [samples, ...]}"


@dataclass(frozen=True)
class Calibration:
    """Feeds in batches. `free` says that they are larger than the model's fixed batch, which it allows for."""

    batches: list[Feeds]
    free: bool = False

    def evaluator(self, graph: FloatGraph) -> Evaluator:
        """The graph as it is now, for these batches."""
        return Evaluator(_free_batch(graph) if self.free else graph.write())


def read_calibration(graph: FloatGraph, data: Mapping[str, Any] | Iterable[Any]) -> Calibration:
    """Checks and cuts the data. Raises InputError where they do not fit the model."""
    batches = [batch for feed in _feeds(data) for batch in _cut(graph, feed)]
    if not batches:
        raise InputError("there are no calibration data", HINT)
    sizes = {len(array) for feed in batches for array in feed.values()}
    if len(batches) > 1 and len(sizes) == 1 and max(sizes) < BATCH and _may_be_joined(graph, batches):
        return Calibration(_join(batches, BATCH // max(sizes)), free=True)
    return Calibration(batches)


def _join(batches: list[Feeds], count: int) -> list[Feeds]:
    groups = [batches[at : at + count] for at in range(0, len(batches), count)]
    return [{name: np.concatenate([feed[name] for feed in group]) for name in group[0]} for group in groups]


def _may_be_joined(graph: FloatGraph, batches: list[Feeds]) -> bool:
    """Whether two batches at once give what each gives alone, in every tensor: tried, as models are exported with a
    fixed batch that nothing but a Reshape knows of."""
    alone = [Evaluator(graph.write()).run(feeds) for feeds in batches[:2]]
    try:
        joined = Evaluator(_free_batch(graph)).run(_join(batches[:2], 2)[0])
    except Exception:  # whatever NumPy says to shapes that do not fit
        return False
    for name, values in alone[0].items():
        if values.dtype.kind != "f":
            continue
        both = np.concatenate([values, alone[1][name]]) if values.ndim else values
        if joined[name].shape != both.shape or not np.allclose(joined[name], both, 1e-3, 1e-3, equal_nan=True):
            return False
    return True


def _free_batch(graph: FloatGraph) -> ModelProto:
    """The model with Reshape taking the batch from its input."""
    from onnx import numpy_helper

    model = graph.write()
    for k, node in enumerate(model.graph.node):
        shape = graph.constant(node, 1) if node.op_type == "Reshape" else None
        known = graph.shapes.get(node.input[0])
        if shape is not None and known and shape.size and shape[0] == known[0]:
            name = f"{node.input[1]}__free{k}"
            freed = np.array([0, *shape[1:]], np.int64)
            model.graph.initializer.append(numpy_helper.from_array(freed, name))
            node.input[1] = name
    return model


def _feeds(data: Any) -> Iterable[Any]:
    if isinstance(data, Mapping) or _is_array(data):
        return [data]
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise _no_feed(data)
    return cast("Iterable[Any]", data)


def _is_array(data: object) -> bool:
    """A NumPy array, or what makes itself one (a tensor of PyTorch or TensorFlow)."""
    return hasattr(data, "__array__")


def _no_feed(data: object) -> InputError:
    return InputError(f"the calibration data are of type {type(data).__name__}, expected arrays by input name", HINT)


def _cut(graph: FloatGraph, feed: Any) -> list[Feeds]:
    """`feed`: arrays by input name, or for a model of one input the array alone."""
    ports: list[ValueInfoProto] = list(graph.model.graph.input)
    names = [port.name for port in ports]
    if _is_array(feed):
        if len(names) != 1:
            raise InputError(f"the calibration data are one array, the model has the inputs {_list(names)}", HINT)
        feed = {names[0]: feed}
    elif not isinstance(feed, Mapping):
        raise _no_feed(feed)
    feed = cast("Mapping[str, Any]", feed)
    if sorted(feed) != sorted(names):
        raise InputError(f"the calibration data are for {_list(feed)}, the model's inputs are {_list(names)}", HINT)
    arrays = {port.name: _check(port, feed[port.name]) for port in ports}
    counts = {name: len(array) for name, array in arrays.items()}
    count = min(counts.values())
    if count != max(counts.values()):
        raise InputError(f"the inputs have different numbers of calibration samples: {counts}", HINT)
    fixed = _sizes(ports[0])[0]
    step = fixed or BATCH
    if fixed is not None and count < fixed:
        raise InputError(f"there are {count} calibration samples, but the model takes {fixed} at once", HINT)
    last = count if fixed is None else count - count % fixed
    return [{name: array[at : at + step] for name, array in arrays.items()} for at in range(0, last, step)]


def _check(port: ValueInfoProto, data: Any) -> Array:
    array = np.asarray(data)
    sizes = _sizes(port)
    text = f"[{', '.join('?' if s is None or k == 0 else str(s) for k, s in enumerate(sizes))}]"
    if array.ndim != len(sizes) or any(s not in (None, n) for s, n in zip(sizes[1:], array.shape[1:], strict=True)):
        found = list(array.shape)
        raise InputError(
            f"the calibration data for '{port.name}' have shape {found}, the model takes {text}",
            _turned(array, sizes) or HINT,
        )
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


def _turned(array: Array, sizes: list[int | None]) -> str | None:
    """How one sample alone, or samples with their axes in another order, become what is expected."""

    def fits(shape: tuple[int, ...]) -> bool:
        return len(shape) == len(sizes) - 1 and all(s in (None, n) for s, n in zip(sizes[1:], shape, strict=True))

    if fits(array.shape):
        return "this is one sample: array[None] has the axis that counts them"
    for axes in ((0, 3, 1, 2), (0, 2, 3, 1)):
        if array.ndim == 4 and fits(tuple(array.shape[k] for k in axes[1:])):
            return f"the axes are in another order: array.transpose{axes}"
    return None


def _sizes(port: ValueInfoProto) -> list[int | None]:
    return [int(d.dim_value) if d.HasField("dim_value") else None for d in port.type.tensor_type.shape.dim]


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "nothing"
