"""Runs a verification: makes or takes the inputs, runs every backend, and gathers the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError
from onnxino_tools.verify.compare import (
    BackendReport,
    VerifyReport,
    as_steps,
    compare_operators,
    different,
    first_difference,
    float_difference,
)
from onnxino_tools.verify.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

    from onnxino import InferenceSession
    from onnxino.schema.model import Model, Port

BATCH = 16  # inputs that the NumPy kernels compute at once
Feeds = dict[str, "NDArray[Any]"]


def random_feeds(model: Model, count: int, seed: int = 0) -> Feeds:
    """`count` random inputs for each graph input, in its ONNX layout and type, shapes (count, ...).

    8-bit inputs take every value; float32 ones are uniform over the range of their quantization and a tenth beyond, or
    normally distributed (mean 0, deviation 1) where they are not quantized.
    """
    import numpy as np

    from onnxino.schema.model import ElementType

    generator = np.random.default_rng(seed)
    feeds: Feeds = {}
    for port in model.inputs:
        shape = (count * rows(port), *(abs(int(d)) for d in port.shape[1:]))
        if port.type == ElementType.Float32:
            tensor = model.tensors[port.tensor]
            if tensor.type == ElementType.Float32:
                feeds[port.name] = generator.normal(0, 1, shape).astype(np.float32)
                continue
            low, high = (-128 - tensor.zero_point) * tensor.scale, (127 - tensor.zero_point) * tensor.scale
            margin = (high - low) / 10
            feeds[port.name] = generator.uniform(low - margin, high + margin, shape).astype(np.float32)
        else:
            dtype = np.uint8 if port.type == ElementType.UInt8 else np.int8
            info = np.iinfo(dtype)
            feeds[port.name] = generator.integers(info.min, info.max, shape, dtype, endpoint=True)
    return feeds


def rows(port: Port) -> int:
    """How many of an input's first dimension the model takes at once: 1 where that is a free batch."""
    return max(1, int(port.shape[0])) if len(port.shape) else 1


def samples(model: Model, feeds: Feeds) -> list[Feeds]:
    """What is given to the model at once, one after the other; arrays beyond the last whole one are left out.

    Raises InputError where the inputs hold different numbers of them, or none.
    """
    sizes = {port.name: rows(port) for port in model.inputs}
    found = {name: len(array) // sizes.get(name, 1) for name, array in feeds.items()}
    if len(set(found.values())) != 1:
        raise InputError(f"the inputs have different numbers of samples: {found}")
    count = next(iter(found.values()))
    if count == 0:
        name, size = max(sizes.items(), key=lambda one: one[1])
        message = f"{len(feeds[name])} inputs are given, the model takes {size} at once"
        raise InputError(message, f"give {size} or more, for example with --random 1")
    return [
        {name: array[i * sizes.get(name, 1) : (i + 1) * sizes.get(name, 1)] for name, array in feeds.items()}
        for i in range(count)
    ]


def verify(
    proto: ModelProto,
    oxm: bytes,
    feeds: Feeds,
    backends: Sequence[str],
    *,
    operators: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[VerifyReport, dict[str, NDArray[Any]]]:
    """Compares ONNX Runtime on `proto` with Onnxino on `oxm` (the converted model).

    `feeds`: graph inputs in ONNX layout with the samples along the first axis. `operators`: also compare operator by
    operator. `progress(what, done, total)` is called while it runs. Returns the report, and all outputs by
    'BACKEND/OUTPUT' ('onnxruntime/...' for the oracle's). Raises OnnxinoError.
    """

    from onnxino import InferenceSession, load_model

    model = load_model(oxm)
    oracle = Oracle(proto)
    single = samples(model, feeds)
    count = len(single)
    note = progress or _silent

    theirs: list[list[NDArray[Any]]] = []
    for i, feed in enumerate(single):
        theirs.append(oracle.run(feed))
        note("onnxruntime", i + 1, count)
    expected = [_whole([run[k] for run in theirs]) for k in range(len(oracle.output_names))]
    saved: dict[str, NDArray[Any]] = {
        f"onnxruntime/{name}": array for name, array in zip(oracle.output_names, expected, strict=True)
    }

    report = VerifyReport(count, oracle.precision, oracle.float_operators())
    with InferenceSession(oxm, backend="numpy") as reference:
        free = all(rows(port) == 1 for port in model.inputs)
        outputs = _run(reference, oracle.output_names, _grouped(single) if free else single, "reference", note)
        if operators:
            compare_operators(report, reference, oracle, _batches(reference, oracle, single, note))
        for name in backends:
            with InferenceSession(oxm, backend=name) as session:
                results = outputs if name == "numpy" else _run(session, oracle.output_names, single, name, note)
                report.backends[name] = _compare(model, oracle.output_names, results, expected, outputs)
                if report.backends[name].reference_different:
                    report.backends[name].first_different = _blame(model, reference, session, single, outputs, results)
            saved |= {f"{name}/{k}": array for k, array in zip(oracle.output_names, results, strict=True)}
    return report, saved


def _batches(
    reference: InferenceSession, oracle: Oracle, single: list[Feeds], note: Callable[[str, int, int], None]
) -> Iterator[tuple[list[NDArray[Any]], list[dict[str, NDArray[Any]]]]]:
    """Device inputs, and the graph's with every tensor inside ONNX Runtime, BATCH at a time: all would not fit."""
    import numpy as np

    for i in range(0, len(single), BATCH):
        chunk = single[i : i + BATCH]
        inputs = [reference.to_device(feed) for feed in chunk]
        yield (
            [np.concatenate([one[k] for one in inputs]) for k in range(len(inputs[0]))],
            [feed | oracle.run_inside(feed) for feed in chunk],
        )
        note("operators", i + len(chunk), len(single))


def _grouped(single: list[Feeds]) -> list[Feeds]:
    """The samples in groups of BATCH, which fit into memory."""
    import numpy as np

    groups = [single[i : i + BATCH] for i in range(0, len(single), BATCH)]
    return [{name: np.concatenate([feed[name] for feed in group]) for name in group[0]} for group in groups]


def _whole(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """The results of all runs as one array, along the first dimension."""
    import numpy as np

    return np.concatenate([np.atleast_1d(part) for part in parts])


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def _run(
    session: InferenceSession,
    names: list[str],
    single: list[Feeds],
    label: str,
    note: Callable[[str, int, int], None],
) -> list[NDArray[Any]]:
    runs: list[list[NDArray[Any]]] = []
    for i, feed in enumerate(single):
        runs.append(session.run(names, feed))
        note(label, i + 1, len(single))
    return [_whole([run[k] for run in runs]) for k in range(len(names))]


def _compare(
    model: Model,
    names: list[str],
    results: list[NDArray[Any]],
    expected: list[NDArray[Any]],
    reference: list[NDArray[Any]],
) -> BackendReport:
    import numpy as np

    from onnxino.schema.model import ElementType

    ports = {p.name: model.tensors[p.tensor] for p in model.outputs}
    report = BackendReport()
    for name, ours, theirs, own in zip(names, results, expected, reference, strict=True):
        tensor = ports[name]
        report.reference_different += int(different(ours, own).sum())
        if tensor.type == ElementType.Float32:
            difference, _ = float_difference(ours, theirs)
            report.floats_compared += int(difference.size)
            report.largest = max(report.largest, float(difference.max(initial=0)))
            continue
        ours_q, theirs_q = (as_steps(v, tensor.scale, tensor.zero_point) for v in (ours, theirs))
        difference = np.abs(ours_q - theirs_q)
        report.bytes_compared += int(difference.size)
        report.bytes_different += int(np.count_nonzero(difference))
        report.steps = max(report.steps, int(difference.max(initial=0)))
    return report


def _blame(
    model: Model,
    reference: InferenceSession,
    session: InferenceSession,
    single: list[Feeds],
    expected: list[NDArray[Any]],
    results: list[NDArray[Any]],
) -> str | None:
    """The first operator that differs between a backend and the reference, on the first input where outputs do."""
    for i, feed in enumerate(single):
        count = len(single)
        pairs = [(a.reshape(count, -1)[i], b.reshape(count, -1)[i]) for a, b in zip(expected, results, strict=True)]
        if any(different(*pair).any() for pair in pairs):
            first, second = (s.backend.run_all(s.to_device(feed)) for s in (reference, session))
            return first_difference(model, first, second)
    return None


def load_onnx(path: Path) -> ModelProto:
    """Reads an ONNX file. Raises OnnxinoError for anything else."""
    from onnxino_converter import convert
    from onnxino_tools.verify.oracle import load

    if path.suffix == ".oxm":
        raise InputError(f"'{path}' is converted already", "verify takes the .onnx file that it was made from")
    try:
        return load(path)
    except FileNotFoundError:
        raise InputError(f"there is no model '{path}'", "give the path of an .onnx file") from None
    except Exception:
        convert(path)  # explains what the file is instead
        raise
