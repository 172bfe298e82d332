"""The boards that Onnxino knows, each a small class of constants; the address map is an interface (docs/format.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """Addresses and sizes in bytes, clock in Hz."""

    name: str
    title: str
    board_id: int  # in the serial protocol's hello
    clock_hz: int
    page_size: int  # erase unit of the flash
    image_address: int  # the firmware image, vectors first
    image_size: int
    model_address: int  # the .oxm file, header first, read in place
    model_size: int
    ram_address: int
    ram_size: int
    arena_size: int  # what the generic firmware leaves for activations


NANO33BLE = Board(
    name="nano33ble",
    title="Arduino Nano 33 BLE Sense (nRF52840)",
    board_id=1,
    clock_hz=64_000_000,
    page_size=4096,
    image_address=0x10000,
    image_size=0x30000,
    model_address=0x40000,
    model_size=0xA0000,
    ram_address=0x20000000,
    ram_size=0x40000,
    arena_size=0x38000,
)

BOARDS = {NANO33BLE.name: NANO33BLE}
