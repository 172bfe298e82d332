"""The mark of Onnxino's firmware images, behind the vectors: by it an image is known, and what is cut off or damaged.

Magic "ONXF", format, bytes of the image, CRC-32 of all its bytes but the last field's own (u32 each). The firmware's
source leaves size and CRC at 0: building fills them in.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

OFFSET = 0x100
MAGIC = b"ONXF"
FORMAT = 1
_MARK = struct.Struct("<4s3I")
_CRC = OFFSET + _MARK.size - 4


@dataclass(frozen=True)
class Mark:
    """What an image says of itself."""

    format: int
    size: int
    crc: int


def read_mark(image: bytes) -> Mark | None:
    """The mark, or None where the image is not one of Onnxino."""
    if len(image) < OFFSET + _MARK.size:
        return None
    magic, version, size, crc = _MARK.unpack_from(image, OFFSET)
    return Mark(version, size, crc) if magic == MAGIC else None


def image_crc(image: bytes) -> int:
    """The CRC-32 that belongs into the mark."""
    return zlib.crc32(image[_CRC + 4 :], zlib.crc32(image[:_CRC]))


def seal(image: bytes) -> bytes:
    """The image with size and CRC-32 filled in; one without a mark stays as it is."""
    if read_mark(image) is None:
        return image
    marked = bytearray(image)
    _MARK.pack_into(marked, OFFSET, MAGIC, FORMAT, len(image), 0)
    struct.pack_into("<I", marked, _CRC, image_crc(bytes(marked)))
    return bytes(marked)
