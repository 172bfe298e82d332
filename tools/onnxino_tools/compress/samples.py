"""The images of a compression: what trains, what chooses, and what the final report is about; each loaded apart, so
that nothing can be chosen by images that belong to the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino.pixels import PixelOptions
from onnxino_tools.compress.options import DataOptions
from onnxino_tools.data.dataset import Dataset

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino.schema.model import Model

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]
_SHARE = "give the name of another split, or the share of the training images that is held out: --validation 0.15"

_HOLD_OUT = "give the share of the training images that is held out: --validation 0.15"


@dataclass(frozen=True)
class Samples:
    """train: None where nothing trains or calibrates. evaluate: what the final report is about (`evaluated` says how
    it is called). feed: images of a data set as the model takes them. text: what pixels become."""

    train: Dataset | None
    validation: Dataset
    evaluate: Dataset
    evaluated: str
    feed: Callable[[NDArray[Any]], NDArray[Any]]
    text: str
    pixels: PixelOptions
    model: Model  # the float model, converted: its port and its labels

    def arrays(self, data: Dataset) -> Arrays:
        """(images float32 [N, ...] as the model takes them, labels int64 [N] in the model's order of classes)."""
        from onnxino_tools.evaluate import match_classes

        labels, _ = match_classes(self.model, data)
        assert labels is not None
        return np.ascontiguousarray(self.feed(data.images), np.float32), labels

    def calibration(self, count: int, seed: int) -> dict[str, NDArray[Any]]:
        """`count` training images by the seed, as the quantizer takes them."""
        assert self.train is not None
        chosen = np.random.default_rng(seed).permutation(len(self.train))[:count]
        return {self.model.inputs[0].name: self.feed(self.train.images[np.sort(chosen)])}


def pixels_of(options: DataOptions) -> PixelOptions:
    """How pixels become inputs, as the data functions want it."""
    return PixelOptions(options.scale, options.mean, options.std, options.layout)


def load_samples(
    model: ModelProto, data: str | Path | Dataset, options: DataOptions, *, training: bool, seed: int
) -> Samples:
    """All images that a recipe needs. training: whether images are needed that train or calibrate.

    Raises ConvertError for a model that cannot run, InputError for data without labels, with labels that the model
    does not have, without the splits that are named, of another size, or empty.
    """
    from onnxino.model import load_model
    from onnxino_converter import convert
    from onnxino_tools.data.inputs import check_single, feed_for
    from onnxino_tools.evaluate import match_classes

    port = load_model(convert(model, float=True, board=None, name="original").model)
    check_single(port)
    if len(port.inputs) != 1:
        names = ", ".join(p.name for p in port.inputs)
        raise InputError(f"the model has {len(port.inputs)} inputs ({names}); a data set feeds exactly one")
    source = _Source(model, data, options)
    train, validation = _train_and_validation(source, options, seed, training)
    evaluated = options.evaluate or (options.validation if isinstance(options.validation, str) else "validation")
    evaluate = validation if options.evaluate in (None, options.validation) else source.split(options.evaluate)
    for part in (train, validation, evaluate):
        if part is not None:
            if part.labels is None:
                raise InputError(
                    f"'{part.source}' has no labels; accuracy is what is measured here",
                    "a .npz needs an array 'labels'; a folder needs a folder for each class",
                )
            match_classes(port, part)
    pixels = pixels_of(options)
    feed, text = feed_for(port, validation, pixels)
    return Samples(train, validation, evaluate, str(evaluated), feed, text, pixels, port)


class _Source:
    """Loads splits from a file, a folder, or a data set in memory."""

    def __init__(self, model: ModelProto, data: str | Path | Dataset, options: DataOptions) -> None:
        self.model, self.data, self.options = model, data, options

    @property
    def name(self) -> str:
        return self.data.source if isinstance(self.data, Dataset) else str(self.data)

    def splits(self) -> list[str] | None:
        """The names of the splits, or None where the data are not split."""
        if isinstance(self.data, Dataset):
            return None if self.data.split is None else sorted(set(map(str, self.data.split)))
        from onnxino_tools.data.dataset import usual_split

        known = [usual_split(self.data, name) for name in ("train", "val", "test", self.options.train)]
        found = sorted({name for name in known if name is not None})
        return found or None

    def split(self, name: str | None) -> Dataset:
        """The images of a split; None: all."""
        limit = self.options.limit or None
        if isinstance(self.data, Dataset):
            return _of_memory(self.data, name, limit)
        from onnxino_tools.calibrate import stand_in
        from onnxino_tools.data.inputs import image_feed

        port = self.model.graph.input
        initializers = {t.name for t in self.model.graph.initializer}
        first = next(p.name for p in port if p.name not in initializers)
        data, _, _ = image_feed(
            stand_in(self.model, first),
            str(self.data),
            pixels_of(self.options),
            split=name,
            limit=limit,
            resize=self.options.resize,
        )
        return data


def _of_memory(data: Dataset, name: str | None, limit: int | None) -> Dataset:
    chosen = np.arange(len(data))
    if name is not None:
        found = sorted(set(map(str, data.split))) if data.split is not None else []
        if data.split is None or name not in found:
            held = f"it has: {', '.join(found)}" if found else "it is not split"
            raise InputError(f"'{data.source}' has no split '{name}'", held)
        chosen = np.flatnonzero(data.split == name)
    chosen = chosen[:limit]
    if not len(chosen):
        raise InputError(f"'{data.source}' holds no images")
    return data.take(chosen)


def _train_and_validation(
    source: _Source, options: DataOptions, seed: int, training: bool
) -> tuple[Dataset | None, Dataset]:
    """The images that train, and those that choose: never the same ones."""
    splits = source.splits()
    if options.evaluate == options.train:
        raise InputError(f"the report cannot be about '{options.train}', the images that train", "--evaluate-split val")
    if isinstance(options.validation, float | int):
        pool = source.split(options.train if splits else None)
        return _held_out(pool, float(options.validation), seed)
    if splits is None:
        source.split(None)  # what cannot be read says so
        raise InputError(f"'{source.name}' is not split into images that train and images that choose", _HOLD_OUT)
    if options.validation == options.train:
        raise InputError(f"the split '{options.train}' cannot both train and choose", _SHARE)
    try:
        validation = source.split(options.validation)
    except InputError as error:
        if "has no" in error.message:
            error.hint = f"{error.hint + '; ' if error.hint else ''}{_SHARE}"
        raise
    return (source.split(options.train) if training else None), validation


def _held_out(pool: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """(the rest, `share` of each class), by the seed. Raises InputError where that leaves one of them empty."""
    rng = np.random.default_rng(seed)
    labels = pool.labels if pool.labels is not None else np.zeros(len(pool), np.int64)
    held = np.zeros(len(pool), np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held[rng.permutation(members)[: round(share * len(members))]] = True
    if held.all() or not held.any():
        raise InputError(
            f"a share of {share:g} of the {len(pool)} images of '{pool.source}' leaves none to train or none to choose",
            "give more images, or another share",
        )
    named = replace(pool, split=None)
    return named.take(np.flatnonzero(~held)), named.take(np.flatnonzero(held))
