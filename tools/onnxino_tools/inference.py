"""Classifies image files and arrays with a session: the engine of `onnxino run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino_tools import ui
from onnxino_tools.arguments import UsageError
from onnxino_tools.classes import is_index, prediction, unknown_classes
from onnxino_tools.data import PixelOptions, choose_rule
from onnxino_tools.data.dataset import Dataset, load_dataset
from onnxino_tools.data.inputs import check_single, feed_for, warn
from onnxino_tools.files import write_whole

if TYPE_CHECKING:
    from onnxino import InferenceSession
    from onnxino.schema.model import Model

BATCH = 64  # images that are in memory as input at once


@dataclass(frozen=True)
class Answer:
    """One image: where it came from, the model's input and outputs (type and layout of the graph's ports)."""

    name: str
    input: NDArray[Any]
    outputs: list[NDArray[Any]]
    classes: list[str]
    cycles: int | None

    @property
    def values(self) -> NDArray[Any]:
        """The first output as a vector."""
        return self.outputs[0].reshape(-1)

    @property
    def prediction(self) -> int:
        """Index of the largest value, or the index that the model gives."""
        return prediction(self.values)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The best classes with their values, best first. A model that gives an index has one class, of value 1."""
        if is_index(self.values):
            best = self.prediction
            return [(self.classes[best] if 0 <= best < len(self.classes) else str(best), 1.0)]
        order = np.argsort(-self.values.astype(np.float64), kind="stable")[:count]
        return [(self.classes[i], float(self.values[i])) for i in order]


def classify(session: InferenceSession, sources: Sequence[str], options: PixelOptions, resize: str) -> list[Answer]:
    """Runs all images of all sources in batches. Raises InputError for what cannot be read or does not fit."""
    if len(session.model.inputs) != 1:
        raise InputError(f"the model has {len(session.model.inputs)} inputs; images feed exactly one")
    check_single(session.model)
    answers: list[Answer] = []
    for names, batch, classes in _batches(session, sources, options, resize):
        outputs = session.run(None, {session.model.inputs[0].name: batch})
        cycles = session.cycles
        names_of = classes or [str(i) for i in range(outputs[0][0].size)]
        for i, name in enumerate(names):
            own = [o[i] for o in outputs]
            answers.append(Answer(name, batch[i], own, names_of, None if cycles is None else int(cycles[i])))
    return answers


@dataclass(frozen=True)
class FrameKind:
    """What raw frame files hold (onnxino.camera.Frame), and how the model's picture is cut out of them."""

    format: str
    width: int
    height: int
    fit: str = "crop"

    @classmethod
    def parse(cls, text: str, fit: str = "crop") -> FrameKind:
        """From FORMAT:WIDTHxHEIGHT. Raises UsageError."""
        from onnxino.camera import FORMATS, frame_size

        format, _, size = text.partition(":")
        width, _, height = size.partition("x")
        if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
            raise UsageError(
                f"--frame '{text}' is no FORMAT:WIDTHxHEIGHT",
                f"for example --frame rgb565be:160x120; formats: {', '.join(FORMATS)}",
            )
        try:
            frame_size(format, int(width), int(height))
        except InputError as e:
            raise UsageError(f"--frame {text}: {e.message}", e.hint) from None
        return cls(format, int(width), int(height), fit)


def classify_frames(session: InferenceSession, sources: Sequence[str], kind: FrameKind) -> list[Answer]:
    """Runs the model on raw frames of a camera: a device converts them itself, and is held to the reference's bytes.

    Raises InputError where a file cannot be read or has another size, or the model takes no frame; LinkError.
    """
    from onnxino.backends.device import DeviceBackend
    from onnxino.camera import Frame, frame_image, frame_input

    model = session.model
    names = model.metadata.class_labels if model.metadata is not None else None
    answers: list[Answer] = []
    for source in sources:
        try:
            data = Path(source).read_bytes()
        except OSError as e:
            raise InputError(f"the frame '{source}' cannot be read: {e.strerror or e}") from e
        try:
            frame = Frame(kind.format, kind.width, kind.height, data)
        except InputError as e:
            raise InputError(f"'{source}': {e.message}", e.hint) from e
        picture, rule = frame_image(model, frame, kind.fit)
        tensor = frame_input(model, frame, kind.fit)
        backend = session.backend
        if isinstance(backend, DeviceBackend):
            raw = backend.run_frame(frame, kind.fit, tensor)
        else:
            raw = backend.run([tensor])
        outputs = [output[0] for output in session.from_device(raw)]
        cycles = None if session.cycles is None else int(session.cycles[0])
        classes = names or [str(i) for i in range(outputs[0].size)]
        answers.append(Answer(source, rule.apply(picture[None])[0], outputs, classes, cycles))
    return answers


def _batches(
    session: InferenceSession, sources: Sequence[str], options: PixelOptions, resize: str
) -> Iterator[tuple[list[str], NDArray[Any], list[str] | None]]:
    """Names, input batch, class names."""
    model = session.model
    labels = model.metadata.class_labels if model.metadata is not None else None
    files = [file for source in sources for file in _expand(Path(source))]
    arrays = [file for file in files if file.suffix in (".npy", ".npz")]
    pictures = [file for file in files if file not in arrays]
    for file in arrays:
        data = _in_batch(load_dataset(file, input_name=model.inputs[0].name), model)
        feed, text = feed_for(model, data, options)
        ui.talk(f"input: {text}")
        for at in range(0, len(data), BATCH):
            images = data.images[at : at + BATCH]
            yield [f"{file}[{at + i}]" for i in range(len(images))], feed(images), _names(model, data)
    if not pictures:
        return
    from onnxino_tools.data.image_files import read_image

    rule = choose_rule(model, options)
    ui.talk(f"input: {rule.description}")
    warn(rule)
    for at in range(0, len(pictures), BATCH):
        part = pictures[at : at + BATCH]
        images = np.stack([read_image(file, rule.height, rule.width, rule.channels, resize) for file in part])
        yield [str(file) for file in part], rule.apply(images), labels


def _in_batch(data: Dataset, model: Model) -> Dataset:
    """A .npy of one image, [H, W, C] or [H, W], as [1, H, W, C]; what can be a batch stays as it is."""
    shape = tuple(int(d) for d in model.inputs[0].shape)[1:]
    images = data.images
    if images.dtype == np.uint8 and len(shape) == 3:
        one = {shape, (*shape[1:], shape[0])}  # NHWC, or NCHW
        # [1, H, W]: one grey image already
        if images.shape in one - {(1, *shape[1:])} or (*images.shape, 1) in one:
            return replace(data, images=images.reshape(1, *images.shape))
    elif images.shape == shape:
        return replace(data, images=images[np.newaxis])
    return data


def _names(model: Model, data: Dataset) -> list[str] | None:
    """Class names of the outputs: the model's, else the data's where there is one for each."""
    own = model.metadata.class_labels if model.metadata is not None else None
    if own:
        if data.classes and (unknown := unknown_classes(own, data.classes)):
            ui.note(f"{unknown}; the names shown are the model's")
        return own
    outputs = int(np.prod(model.tensors[model.outputs[0].tensor].shape))
    return data.classes if data.classes and len(data.classes) == outputs else None


def _expand(source: Path) -> list[Path]:
    """A file as it is; a folder as the image files below it."""
    if not source.is_dir():
        if not source.exists():
            raise InputError(
                f"there is no file or folder '{source}'",
                "IMAGE is an image file, a folder of them, or a .npy/.npz with arrays",
            )
        return [source]
    from onnxino_tools.data.image_files import SUFFIXES, image_files

    files = image_files(source)
    if not files:
        raise InputError(f"the folder '{source}' holds no images", f"known endings: {', '.join(sorted(SUFFIXES))}")
    return files


def save(path: str, session: InferenceSession, answers: Sequence[Answer]) -> None:
    """Writes names, inputs, outputs (outputs_1 and so on for further ones), predictions."""
    arrays: dict[str, NDArray[Any]] = {
        "names": np.array([a.name for a in answers]),
        "inputs": np.stack([a.input for a in answers]),
        "predictions": np.array([a.prediction for a in answers], np.int64),
    }
    for i in range(len(session.model.outputs)):
        arrays["outputs" if i == 0 else f"outputs_{i}"] = np.stack([a.outputs[i] for a in answers])
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))
