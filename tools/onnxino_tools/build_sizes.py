"""How much of the chip the firmware takes: read from the linked ELF, and from the objects that are firmware alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

_NOBITS = 8
_UNWINDING = 0x70000001  # .ARM.exidx: one entry for each function, all of which the linker joins into one
_ALLOCATED = 2
ARENA = ".arena"

FLASH_LIMIT = 20 * 1024
"""Bytes of flash that the firmware may take beside the engine and its operators."""
RAM_LIMIT = 12 * 1024
"""Bytes of RAM that it may take beside the arena, stack included."""


@dataclass(frozen=True)
class Sizes:
    """Bytes. image: the whole .bin; firmware: what of it is neither engine nor operators (with the camera; before the
    linker drops what nobody calls); ram: all but the arena."""

    image: int
    firmware: int
    ram: int
    arena: int

    def as_dict(self) -> dict[str, int]:
        """For the image's description and --json."""
        return asdict(self)


def read_sizes(image: bytes, elf: bytes, objects: list[Path], ram_address: int) -> Sizes:
    """From the image, the ELF that it was made of, and the firmware's own objects."""
    ram = arena = 0
    for name, _, address, size in _sections(elf):
        if address >= ram_address:
            if name == ARENA:
                arena += size
            else:
                ram += size
    firmware = sum(size for path in objects for _, in_file, _, size in _sections(path.read_bytes()) if in_file)
    return Sizes(len(image), firmware, ram, arena)


def _sections(elf: bytes) -> Iterator[tuple[str, bool, int, int]]:
    """(name, whether it has bytes in the file, address, size) of the sections that take memory, of an ELF32."""
    (offset,) = struct.unpack_from("<I", elf, 32)
    size, count, names_index = struct.unpack_from("<HHH", elf, 46)
    headers = [struct.unpack_from("<10I", elf, offset + i * size) for i in range(count)]
    names = headers[names_index][4]
    for name, kind, flags, address, _, length, *_ in headers:
        if flags & _ALLOCATED and length and kind != _UNWINDING:
            start = names + name
            yield elf[start : elf.index(b"\0", start)].decode("ascii"), kind != _NOBITS, address, length
