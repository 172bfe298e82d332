"""Function names from an ELF file's symbol table, so that a fault can say where it happened."""

from __future__ import annotations

import bisect
import struct

_SYMTAB = 2
_FUNCTION = 2


class Symbols:
    """Looks up the function that holds an address. Built from the bytes of a 32-bit little-endian ELF; empty bytes
    give no names."""

    def __init__(self, elf: bytes = b"") -> None:
        self._entries: list[tuple[int, int, str]] = sorted(_functions(elf)) if elf[:5] == b"\x7fELF\x01" else []
        self._addresses = [entry[0] for entry in self._entries]

    def name(self, address: int) -> str | None:
        """'function+0x12' for an address inside a function, None elsewhere. The Thumb bit is ignored."""
        address &= ~1
        index = bisect.bisect_right(self._addresses, address) - 1
        if index < 0:
            return None
        start, size, name = self._entries[index]
        if address >= start + max(size, 2):
            return None
        return f"{name}+0x{address - start:x}" if address > start else name


def _functions(elf: bytes) -> list[tuple[int, int, str]]:
    try:
        offset, entry_size, count = *struct.unpack_from("<I", elf, 32), *struct.unpack_from("<HH", elf, 46)
        sections = [struct.unpack_from("<10I", elf, offset + i * entry_size) for i in range(count)]
        found: list[tuple[int, int, str]] = []
        for section in sections:
            if section[1] != _SYMTAB:
                continue
            strings = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 16):
                name, value, size, info, _, index = struct.unpack_from("<IIIBBH", elf, at)
                if info & 15 == _FUNCTION and index:
                    end = elf.index(b"\0", strings + name)
                    found.append((value & ~1, size, elf[strings + name : end].decode("ascii", "replace")))
        return found
    except (struct.error, IndexError, ValueError):
        return []
