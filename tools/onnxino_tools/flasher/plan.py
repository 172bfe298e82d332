"""Which pages of flash differ, and in which order they are written so that a cut at any moment does no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from onnxino.boards import NANO33BLE
from onnxino_tools.flasher.sam_ba import PAGE, crc16

HALF = PAGE // 2
BLANK = b"\xff" * PAGE
VECTORS = 8  # bytes: stack pointer and reset vector, by which the bootloader knows an application
MODEL_OFFSET = NANO33BLE.model_address - NANO33BLE.image_address

Checksum = Callable[[int, int], int]
"""CRC-16 of (offset, size) in flash."""


@dataclass(frozen=True)
class Write:
    """Bytes that go to an offset; whole pages are erased before. `final`: what makes the application startable."""

    offset: int
    data: bytes
    final: bool = False


def pages(image: bytes | None, model: bytes | None) -> dict[int, bytes]:
    """Offset from the application's first byte -> the page's 4096 bytes, filled up with 0xFF."""
    result: dict[int, bytes] = {}
    for start, data in ((0, image), (MODEL_OFFSET, model)):
        if data is not None:
            for at in range(0, len(data), PAGE):
                result[start + at] = data[at : at + PAGE].ljust(PAGE, b"\xff")
    return result


def is_same(offset: int, page: bytes, checksum: Checksum) -> bool:
    """Whether flash holds these bytes, as far as two checksums of 16 bits tell."""
    return all(checksum(offset + at, HALF) == crc16(page[at : at + HALF]) for at in (0, HALF))


def differing(wanted: dict[int, bytes], checksum: Checksum, looked: Callable[[int], None]) -> set[int]:
    """Offsets of the pages that flash does not hold; `looked(n)` is called after the n-th."""
    found: set[int] = set()
    for number, (offset, page) in enumerate(wanted.items(), 1):
        if not is_same(offset, page, checksum):
            found.add(offset)
        looked(number)
    return found


def writes(wanted: dict[int, bytes], different: set[int], image_end: int) -> Iterator[Write]:
    """What to write, in order. From the first write on until the last one, an image that is not whole cannot start.

    image_end: offset of the image's end; 0 where only a model is written.

    The bootloader starts what has a stack pointer and a reset vector. So these are erased before anything else of the
    image changes, and written last: page 0 is erased, then come all other pages, then page 0 behind its first 8 bytes,
    and then these. (A page whose writing is cut off would else be started.) A model needs no such care, because the
    firmware checks its CRC-32; it goes before the image's last bytes all the same.
    """
    image_changes = any(offset < image_end for offset in different)
    if image_changes:
        yield Write(0, BLANK)
    for offset in sorted(different - {0}):
        yield Write(offset, wanted[offset])
    if image_changes:
        yield Write(VECTORS, wanted[0][VECTORS:])
        yield Write(0, wanted[0][:VECTORS], final=True)
