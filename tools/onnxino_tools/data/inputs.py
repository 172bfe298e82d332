"""Joins model and data: loads DATA, decides how its values become the model's input, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino.pixels import DTYPES, PixelOptions, PixelRule, choose_rule, text_of
from onnxino_tools import ui
from onnxino_tools.data.dataset import Dataset, load_dataset, usual_split

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino.schema.model import Model

Feed = Callable[[NDArray[Any]], NDArray[Any]]


def image_feed(
    model: Model,
    path: str,
    options: PixelOptions,
    *,
    split: str | None = None,
    limit: int | None = None,
    resize: str = "crop",
) -> tuple[Dataset, Feed, str]:
    """The data set, the function from its images [B, ...] to the model's input, and what was chosen.

    Raises InputError where data and model do not fit, or where an option must decide.
    """
    if len(model.inputs) != 1:
        names = ", ".join(port.name for port in model.inputs)
        raise InputError(f"the model has {len(model.inputs)} inputs ({names}); image data feeds exactly one")

    def folder(where: Path, most: int | None) -> Dataset:
        from onnxino_tools.data.image_files import read_folder

        rule = choose_rule(model, options)
        labels = model.metadata.class_labels if model.metadata is not None else None
        return read_folder(where, (rule.height, rule.width, rule.channels), resize, most, labels)

    name = model.inputs[0].name
    data = load_dataset(path, split=split, limit=limit, read_folder=folder, input_name=name)
    return data, *feed_for(model, data, options)


def evaluated_split(path: str, asked: str | None) -> str | None:
    """The split that is evaluated: as asked, where 'all' is everything; else 'test' where the data have one, with a
    note: a model knows the images that it was trained on."""
    if asked is not None:
        return None if asked == "all" else asked
    split = usual_split(path, "test")
    if split is not None:
        ui.note(f"only the split 'test' of '{path}' is evaluated; for everything give --split all")
    return split


def check_single(model: Model) -> None:
    """Raises InputError where a model takes several samples at once: samples are given to it one by one here."""
    for port in model.inputs:
        size = int(port.shape[0]) if len(port.shape) else 1
        if size > 1:
            raise InputError(
                f"the model takes {size} samples at once, or has no batch dimension: its input '{port.name}' is "
                f"{text_of(tuple(int(d) for d in port.shape))}; this command gives it one sample after the other",
                "export the model with a batch of 1; onnxino convert tells how, and in Python "
                "onnxino.InferenceSession runs it as it is",
            )


def feed_for(model: Model, data: Dataset, options: PixelOptions) -> tuple[Feed, str]:
    """The function from images of this data set to the model's input, and what was chosen."""
    port = model.inputs[0]
    expected = tuple(int(d) for d in port.shape)
    dtype = DTYPES[port.type]
    images = data.images
    same = images.dtype == dtype
    if images.dtype.kind == "f" and dtype is np.float32 and images.dtype != dtype:
        same = True  # float64, which NumPy makes, and float16
    if options == PixelOptions() and same and images.shape[1:] == expected[1:] and not _is_pixels(model, images):
        return lambda batch: np.ascontiguousarray(
            batch, dtype
        ), f"arrays as they are, {np.dtype(dtype).name} {text_of(expected)}"
    if images.dtype != np.uint8:
        raise InputError(
            f"'{data.source}' holds {images.dtype} arrays of shape {list(images.shape)}; the input '{port.name}' takes "
            f"{np.dtype(dtype).name} {text_of(expected)}",
            _batched(images, expected)
            or "give images as uint8 [N, H, W, C], or arrays of exactly the model's type and shape",
        )
    found = (*images.shape[1:], 1) if images.ndim == 3 else images.shape[1:]  # [N, H, W]: one channel
    rule = choose_rule(model, options, found)
    wanted = (rule.height, rule.width, rule.channels)
    if found != wanted:
        raise InputError(
            f"'{data.source}' holds images of {_times(found)} (height x width x channels), "
            f"the model takes {_times(wanted)}",
            _turned(images.shape, found, wanted)
            or "arrays are used as they are; a folder of image files is resized to fit",
        )
    warn(rule)
    return lambda batch: rule.apply(batch.reshape(-1, *wanted)), rule.description


def _batched(images: NDArray[Any], expected: tuple[int, ...]) -> str | None:
    """How one sample without the axis that counts samples, or one whose channels lie elsewhere, becomes the input."""
    if images.shape == expected[1:]:
        return "this is one sample: array[None] has the axis that counts them"
    for axes in ((0, 2, 3, 1), (0, 3, 1, 2)):
        if images.ndim == 4 and len(expected) == 4 and tuple(images.shape[k] for k in axes[1:]) == expected[1:]:
            return f"the axes are in another order: array.transpose{axes}"
    return None


def _turned(shape: tuple[int, ...], found: tuple[int, ...], wanted: tuple[int, ...]) -> str | None:
    """How one image alone, or images whose channels come first, become what is expected."""
    if shape == wanted:
        return "this is one image: array[None] has the axis that counts them"
    if len(found) == 3 and (*found[1:], found[0]) == wanted:
        return "the channels come first in these images, they belong last: images.transpose(0, 2, 3, 1)"
    return None


def warn(rule: PixelRule) -> None:
    """Says where the choice is doubtful."""
    if rule.doubt:
        ui.note(rule.doubt)


def _is_pixels(model: Model, images: NDArray[Any]) -> bool:
    """uint8 images for a uint8 input: the same either way, unless the model's metadata says how to treat pixels."""
    stored = model.metadata.preprocessing if model.metadata is not None else None
    return images.dtype == np.uint8 and stored is not None


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def model_inputs(model: Model, args: Namespace) -> tuple[dict[str, NDArray[Any]], str]:
    """All inputs that --data, --split, --limit and the pixel options name, by input name, and a description of them."""
    from onnxino_tools.arguments import pixel_options

    chosen = evaluated_split(args.data, args.split)
    data, feed, text = image_feed(
        model, args.data, pixel_options(args), split=chosen, limit=args.limit, resize=args.resize
    )
    ui.talk(f"input: {text}")
    split = f", split {chosen}" if chosen else ""
    return {model.inputs[0].name: feed(data.images)}, f"{len(data)} inputs from {data.source}{split}"
