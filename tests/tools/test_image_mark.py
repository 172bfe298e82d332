"""The mark in firmware images: where it stands, and that every changed byte shows."""

from __future__ import annotations

import pytest

from onnxino_tools.build import firmware_image
from onnxino_tools.image_mark import OFFSET, Mark, image_crc, read_mark, seal

IMAGE = firmware_image()


def test_the_firmware_is_marked() -> None:
    assert read_mark(IMAGE) == Mark(1, len(IMAGE), image_crc(IMAGE))
    assert IMAGE[0x100:0x104] == b"ONXF"
    assert seal(IMAGE) == IMAGE


@pytest.mark.parametrize("at", [0, OFFSET + 9, OFFSET + 16, len(IMAGE) - 1])
def test_a_changed_byte_shows(at: int) -> None:
    changed = bytearray(IMAGE)
    changed[at] ^= 1
    mark = read_mark(bytes(changed))
    assert mark is not None
    assert mark.size != len(changed) or mark.crc != image_crc(bytes(changed))
    sealed = seal(bytes(changed))
    mark = read_mark(sealed)
    assert mark == Mark(1, len(sealed), image_crc(sealed))


@pytest.mark.parametrize("image", [b"", bytes(OFFSET) + b"ONXF" + bytes(11), bytes(1000), b"Onnxino" * 200])
def test_others_have_none(image: bytes) -> None:
    assert read_mark(image) is None
    assert seal(image) == image
