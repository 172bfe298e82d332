"""Image files and folders of them, as uint8 arrays of the size a model wants. Needs pillow (extra: images).

Every file is turned upright (EXIF), converted to RGB (or grey for one channel), brought to the model's size with a
bilinear filter that averages when it shrinks, and returned as uint8 [H, W, C]. `how` says what happens when the
proportions differ: crop cuts the centre out, stretch distorts, pad adds black borders.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError, MissingExtraError
from onnxino_tools.data.dataset import Dataset

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_HINT = "IMAGE is an image file (PNG, JPEG and others), a folder of them, or a .npy/.npz"
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_image(path: Path, height: int, width: int, channels: int, how: str = "crop") -> NDArray[np.uint8]:
    """One image file as uint8 [height, width, channels]. Raises InputError for a file that is no image."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as e:
        raise MissingExtraError("Reading image files", "images") from e
    if channels not in _MODES:
        raise InputError(f"the model's input has {channels} channels; image files have 1, 3 or 4")
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            image = upright.convert(_MODES[channels])
    except FileNotFoundError as e:
        raise InputError(f"there is no file '{path}'", _HINT) from e
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise InputError(f"'{path}' is not an image that can be read: {e}", _HINT) from e
    pixels = np.asarray(_fit(image, height, width, how), np.uint8)
    return pixels.reshape(height, width, channels)


def _fit(image: Image, height: int, width: int, how: str) -> Image:
    from PIL import Image, ImageOps

    size, method = (width, height), Image.Resampling.BILINEAR
    if how == "stretch":
        return image.resize(size, method)
    if how == "pad":
        return ImageOps.pad(image, size, method)
    return ImageOps.fit(image, size, method)


def read_folder(
    folder: Path,
    shape: tuple[int, int, int],
    how: str = "crop",
    limit: int | None = None,
    classes: list[str] | None = None,
) -> Dataset:
    """A folder of class folders with images: label = index of the folder's name in classes (default: sorted names).

    shape: height, width, channels of the model. limit keeps the first images of an even mixture of the classes.
    """
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise InputError(
            f"'{folder}' has no class folders", "expected: one folder for each class, with its images inside"
        )
    order = list(classes) if classes is not None and set(names) <= set(classes) else names
    files = [(p, order.index(name)) for name in names for p in image_files(folder / name)]
    if not files:
        raise InputError(
            f"the class folders of '{folder}' hold no images", f"known endings: {', '.join(sorted(SUFFIXES))}"
        )
    if limit is not None and limit < len(files):
        # Every len/limit-th file: the first N alone would all be of one class.
        files = [files[i * len(files) // limit] for i in range(limit)]
    images = np.stack([read_image(p, *shape, how) for p, _ in files])
    labels = np.array([label for _, label in files], np.int64)
    return Dataset(images, str(folder), labels, order, names=[str(p) for p, _ in files])


def image_files(folder: Path) -> list[Path]:
    """The image files below a folder, sorted by path."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
