"""Loads data sets: .npz with images and labels, .npy, folders of class folders, image files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError

NPZ_HELP = "a data set .npz holds images (uint8 [N, H, W, C]), labels ([N]) and, if you like, classes and split"


@dataclass(frozen=True)
class Dataset:
    """Images (usually uint8 [N, H, W, C]), one label each (index into classes) where known."""

    images: NDArray[Any]
    source: str
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None
    split: NDArray[np.str_] | None = None
    names: list[str] | None = None
    places: NDArray[np.intp] | None = None  # in the source, of what was taken; None: all, in its order

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: NDArray[np.intp]) -> Dataset:
        """The images of these indices."""
        return replace(
            self,
            images=self.images[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            split=None if self.split is None else self.split[chosen],
            names=None if self.names is None else [self.names[i] for i in chosen],
            places=(np.arange(len(self)) if self.places is None else self.places)[chosen],
        )


def load_dataset(
    path: str | Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    read_folder: Callable[[Path, int | None], Dataset] | None = None,
    input_name: str | None = None,
) -> Dataset:
    """Loads DATA. read_folder reads a folder of images (it must know the size that the model wants). input_name: the
    model's input; a .npz may hold its values under that name instead of `images`.

    Raises InputError for what is not there, is no data set, or has no such split.
    """
    file = Path(path)
    if not file.exists():
        raise InputError(f"there is no data at '{file}'", NPZ_HELP)
    if file.is_dir():
        if read_folder is None:
            raise InputError(f"'{file}' is a folder; arrays are needed here", NPZ_HELP)
        if split is not None:
            file = _split_folder(file, split)
        data = read_folder(file, limit)
    elif file.suffix == ".npz":
        data = _load_npz(file, input_name)
    elif file.suffix == ".npy":
        data = Dataset(_load_array(file), str(file))
    else:
        raise InputError(f"'{file}' is neither .npz, .npy nor a folder", NPZ_HELP)
    if split is not None and not file.is_dir():
        data = _select_split(data, split)
    if limit is not None and limit < len(data):
        data = data.take(np.arange(limit))
    if len(data) == 0:
        raise InputError(f"'{file}' holds no images", NPZ_HELP)
    return data


def _load_array(file: Path) -> NDArray[Any]:
    try:
        array: Any = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as e:
        raise InputError(f"'{file}' is not a NumPy array: {e}") from e
    if not isinstance(array, np.ndarray) or array.ndim < 2:
        raise InputError(f"'{file}' is not an array of images: expected at least 2 axes, the first counting the images")
    return cast("NDArray[Any]", array)


def usual_split(path: str | Path, name: str) -> str | None:
    """`name` where the data are split and have a part of that name, else None."""
    import zipfile

    file = Path(path)
    if file.is_dir():
        return name if all((file / part).is_dir() for part in {name, "train"}) else None
    if file.suffix != ".npz" or not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as archive:
            splits: set[str] = set(map(str, archive["split"].reshape(-1))) if "split" in archive else set()
    except (TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile):
        return None  # load_dataset says what is wrong
    return name if name in splits else None


def _load_npz(file: Path, input_name: str | None) -> Dataset:
    import zipfile

    try:
        with np.load(file, allow_pickle=False) as archive:
            key = input_name if input_name is not None and input_name in archive else "images"
            keys = {"images": key, "labels": "labels", "classes": "classes", "split": "split"}
            found: dict[str, NDArray[Any]] = {k: archive[held] for k, held in keys.items() if held in archive}
            present = ", ".join(archive.files)
    except TypeError as e:  # np.load goes by the content, not by the name
        raise InputError(f"'{file}' is no archive (.npz) but a single array (.npy)", "name it .npy") from e
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as e:
        raise InputError(f"'{file}' is not a NumPy archive (.npz): {e}", NPZ_HELP) from e
    if "images" not in found:
        named = "" if input_name is None else f", nor '{input_name}', the model's input,"
        raise InputError(f"'{file}' has no array 'images'{named} (it has: {present or 'nothing'})", NPZ_HELP)
    images = found["images"]
    if images.ndim == 0:
        raise InputError(f"'{file}' holds a single number as '{key}'; expected arrays, one for each sample", NPZ_HELP)
    for key in ("labels", "split"):
        if key in found and found[key].shape != images.shape[:1]:
            shape = list(found[key].shape)
            raise InputError(f"'{file}' has {len(images)} images but {key} of shape {shape}", NPZ_HELP)
    classes = [str(c) for c in found["classes"]] if "classes" in found else None
    labels = _labels(file, found["labels"], classes) if "labels" in found else None
    split = found["split"].astype(np.str_) if "split" in found else None
    return Dataset(images, str(file), labels, classes, split)


def _labels(file: Path, labels: NDArray[Any], classes: list[str] | None) -> NDArray[np.int64]:
    if labels.dtype.kind in "US" and classes is not None:
        unknown = sorted(set(map(str, labels)) - set(classes))
        if unknown:
            raise InputError(f"'{file}' has labels that are not in classes: {', '.join(unknown[:5])}")
        return np.array([classes.index(str(label)) for label in labels], np.int64)
    if labels.dtype.kind not in "iu":
        raise InputError(f"'{file}' has labels of type {labels.dtype}; expected integers", NPZ_HELP)
    result = labels.astype(np.int64)
    if classes is not None and len(result) and (result.min() < 0 or result.max() >= len(classes)):
        raise InputError(f"'{file}' has labels {result.min()} to {result.max()} but {len(classes)} classes")
    return result


def _select_split(data: Dataset, split: str) -> Dataset:
    if data.split is None:
        raise InputError(f"'{data.source}' has no array 'split', so there is no split '{split}'", "leave --split away")
    chosen = np.flatnonzero(data.split == split)
    if len(chosen) == 0:
        counts = ", ".join(f"{name} ({n})" for name, n in zip(*np.unique(data.split, return_counts=True), strict=True))
        raise InputError(f"'{data.source}' has no split '{split}'", f"it has: {counts}")
    return data.take(chosen)


def _split_folder(folder: Path, split: str) -> Path:
    inner = folder / split
    if not inner.is_dir():
        found = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir())) or "none"
        raise InputError(
            f"'{folder}' has no folder '{split}'",
            f"--split names a folder that holds the class folders; found: {found}",
        )
    return inner
