"""Streams data to a device and compares every output byte with the NumPy reference: the engine of serial-eval."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError, LinkError
from onnxino.model import dtype_of, shape_of, tensor_bytes
from onnxino.schema.model import ElementType
from onnxino_tools import ui
from onnxino_tools.classes import prediction, unknown_classes
from onnxino_tools.files import write_whole
from onnxino_tools.inspect.device import kernel_name
from onnxino_tools.link import DeviceError
from onnxino_tools.pipeline import Job
from onnxino_tools.protocol import Status

if TYPE_CHECKING:
    from onnxino import InferenceSession
    from onnxino.schema.model import Model
    from onnxino_tools.connection import Connection
    from onnxino_tools.data import Dataset
    from onnxino_tools.link import DeviceLink, InferResult

PROFILED = 256  # operators whose cycles and hashes a device keeps
TRIES = 8  # times that the link may break at the same image
BATCH = 64  # images whose reference outputs are computed at once


@dataclass(frozen=True)
class Inference:
    """One image: what went in (port type and layout), and the bytes of all outputs of device and reference."""

    input: NDArray[Any]
    output: bytes
    reference: bytes
    microseconds: float
    prediction: int

    @property
    def different(self) -> int:
        """Output bytes that are not those of the reference."""
        if self.output == self.reference:
            return 0
        return sum(a != b for a, b in zip(self.output, self.reference, strict=True))


@dataclass(repr=False)
class Evaluation:
    """What came back from the device, image by image; `done` may end before `total` when the run was cut short."""

    total: int  # images asked for
    classes: list[str] | None
    labels: NDArray[np.int64] | None  # [total]
    model: str = ""  # its name
    data: str = ""  # where the images came from
    done: list[Inference] = field(default_factory=list[Inference])
    link_errors: int = 0
    retries: int = 0
    reconnects: int = 0  # times that the device disappeared and came back
    longest_reconnect: float = 0.0  # seconds
    repeats: int = 0  # further runs of images that were done already
    repeats_different: int = 0  # those that gave other bytes
    layers_compared: int = 0
    layers_different: int = 0
    first_different: str | None = None  # the first operator whose output differs
    profile: list[int] | None = None  # CPU cycles of each operator, of one image
    layers: list[str] = field(default_factory=list[str])  # operators of `profile`

    def __repr__(self) -> str:
        """Short: the images are many."""
        correct = "" if self.correct is None else f", correct={self.correct}"
        return (
            f"Evaluation(model={self.model!r}, images={self.images} of {self.total}{correct}, "
            f"bytes_different={self.bytes_different}, ok={self.ok})"
        )

    def count(self, connection: Connection) -> None:
        """Takes over what happened on the line."""
        self.link_errors, self.retries = connection.errors_recovered, connection.retries
        self.reconnects, self.longest_reconnect = connection.reconnects, connection.longest

    def compare_layers(self, model: Model, found: list[int], expected: list[int]) -> None:
        """Counts operators whose outputs differ. Raises LinkError when the device tells of another number of them."""
        if len(found) != len(expected):
            raise LinkError(f"the device tells of {len(found)} operators, the model has {len(expected)}")
        self.layers_compared += len(expected)
        for index, (a, b) in enumerate(zip(found, expected, strict=True)):
            if a != b:
                self.layers_different += 1
                operator = model.operators[index]
                self.first_different = self.first_different or f"{index} {operator.name}"

    @property
    def ok(self) -> bool:
        """All images done, and nothing differs."""
        return self.images == self.total and not (
            self.bytes_different or self.repeats_different or self.layers_different
        )

    @property
    def images(self) -> int:
        """How many images are done."""
        return len(self.done)

    @property
    def correct(self) -> int | None:
        """How many predictions equal the label; None without labels."""
        if self.labels is None:
            return None
        return sum(i.prediction == int(label) for i, label in zip(self.done, self.labels, strict=False))

    @property
    def bytes_compared(self) -> int:
        """Output bytes received, all of them compared."""
        return sum(len(i.output) for i in self.done)

    @property
    def bytes_different(self) -> int:
        """Output bytes that are not those of the NumPy reference."""
        return sum(i.different for i in self.done)

    def latency_ms(self, percentile: float) -> float | None:
        """Percentile of the inference time on the device in milliseconds; None where the device measured none."""
        known = [i.microseconds for i in self.done if i.microseconds > 0]
        return float(np.percentile(known, percentile)) / 1000 if known else None

    def confusion(self) -> list[list[int]] | None:
        """[label][prediction] counts; None without labels."""
        if self.labels is None:
            return None
        done = [(int(label), i.prediction) for i, label in zip(self.done, self.labels, strict=False)]
        size = max(len(self.classes or []), 1 + max((max(pair) for pair in done), default=-1))
        matrix = [[0] * size for _ in range(size)]
        for label, predicted in done:
            matrix[label][predicted] += 1
        return matrix

    def as_json(self) -> dict[str, object]:
        """The result under the keys that scripts rely on."""
        correct = self.correct
        return {
            "images": self.images,
            "accuracy": correct / self.images if correct is not None and self.images else None,
            "bytes_compared": self.bytes_compared,
            "bytes_different": self.bytes_different,
            "latency_ms_median": self.latency_ms(50),
            "latency_ms_p95": self.latency_ms(95),
            "link_errors": self.link_errors,
            "confusion_matrix": self.confusion(),
            "classes": self.classes,
            "model": self.model,
            "data": self.data,
            "ok": self.ok,
            "retries": self.retries,
            "reconnects": self.reconnects,
            "longest_reconnect_s": round(self.longest_reconnect, 3),
            "repeats": self.repeats,
            "repeats_different": self.repeats_different,
            "layers_compared": self.layers_compared,
            "layers_different": self.layers_different,
            "first_different": self.first_different,
            "layers": [
                {"operator": name, "cycles": cycles}
                for name, cycles in zip(self.layers, self.profile or [], strict=False)
            ],
        }


@dataclass(frozen=True)
class Options:
    """check_every: of each so many images, one is compared operator by operator (0: none). repeat: times that each
    image runs; all of them must give the same bytes."""

    check_every: int = 0
    repeat: int = 1


@dataclass(frozen=True)
class _Expected:
    """What was sent and what has to come back."""

    input: NDArray[Any]
    reference: bytes
    hashes: list[int] | None


class Evaluator:
    """Evaluates one model on one data set; the session computes the reference.

    feed: turns images [a:b] of the data set into the arrays of the graph's inputs (port type and layout, batch first).
    """

    def __init__(
        self,
        session: InferenceSession,
        data: Dataset,
        feed: Callable[[NDArray[Any]], NDArray[Any]],
        options: Options | None = None,
    ) -> None:
        self.session = session  # the reference, on NumPy
        self.model = session.model
        self.data = data
        self.feed = feed
        self.options = options or Options()
        labels, classes = match_classes(session.model, data)
        self.result = Evaluation(len(data), classes, labels, session.model.name, data.source)
        self.result.layers = [
            f"{operator.name} ({kernel_name(operator.kernel)})" for operator in session.model.operators
        ]
        self._expected: deque[_Expected] = deque()

    def run(self, device: DeviceLink | Connection, progress: Callable[[int], None]) -> Evaluation:
        """Streams all images. A Connection that breaks goes on with the image at hand when the device is back.

        When it does not come back, or `progress` raises, `result` holds the images done. Raises LinkError.
        """
        from onnxino_tools.connection import Connection

        connection = device if isinstance(device, Connection) else Connection(device)
        result, tries, at = self.result, 0, -1
        while result.images < result.total:
            tries, at = (tries + 1, at) if at == result.images else (1, result.images)
            try:
                connection.know()
                self._stream(connection, progress)
            except LinkError as error:
                # An image that breaks the connection each time is not tried for ever.
                if tries == TRIES or not _may_pass(error):
                    raise
                connection.again(error)
            finally:
                result.count(connection)
        return result

    def _stream(self, connection: Connection, progress: Callable[[int], None]) -> None:
        """All images that are not done yet, until the link breaks."""
        result, model, repeat = self.result, self.model, self.options.repeat
        sizes = [tensor_bytes(model.tensors[port.tensor]) for port in model.outputs]
        self._expected.clear()
        runs: list[InferResult] = []
        for answer in connection.link.infer_many(self._jobs(result.images), sizes):
            result.count(connection)
            if len(answer.output) != sum(sizes):
                raise LinkError(
                    f"the device answered {len(answer.output)} bytes, the model's outputs have {sum(sizes)}"
                )
            if answer.profile is not None:
                result.profile = [cycles for _, cycles in answer.profile]
            runs.append(answer)
            if len(runs) == repeat:
                self._note(runs, self._expected.popleft())
                runs = []
                progress(result.images)

    def _jobs(self, first: int) -> Iterator[Job]:
        """The inferences of the images from `first` on; computes what has to come back, a batch at a time."""
        every, repeat = self.options.check_every, self.options.repeat
        for begin in range(first, len(self.data), BATCH):
            arrays = self.feed(self.data.images[begin : begin + BATCH])
            device = self.session.to_device({self.model.inputs[0].name: arrays})
            reference = joined(self.session.backend.run(device))
            for i in range(len(arrays)):
                number = begin + i
                hashes = (
                    reference_hashes(self.session, [part[i : i + 1] for part in device])
                    if _due(number, every)
                    else None
                )
                self._expected.append(_Expected(arrays[i], reference[i].tobytes(), hashes))
                inputs = [part[i].tobytes() for part in device]
                for run in range(repeat):
                    yield Job(inputs, hashes is not None and run == 0, self.result.profile is None and run == 0)

    def _note(self, runs: list[InferResult], expected: _Expected) -> None:
        result, answer = self.result, runs[0]
        if expected.hashes is not None and answer.hashes is not None:
            result.compare_layers(self.model, answer.hashes, expected.hashes)
        result.repeats += len(runs) - 1
        result.repeats_different += sum(run.output != answer.output for run in runs[1:])
        outputs = split_outputs(self.model, np.frombuffer(answer.output, np.uint8)[None])
        # One append for each image, so that Ctrl-C at any moment leaves whole images.
        result.done.append(
            Inference(
                expected.input,
                joined(outputs)[0].tobytes(),
                expected.reference,
                answer.microseconds,
                prediction(outputs[0][0]),
            )
        )


def _due(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def _may_pass(error: LinkError) -> bool:
    """Whether going on makes sense: the line broke, or the device was reset between an inference and its outputs."""
    return not isinstance(error, DeviceError) or error.status == Status.NO_RESULT


def reference_hashes(session: InferenceSession, inputs: list[NDArray[Any]]) -> list[int]:
    """CRC-32 over the bytes of each operator's output, as the device holds them, for one sample (1, *shape)."""
    values = session.backend.run_all(inputs)
    found: list[int] = []
    for operator in session.model.operators[:PROFILED]:
        crc = 0
        for tensor in operator.outputs:
            crc = zlib.crc32(np.ascontiguousarray(values[int(tensor)][0]).tobytes(), crc)
        found.append(crc)
    return found


def joined(arrays: list[NDArray[Any]]) -> NDArray[np.uint8]:
    """Device arrays (B, *shape), side by side as [B, bytes]. Processors differ in the bits of NaN: here it is one."""
    rows = [np.ascontiguousarray(a.reshape(len(a), -1)) for a in arrays]
    rows = [np.where(np.isnan(a), np.float32(np.nan), a) if a.dtype == np.float32 else a for a in rows]
    return np.concatenate([a.view(np.uint8) for a in rows], axis=1)


def match_classes(model: Model, data: Dataset) -> tuple[NDArray[np.int64] | None, list[str] | None]:
    """The data's labels in the model's numbering, and the class names. Raises InputError where they do not fit.

    A model with labels of its own decides the order; a data set with these names, or some of them, is renumbered.
    Other names are refused where they are names of folders, whose order means nothing; else there is a warning.
    """
    tensor = model.tensors[model.outputs[0].tensor]
    outputs = int(np.prod(tensor.shape))
    gives_index = outputs == 1 and tensor.type == ElementType.Int32  # ArgMax: nothing says how many classes there are
    own = model.metadata.class_labels if model.metadata is not None else None
    classes, labels = data.classes, data.labels
    if own and classes and own != classes and labels is not None:
        if unknown := unknown_classes(own, classes):
            if data.names is not None:
                raise InputError(unknown, "rename the folders, or convert the model again with --labels")
            ui.note(f"{unknown}; labels and predictions are compared by their numbers, under the names of the data")
        else:
            labels = np.array([own.index(c) for c in classes], np.int64)[labels]
            classes = own
    names = classes or own or None
    if labels is None:
        return None, names
    needed = len(classes) if classes else int(labels.max()) + 1
    if labels.min() < 0 or (not gives_index and (needed > outputs or (classes and needed != outputs))):
        what = f"{needed} classes" if classes else f"labels {labels.min()} to {labels.max()}"
        hint = "is this the data set that the model was trained on?"
        if classes and needed < outputs and not own:
            hint = (
                "if these are some of the model's classes, tell it the names of all, in the order of its outputs: "
                "onnxino convert MODEL.onnx --labels labels.txt, a file with one name a line"
            )
        raise InputError(f"the data '{data.source}' has {what}, the model has {outputs} outputs", hint)
    if names is None and not gives_index:
        names = [str(i) for i in range(outputs)]
    return labels, names


def save(path: str | Path, session: InferenceSession, result: Evaluation) -> None:
    """Writes inputs and outputs (type and layout of the graph's ports), predictions and latency of the images done.

    Arrays: inputs [N, ...], outputs [N, ...] (outputs_1 and so on for further ones), predictions [N], latency_ms [N],
    bytes_different [N] and, where known, labels [N] and classes.
    """
    done = result.done
    arrays: dict[str, NDArray[Any]] = {
        "predictions": np.array([i.prediction for i in done], np.int64),
        "latency_ms": np.array([i.microseconds / 1000 for i in done], np.float64),
        "bytes_different": np.array([i.different for i in done], np.int64),
    }
    if done:
        rows = np.frombuffer(b"".join(i.output for i in done), np.uint8).reshape(len(done), -1)
        arrays["inputs"] = np.stack([i.input for i in done])
        for i, values in enumerate(session.from_device(split_outputs(session.model, rows))):
            arrays["outputs" if i == 0 else f"outputs_{i}"] = values
    if result.labels is not None:
        arrays["labels"] = result.labels[: result.images]
    if result.classes is not None:
        arrays["classes"] = np.array(result.classes)
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def split_outputs(model: Model, rows: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """[B, bytes] -> one array (B, *shape) for each output of the model, of its tensor's type."""
    result: list[NDArray[Any]] = []
    at = 0
    for port in model.outputs:
        tensor = model.tensors[port.tensor]
        size = tensor_bytes(tensor)
        values = np.ascontiguousarray(rows[:, at : at + size]).view(dtype_of(tensor))
        result.append(values.reshape(-1, *shape_of(tensor)))
        at += size
    return result
