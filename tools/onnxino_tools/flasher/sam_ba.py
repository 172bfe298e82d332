"""The board's bootloader over its serial port: the few commands of its SAM-BA dialect that it really has.

It numbers flash from the application's first byte (0x10000 on the chip) and adds without looking, so that a wrong
number reaches itself: `SamBa` refuses everything outside of the application's region before a byte is sent.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from onnxino.boards import NANO33BLE
from onnxino.errors import InputError, LinkError

if TYPE_CHECKING:
    from onnxino_tools.transport import Transport

PAGE = NANO33BLE.page_size
# Both generations of the bootloader lie at or above 0xE0000 or below 0x10000.
REGION = NANO33BLE.model_address + NANO33BLE.model_size - NANO33BLE.image_address
TITLE = b"Arduino Bootloader"
CHIP = b"nRF52840"

TIMEOUT = 5.0  # seconds; an erased and written page takes 0.13
GREETING = 0.4  # seconds until a bootloader has answered that is free
ATTEMPTS = 3
_CHECKSUM = re.compile(rb"Z([0-9A-Fa-f]{8})#\n\r")
_QUIET = 0.02  # seconds of silence that end a reply of unknown length


class BootloaderError(LinkError):
    """The bootloader answers something else than it should, or nothing."""


class SamBa:
    """A bootloader behind a transport. `retries` counts commands that were sent again."""

    def __init__(self, transport: Transport, timeout: float = TIMEOUT) -> None:
        self.transport = transport
        self.timeout = timeout
        self.retries = 0

    def close(self) -> None:
        """Closes the transport; the bootloader stays where it is."""
        self.transport.close()

    def greet(self, *, patient: bool = True) -> bool:
        """Whether a bootloader is there. Brings it into a defined state, whoever spoke to it before.

        A lone '#' ends a command that was begun. `patient`: as many as a page has bytes end data that it may still
        wait for.
        """
        for prefix in (b"#", b"#" * (PAGE + 1)) if patient else (b"#",):
            self._drop()
            self.transport.write(prefix)
            self.transport.write(b"V#")
            if TITLE in self._read_until(TITLE, GREETING):
                self._drop()
                return True
        return False

    def connect(self) -> None:
        """`greet`, and checks that it writes this chip. Raises BootloaderError, LinkError."""
        if not self.greet():
            raise BootloaderError(
                f"no bootloader answers at {self.transport.name}",
                "press the board's reset button twice, quickly: the orange LED then fades in and out",
            )
        self.transport.write(b"I#")
        chip = self._read_until(b"\r", self.timeout)
        self._drop()
        if CHIP not in chip:
            raise BootloaderError(f"the bootloader writes another chip: {_printable(chip)}, not {CHIP.decode()}")

    def crc(self, offset: int, size: int) -> int:
        """CRC-16 (polynomial 0x1021, initial value 0) over `size` bytes from `offset` on; at most 4096."""
        _check(offset, size)
        command = b"Z%08X,%08X#" % (offset, size)
        for attempt in range(ATTEMPTS):
            self.transport.write(command)
            reply = self._read(12, self.timeout)
            if found := _CHECKSUM.fullmatch(reply):
                return int(found[1], 16)
            self._again(attempt, f"answer with a checksum, but with {_printable(reply)}")
        raise AssertionError("unreachable")

    def write(self, offset: int, data: bytes) -> None:
        """Erases the pages from `offset` on, if it begins one and `data` is whole pages, and writes `data` (words).

        Without an answer that can be trusted: only `crc` tells whether it worked.
        """
        _check(offset, len(data))
        if len(data) > PAGE or offset % 4 or len(data) % 4:
            raise InputError(f"{len(data)} bytes at offset 0x{offset:X} cannot be written at once")
        for attempt in range(ATTEMPTS):
            self.transport.write(b"S00000000,%08X#" % len(data) + data)
            self.transport.write(b"Y00000000,0#")
            if self._read(3, self.timeout) == b"Y\n\r":
                break
            self._again(attempt, "take a page of data")
        self._expect(b"Y%08X,%08X#" % (offset, len(data)), b"Y\n\r", "write a page")

    def reset(self) -> None:
        """Leaves the bootloader: the board restarts and its port disappears."""
        self.transport.write(b"K#")

    # ------------------------------------------------------------------ replies

    def _expect(self, command: bytes, reply: bytes, what: str) -> None:
        self.transport.write(command)
        found = self._read(len(reply), self.timeout)
        if found != reply:
            self.retries += 1
            raise BootloaderError(f"the bootloader did not {what}: it answers {_printable(found)}")

    def _again(self, attempt: int, what: str) -> None:
        self.retries += 1
        if attempt == ATTEMPTS - 1 or not self.greet():
            raise BootloaderError(
                f"the bootloader at {self.transport.name} does not {what}",
                "unplug the board, plug it in and call this again: it goes on where it stopped",
            )

    def _read(self, size: int, timeout: float) -> bytes:
        """`size` bytes, or less after `timeout` seconds."""
        found = b""
        deadline = time.monotonic() + timeout
        while len(found) < size:
            data = self.transport.read(max(deadline - time.monotonic(), _QUIET))
            found += data
            if not data or time.monotonic() > deadline + timeout:
                break
        return found

    def _read_until(self, mark: bytes, timeout: float) -> bytes:
        """Everything up to `mark`, or what came in `timeout` seconds."""
        found = b""
        deadline = time.monotonic() + timeout
        while mark not in found:
            data = self.transport.read(max(deadline - time.monotonic(), _QUIET))
            found += data
            if not data or time.monotonic() > deadline + timeout:
                break
        return found

    def _drop(self) -> None:
        """Forgets what was received."""
        deadline = time.monotonic() + 1.0
        while self.transport.read(_QUIET) and time.monotonic() < deadline:
            pass


def crc16(data: bytes) -> int:
    """What the bootloader computes: CRC-16 with polynomial 0x1021, initial value 0, nothing reflected."""
    import binascii

    return binascii.crc_hqx(data, 0)


def _check(offset: int, size: int) -> None:
    if offset < 0 or size <= 0 or offset + size > REGION:
        raise InputError(
            f"{size} bytes at 0x{NANO33BLE.image_address + offset:X} lie outside of the application's flash, "
            f"0x{NANO33BLE.image_address:X} to 0x{NANO33BLE.image_address + REGION:X}: the bootloader lives there"
        )


def _printable(data: bytes) -> str:
    text = data[:40].decode("ascii", "backslashreplace").strip()
    return f"'{text}'" if text else "nothing"
