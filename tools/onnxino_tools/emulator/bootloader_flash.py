"""The two generations of the board's bootloader: where each lies, and what stands in flash in its place.

The emulator models the bootloader and does not run it, so its code is not in the emulated flash. A placeholder is: of
the right size, with the CRC-16 that tells a flasher which generation it is, and (BL2) with an MBR that forwards
exceptions.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from onnxino.errors import InputError
from onnxino_tools.emulator.bootloader_protocol import APPLICATION, FLASH_SIZE, PAGE_SIZE, crc16

BOOTLOADER_2 = 0xE0000
SETTINGS = 0xFF000  # BL2: an update of the SoftDevice waits
SOFTDEVICE = 0x1000
SOFTDEVICE_APPLICATION = 0x26000
_NRFFW = 0x14  # UICR.NRFFW[0]: where the MBR finds the bootloader
_UNDEFINED = b"\x00\xde"  # UDF #0
_TEXT = b"Placeholder for the bootloader: the emulator models it and does not run it. "
# Thumb: read IPSR; the handler's address stands in the vector table whose address is in RAM word 0x20000000.
_FORWARD = bytes.fromhex("eff30580 4ff00051 0968 51f82000 0047".replace(" ", ""))


@dataclass(frozen=True)
class Generation:
    """`limit`: end of the flash that the bootloader writes, or None; `guarded`: addresses that belong to it."""

    name: str
    title: str
    magic_address: int  # the RAM word of the double-tap
    limit: int | None
    application_end: int
    guarded: tuple[range, ...]
    forwards: bool  # an MBR at 0 forwards exceptions: VTOR is 0 when the application starts

    def valid(self, first: int, second: int) -> bool:
        """Whether the first two words at 0x10000 are an application for it."""
        if self.forwards:
            return first >> 24 == 0x20
        return first != 0xFFFFFFFF and second != 0xFFFFFFFF

    def pages(self) -> dict[int, bytes]:
        """What stands in flash where the bootloader is on the board."""
        if not self.forwards:
            return {0: _page(0xF407, _vectors(0)), **{at: _page(None) for at in range(PAGE_SIZE, 0x9000, PAGE_SIZE)}}
        pages = {BOOTLOADER_2 + at: _page(None) for at in range(PAGE_SIZE, 0x9000, PAGE_SIZE)}
        return {0: _page(0x3E22, _forwarding()), BOOTLOADER_2: _page(0x81A7, _vectors(BOOTLOADER_2)), **pages}

    def uicr(self, page: bytes) -> bytes:
        """The user information page with what this generation keeps there."""
        if not self.forwards:
            return page
        return page[:_NRFFW] + BOOTLOADER_2.to_bytes(4, "little") + page[_NRFFW + 4 :]


BL1 = Generation(
    "bl1", "BL1 (2019, at address 0)", 0x20007FFC, None, FLASH_SIZE, (range(0, APPLICATION),), forwards=False
)
BL2 = Generation(
    "bl2", "BL2 (2021, at 0xE0000 behind an MBR)", 0x2000BFFC, BOOTLOADER_2, BOOTLOADER_2,
    (range(0, APPLICATION), range(BOOTLOADER_2, FLASH_SIZE)), forwards=True,
)  # fmt: skip
GENERATIONS = {generation.name: generation for generation in (BL1, BL2)}


def generation_named(name: str) -> Generation:
    """Raises InputError for what is neither bl1 nor bl2."""
    if name not in GENERATIONS:
        raise InputError(f"there is no bootloader '{name}'", f"known are: {', '.join(GENERATIONS)}")
    return GENERATIONS[name]


def _vectors(address: int) -> bytes:
    """By which the firmware sees that there is a bootloader: a stack in RAM, a start behind the vectors."""
    return struct.pack("<2I", 0x20004000, address + 8 | 1) + _UNDEFINED * 16


def _forwarding() -> bytes:
    """A vector table whose exceptions all go through the forwarding code behind it."""
    table = 16 + 48
    return struct.pack("<2I", 0x20000400, 4 * table | 1) + struct.pack("<I", 4 * table | 1) * (table - 2) + _FORWARD


def _page(check: int | None, start: bytes = b"") -> bytes:
    """`start`, a text, undefined instructions; the last two bytes give the page the CRC-16 `check`."""
    start += _UNDEFINED * (16 if not start else 1)
    page = (start + _TEXT).ljust(len(start + _TEXT) + 1 & ~1, b" ")
    page = (page + _UNDEFINED * PAGE_SIZE)[:PAGE_SIZE]
    if check is None:
        return page
    for _ in range(16):  # the CRC register 16 bits earlier
        check = (check ^ 0x1021) >> 1 | 0x8000 if check & 1 else check >> 1
    return page[:-2] + (crc16(page[:-2]) ^ check).to_bytes(2, "big")
