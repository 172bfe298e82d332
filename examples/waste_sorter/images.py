"""TrashNet as 64x64 images: from a file, from the user's cache, or from the data set's public repository.

TrashNet: 2,527 photographs of waste in 6 classes, by Gary Thung and Mindy Yang (github.com/garythung/trashnet, MIT
licence), with an official split into 1,768 training, 328 validation and 431 test images. Each photograph (512x384) is
cut to the square in its centre and shrunk to 64x64, as `onnxino` does with image files.
"""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxino.compile_cache import cache_dir
from onnxino.errors import InputError
from onnxino_tools.data.dataset import Dataset, load_dataset
from onnxino_tools.files import write_whole

SIZE = 64
SPLITS = {"train": 1768, "val": 328, "test": 431}  # images
CLASSES = ("cardboard", "glass", "metal", "paper", "plastic", "trash")
LISTED = ("glass", "paper", "cardboard", "plastic", "metal", "trash")  # the official lists number them so, from 1
CACHED = "trashnet_64.npz"


@dataclass(frozen=True)
class Source:
    """A file of the public repository: where it is, and the SHA-256 of what it holds."""

    address: str
    sha256: str


_CODE = "https://raw.githubusercontent.com/garythung/trashnet/6fa2b878c6c1b4304b91109070ce0edf9279bb31/data"
_DATA = "https://huggingface.co/datasets/garythung/trashnet/resolve/94cd17ebfd6702bf62281d3c89f22ff649815b46"
IMAGES = Source(f"{_DATA}/dataset-resized.zip", "c060e8abfe5d6de0578ca15be1ed8ad0794a865d333c3473d53d1d9ad6e38b8c")
LISTS = {
    "train": Source(
        f"{_CODE}/one-indexed-files-notrash_train.txt",
        "420971a4248b42b07a741ef277059d92ded0c559cae8960c6a488e9c316ff789",
    ),
    "val": Source(
        f"{_CODE}/one-indexed-files-notrash_val.txt",
        "a6c01936e4a4adce41e8da776db39b366d1db46acf07f63215bbe24709081340",
    ),
    "test": Source(
        f"{_CODE}/one-indexed-files-notrash_test.txt",
        "a8cc4e520e4676c6e1bd6346d51a101f80e468763a36f2818ed4e32abb05bb79",
    ),
}
Fetch = Callable[[str], bytes]


def find_images(data_file: Path | None, say: Callable[[str], None] = print) -> Path:
    """The .npz to train on: data_file, else the one in the cache, else it is downloaded into the cache.

    Raises InputError where there is none to be had.
    """
    if data_file is not None:
        return data_file
    cached = cache_dir() / CACHED
    if not cached.is_file():
        say(f"downloading TrashNet (43 MB) from its public repository into {cached}")
        arrays = prepare(download(IMAGES), {name: download(source) for name, source in LISTS.items()})
        write_whole(cached, lambda file: np.savez_compressed(file, **arrays))  # pyright: ignore[reportArgumentType]
    return cached


def load(path: Path, split: str) -> Dataset:
    """One split, images uint8 [N, 64, 64, 3]. Raises InputError where the file is not TrashNet in this form."""
    data = load_dataset(path, split=split)
    shape, classes = data.images.shape[1:], tuple(data.classes or ())
    if shape != (SIZE, SIZE, 3) or data.images.dtype != np.uint8:
        raise InputError(
            f"'{path}' holds images of {data.images.dtype} {list(shape)}; expected uint8 [{SIZE}, {SIZE}, 3]",
            "leave --data-file away to download TrashNet",
        )
    if classes != CLASSES or data.labels is None:
        raise InputError(
            f"'{path}' has the classes {', '.join(classes) or 'none'}; expected {', '.join(CLASSES)}, and labels",
            "leave --data-file away to download TrashNet",
        )
    return data


def download(source: Source, fetch: Fetch | None = None) -> bytes:
    """The file's bytes. Raises InputError where it cannot be fetched, or where it is not the file that is expected."""
    hint = f"fetch it another way, and give the images with --data-file; needed: {source.address}"
    try:
        content = (fetch or _fetch)(source.address)
    except (urllib.error.URLError, OSError) as error:
        raise InputError(f"{source.address} cannot be downloaded: {error}", hint) from error
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise InputError(
            f"{source.address} is another file: {len(content):,} bytes with SHA-256 {found}, not {source.sha256}", hint
        )
    return content


def _fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def read_list(content: bytes) -> dict[str, int]:
    """File name -> index into CLASSES, from an official list (a file name and the number of its class a line)."""
    pairs = (line.split() for line in content.decode().splitlines() if line.strip())
    return {name: CLASSES.index(LISTED[int(number) - 1]) for name, number in pairs}


def prepare(archive: bytes, lists: dict[str, bytes]) -> dict[str, NDArray[np.generic]]:
    """The .npz's arrays: images uint8 [N, 64, 64, 3], labels uint8 [N], split, names, classes; sorted by name.

    Raises InputError where the archive lacks an image of the lists.
    """
    wanted = {name: (split, label) for split, text in lists.items() for name, label in read_list(text).items()}
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        held = {Path(entry).name: entry for entry in zipped.namelist() if not entry.startswith("__MACOSX")}
        missing = sorted(set(wanted) - set(held))
        if missing:
            raise InputError(f"the archive lacks {len(missing)} of {len(wanted)} images, the first is {missing[0]}")
        names = sorted(wanted)
        images = np.stack([shrink(zipped.read(held[name])) for name in names])
    return {
        "images": images,
        "labels": np.array([wanted[name][1] for name in names], np.uint8),
        "split": np.array([wanted[name][0] for name in names]),
        "names": np.array(names),
        "classes": np.array(CLASSES),
    }


def shrink(jpeg: bytes) -> NDArray[np.uint8]:
    """An image file -> uint8 [64, 64, 3]: the square in the centre, shrunk with a bilinear filter that averages."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(jpeg)) as image:
        fitted = ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Image.Resampling.BILINEAR)
        return np.asarray(fitted, np.uint8)
