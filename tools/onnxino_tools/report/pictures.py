"""Images of a data set as PNG files, written with zlib alone, and signals as lines: the report's thumbnails."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 96  # pixels at the longer side of a thumbnail; larger images are averaged down
POINTS = 96  # of a signal's line
_NARROW = 8  # what has fewer rows, and is not of bytes, is signals side by side and no image
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG: grey, grey with alpha, RGB, RGBA


@dataclass(frozen=True)
class Picture:
    """A PNG file, or the points of a line between 0 and 1."""

    png: bytes | None = None
    line: list[float] | None = None
    width: int = 0
    height: int = 0

    @property
    def uri(self) -> str:
        """The PNG as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png or b"").decode("ascii")


def png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 [H, W, C] with C of 1, 2, 3 or 4 as a PNG file (W3C, Portable Network Graphics; no filter)."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with its filter: 0
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(sample: NDArray[Any]) -> Picture | None:
    """One sample of a data set: an image [H, W], [H, W, C] or [C, H, W], else a signal; None for what is neither."""
    pixels = _as_image(sample)
    if pixels is not None:
        small = shrink(pixels)
        return Picture(png(small), None, small.shape[1], small.shape[0])
    values = np.asarray(sample).reshape(-1)
    if values.size < 2 or values.dtype.kind not in "fiu":
        return None
    return Picture(line=line_of(values))


def _as_image(sample: NDArray[Any]) -> NDArray[np.uint8] | None:
    array = np.asarray(sample)
    if array.dtype.kind not in "fiu":
        return None
    if array.ndim == 3 and array.shape[2] not in _COLOUR_TYPES and array.shape[0] in _COLOUR_TYPES:
        array = array.transpose(1, 2, 0)
    if array.ndim == 2 and (array.dtype == np.uint8 or min(array.shape) >= _NARROW):
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in _COLOUR_TYPES or min(array.shape[:2]) < 2:
        return None
    return array if array.dtype == np.uint8 else _stretch(array)


def _stretch(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Any values over the range of pixels, from the least to the greatest; what is not finite is black."""
    values = array.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(values[finite].min()), float(values[finite].max())
    # Halves, because the difference of two large floats may be infinite.
    span = (high / 2 - low / 2) or 1.0
    scaled = np.where(finite, (values / 2 - low / 2) / span * 255, 0)
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def shrink(pixels: NDArray[np.uint8], largest: int = LARGEST) -> NDArray[np.uint8]:
    """Averages blocks of whole pixels until no side is longer; smaller images stay as they are."""
    step = -(-max(pixels.shape[:2]) // largest)
    if step <= 1:
        return pixels
    sums = pixels.astype(np.float64)
    for axis in (0, 1):
        starts = list(range(0, pixels.shape[axis], step))
        sizes = np.array([min(step, pixels.shape[axis] - start) for start in starts], np.float64)
        shape = [-1 if k == axis else 1 for k in range(3)]
        sums = np.add.reduceat(sums, starts, axis=axis) / sizes.reshape(shape)
    return np.rint(sums).astype(np.uint8)


def line_of(values: NDArray[Any]) -> list[float]:
    """A signal as at most POINTS heights from 0 (least) to 1 (greatest); what is not finite lies at 0."""
    signal = values.astype(np.float64)
    signal = np.where(np.isfinite(signal), signal, np.nan)
    if signal.size > POINTS:
        starts = np.linspace(0, signal.size, POINTS + 1)[:-1].astype(np.int64)
        signal = signal[starts]
    if np.isnan(signal).all():
        return [0.0] * signal.size
    low, high = float(np.nanmin(signal)), float(np.nanmax(signal))
    span = (high / 2 - low / 2) or 1.0
    return [round(float(v), 4) for v in np.nan_to_num((signal / 2 - low / 2) / span)]
