"""The serial protocol of the board's bootloader (SAM-BA, extended by Arduino) as a state machine on bytes.

`SamBa.feed` takes what came over the line; `SamBa.next` says what the bootloader does about it, one action at a time:
send a reply, write flash, switch USB off, reset. It has no idea of time: who carries out the actions has
(bootloader.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

APPLICATION = 0x10000  # added to every address, with wrap-around at 32 bits
FLASH_SIZE = 0x100000
PAGE_SIZE = 4096
COMMAND_SIZE = 64
DATA_SIZE = 8192
CHECK_SIZE = 4096
RECEIVE_SIZE = 8192 + 1024 + 64  # both rings and the endpoint
# Both texts are sent by the size of a longer buffer: a NUL and one stray letter come along.
VERSION = b"Arduino Bootloader (SAM-BA extended) 2.0 [Arduino:IKXYZ]\n\r\0n"
IDENTITY = b"nRF52840-QIAA\n\r\0X"
_HEX = b"0123456789abcdefABCDEF"


@dataclass(frozen=True)
class Reply:
    """Bytes to the host."""

    data: bytes


@dataclass(frozen=True)
class FlashWrite:
    """Erase of `erase` bytes (whole pages, or 0: refused by the flash driver), then programming of `data`."""

    address: int
    data: bytes
    erase: int


@dataclass(frozen=True)
class UsbOff:
    """USB is switched off and nothing is sent: only a reset helps."""


@dataclass(frozen=True)
class Restart:
    """Interrupts off, USB off, reset of the system."""


Action = Reply | FlashWrite | UsbOff | Restart


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, initial value 0, not reflected."""
    import binascii

    return binascii.crc_hqx(data, 0)


def _number(text: bytes) -> int:
    """Hexadecimal digits up to the first other byte, modulo 2**32; 0 without any."""
    value = 0
    for byte in text:
        if byte not in _HEX:
            break
        value = (value << 4 | int(chr(byte), 16)) & 0xFFFFFFFF
    return value


class SamBa:
    """`read(address, size)` reads flash. `limit`: end of the flash that Y may write (bootloader BL2), or None.

    `warnings` lists what the real bootloader takes without a check and would overwrite its own memory with.
    """

    def __init__(self, read: Callable[[int, int], bytes], limit: int | None = None) -> None:
        self._read = read
        self._limit = limit
        self.warnings: list[str] = []
        self._received: deque[int] = deque()
        self._actions: deque[Action] = deque()
        self._command = bytearray(COMMAND_SIZE)  # never cleared: old bytes stand behind a shorter command
        self._index = 0
        self._data = bytearray(DATA_SIZE)
        self._data_at = 0
        self._data_left = 0
        self._source = 0
        self._checked = bytearray(CHECK_SIZE)  # what Z read; not changed when the driver refuses to read
        self._dead = False

    def feed(self, data: bytes) -> None:
        """Bytes from the host, in pieces of any size."""
        self._received.extend(data)
        if len(self._received) > RECEIVE_SIZE:
            self._warn(f"more than {RECEIVE_SIZE} bytes are waiting for the bootloader: it may lose some")

    def next(self) -> Action | None:
        """What happens next, or None until more bytes come. A FlashWrite has to be done before the next call."""
        while not self._actions and self._received and not self._dead:
            self._take(self._received.popleft())
        return self._actions.popleft() if self._actions else None

    def answer(self, data: bytes) -> list[Action]:
        """`feed`, and all that follows from it."""
        self.feed(data)
        actions: list[Action] = []
        while (action := self.next()) is not None:
            actions.append(action)
        return actions

    def _take(self, byte: int) -> None:
        if self._data_left:
            self._store(byte)
            return
        if self._index < COMMAND_SIZE:
            self._command[self._index] = byte
        else:
            self._warn(f"a command is longer than {COMMAND_SIZE} bytes: it overwrites what lies behind its buffer")
        self._index += 1
        if byte == ord("#"):
            self._index = 0
            self._run()

    def _store(self, byte: int) -> None:
        if self._data_at < DATA_SIZE:
            self._data[self._data_at] = byte
        else:
            self._warn(f"S stores behind the data buffer of {DATA_SIZE} bytes")
        self._data_at = self._data_at + 1 & 0xFFFFFFFF
        self._data_left -= 1

    def _run(self) -> None:
        """One command: the first character selects, the numbers stand at fixed places."""
        first, second = _number(bytes(self._command[1:])), _number(bytes(self._command[10:]))
        match chr(self._command[0]):
            case "N":
                self._reply(b"\n\r")
            case "V":
                self._reply(VERSION)
            case "I":
                self._reply(IDENTITY)
            case "X":
                self._reply(b"X\n\r")  # announced as "chip erase"; erases nothing
            case "S":
                self._data_at, self._data_left = first, second
            case "Y":
                self._write(first, second)
            case "Z":
                self._reply(b"Z%08X#\n\r" % self._check(first, second))
            case "K":
                self._actions.append(Restart())
            case _:
                pass  # silent

    def _reply(self, data: bytes) -> None:
        self._actions.append(Reply(data))

    def _write(self, offset: int, size: int) -> None:
        if size == 0:
            self._source = offset
            self._reply(b"Y\n\r")
            return
        address = APPLICATION + offset & 0xFFFFFFFF
        if self._limit is not None and (address + size & 0xFFFFFFFF) > self._limit:
            self._dead = True
            self._actions.append(UsbOff())
            return
        if self._source + size > DATA_SIZE:
            self._warn(f"Y writes what lies behind the data buffer of {DATA_SIZE} bytes")
        if address + size <= FLASH_SIZE:  # the flash driver refuses the rest; nobody looks at its answer
            data = bytes(self._data[self._source : self._source + size])
            data += bytes(size - len(data))
            whole = address % PAGE_SIZE == 0 and size % PAGE_SIZE == 0
            self._actions.append(FlashWrite(address, data, size if whole else 0))
        self._reply(b"Y\n\r")

    def _check(self, offset: int, size: int) -> int:
        address = APPLICATION + offset & 0xFFFFFFFF
        if size > CHECK_SIZE:
            self._warn(f"Z reads more than the {CHECK_SIZE} bytes of its buffer")
            size = min(size, FLASH_SIZE)
            self._checked.extend(bytes(max(size - len(self._checked), 0)))
        if address + size <= FLASH_SIZE:
            self._checked[:size] = self._read(address, size)
        return crc16(bytes(self._checked[:size]))

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
