"""The emulated board's flash in a file, so that it keeps what was flashed like the real one.

The file is mapped into memory: the flash array is the file, and what is written to it is there even when the emulator
is killed in the next moment. Layout: a header of 4096 bytes (magic, format, sizes, bootloader, CRC-32 of the header),
1 MB of flash, 4096 bytes of UICR.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from onnxino.errors import InputError, OnnxinoError
from onnxino_tools.emulator.bootloader_flash import Generation
from onnxino_tools.emulator.memory import FLASH_SIZE, Memory
from onnxino_tools.emulator.peripherals.flash_cells import FlashCells

_MAGIC = b"ONNXINO FLASH\r\n\x1a"
_VERSION = 1
_HEADER = struct.Struct("<16sIII16s8s")  # magic, version, flash bytes, UICR bytes, board, bootloader
HEADER_SIZE = 4096
_OTHER = "choose another file, or delete it: then a new, empty board is made"


class FlashState:
    """Opens or creates the file. `bootloader`: "bl1", "bl2" or "" (none); `uicr` is for a new file.

    `flash` is the array in the file; `created`: the file is new, its flash erased. Raises InputError when the file is
    no state file, damaged, of another board or bootloader, or used by another emulator.
    """

    def __init__(self, path: Path | str, board: str, bootloader: str, uicr: bytes) -> None:
        self.path = path = Path(path)
        self._expected = (FLASH_SIZE, len(uicr), board, bootloader)
        size = HEADER_SIZE + FLASH_SIZE + len(uicr)
        try:
            self._file: BinaryIO = _open(path)
        except OSError as error:
            raise InputError(f"the state file '{path}' cannot be opened: {error.strerror or error}") from error
        try:
            _lock(self._file, path)
            self._file.seek(0, 2)
            self.created = self._file.tell() == 0
            if self.created:
                self._fill(uicr)
            self._check(size)
            self._buffer = mmap.mmap(self._file.fileno(), size)
        except OSError as error:
            self._file.close()
            raise InputError(f"the state file '{path}' cannot be used: {error.strerror or error}") from error
        except OnnxinoError:
            self._file.close()
            raise
        self.flash = (ctypes.c_uint8 * FLASH_SIZE).from_buffer(self._buffer, HEADER_SIZE)

    def close(self) -> None:
        """Lets others use the file. The mapping lives as long as the machine that works on it."""
        if not self._file.closed:
            self._buffer.flush()
            _unlock(self._file)  # the mapping keeps a handle of its own
            self._file.close()

    def _fill(self, uicr: bytes) -> None:
        """A new file: written beside its name first would be safer, but it holds nothing yet that could be lost."""
        flash_size, uicr_size, board, bootloader = self._expected
        fields = _HEADER.pack(_MAGIC, _VERSION, flash_size, uicr_size, board.encode(), bootloader.encode())
        header = fields + zlib.crc32(fields).to_bytes(4, "little")
        self._file.seek(0)
        self._file.write(header.ljust(HEADER_SIZE, b"\0") + b"\xff" * flash_size + uicr)
        self._file.flush()

    def _check(self, size: int) -> None:
        self._file.seek(0)
        header = self._file.read(_HEADER.size + 4)
        if len(header) < _HEADER.size + 4 or not header.startswith(_MAGIC):
            raise InputError(f"'{self.path}' is no state file of the emulator: it starts with {header[:8]!r}", _OTHER)
        fields, check = header[: _HEADER.size], int.from_bytes(header[_HEADER.size :], "little")
        _, version, flash_size, uicr_size, board, bootloader = _HEADER.unpack(fields)
        if version != _VERSION:
            raise InputError(f"the state file '{self.path}' has format {version}; this is format {_VERSION}", _OTHER)
        if zlib.crc32(fields) != check:
            raise InputError(f"the header of the state file '{self.path}' is damaged (wrong CRC)", _OTHER)
        found = (flash_size, uicr_size, _text(board), _text(bootloader))
        if found[:3] != self._expected[:3]:
            raise InputError(f"the state file '{self.path}' is of the board '{found[2]}', not '{self._expected[2]}'")
        if found[3] != self._expected[3]:
            kinds = [f"bootloader {name}" if name else "no bootloader" for name in (found[3], self._expected[3])]
            raise InputError(
                f"the state file '{self.path}' is of a board with {kinds[0]}, not with {kinds[1]}",
                f"give --bootloader {found[3]}, or another file" if found[3] else _OTHER,
            )
        self._file.seek(0, 2)
        if self._file.tell() != size:
            raise InputError(f"the state file '{self.path}' has {self._file.tell()} bytes, not {size}", _OTHER)


def bootloader_of(path: Path) -> str | None:
    """ "bl1", "bl2" or "" by the header of a state file; None where there is no file yet, or another kind of file."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except OSError:
        return None
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        return None
    return _text(_HEADER.unpack(header)[-1])


def board_flash(memory: Memory, cells: FlashCells, generation: Generation | None, new: bool) -> None:
    """Puts the bootloader where it is on the board, or, where the flash is not `new`, looks whether it is still there.

    `cells` guards its addresses from now on.
    """
    if generation is None:
        return
    for address, page in generation.pages().items():
        if new:
            memory.flash_write(address, page)
        elif memory.flash_read(address, len(page)) != page:
            cells.touched.append(f"{len(page)} bytes at 0x{address:08x} were changed in the past")
    cells.guarded = list(generation.guarded)


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("utf-8", "replace")


def _open(path: Path) -> BinaryIO:
    """Read and write; created where there is none."""
    try:
        return path.open("r+b")
    except FileNotFoundError:
        return path.open("x+b")


def _lock(file: BinaryIO, path: Path) -> None:
    """Raises InputError when another emulator has it. Windows and odd file systems have no such lock: then none."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"the state file '{path}' is used by another emulator", "one board, one emulator") from error
    except OSError:
        return


def _unlock(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:
        return
    with suppress(OSError):
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
