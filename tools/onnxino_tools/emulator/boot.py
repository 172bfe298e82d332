"""Which images the bootloader starts, and the state in which it hands the chip over."""

from __future__ import annotations

from onnxino.boards import Board
from onnxino.errors import InputError
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.memory import RAM_BASE, Memory

_POWER_LED = 1 << 9  # P1.09


def check_image(image: bytes, model: bytes | None, board: Board, room: int | None = None) -> None:
    """Raises InputError if the bootloader would not start the image, or if image or model do not fit.

    `room`: bytes for the image, where that is not the image region (another application than Onnxino's firmware).
    """
    room = board.image_size if room is None or model is not None else room
    if len(image) < 8 or len(image) > room:
        raise InputError(f"the firmware image has {len(image)} bytes; {board.title} takes 8 to {room}")
    stack, start = (int.from_bytes(image[at : at + 4], "little") for at in (0, 4))
    if stack >> 24 != 0x20 or not start & 1:
        raise InputError(
            f"the image starts with 0x{stack:08x} 0x{start:08x}: no initial stack pointer and reset vector",
            f"a flat binary linked at 0x{board.image_address:x}, vectors first, is expected (not an ELF file)",
        )
    if model is not None:
        check_model(model, board)


def check_contents(image: bytes | None, model: bytes | None, board: Board, room: int | None, needed: bool) -> None:
    """`check_image`, where the image may be missing unless it is `needed`. Raises InputError."""
    if image is not None:
        check_image(image, model, board, room)
    elif model is not None:
        check_model(model, board)
    if image is None and needed:
        raise InputError("the emulator has no firmware image to run", "give an image, a bootloader or a state file")


def check_model(model: bytes, board: Board) -> None:
    """Raises InputError if the model is larger than its region."""
    if len(model) > board.model_size:
        raise InputError(
            f"the model has {len(model)} bytes; the model region of {board.title} holds {board.model_size}"
        )


def start_application(bus: Bus, memory: Memory, core: Core, base: int, *, forwarded: bool = False) -> None:
    """After a reset of the chip: peripherals as the bootloader leaves them, the core at the reset handler of the
    vectors at `base`.

    `forwarded`: as bootloader BL2 does it, with VTOR 0, where the MBR's vectors forward exceptions to the table whose
    address is in RAM word 0x20000000.
    """
    bus.power.application_state()
    bus.nvmc.application_state()
    bus.rtcs[1].left_by_bootloader()
    bus.uarte0.registers[0x500] = 8
    bus.gpio.write(0x818, _POWER_LED)
    bus.gpio.write(0x808, _POWER_LED)
    bus.system.mpu.left_by_bootloader()
    if forwarded:
        memory.ram_write(RAM_BASE, base.to_bytes(4, "little"))
    else:
        bus.system.vtor = base
    stack, start = (int.from_bytes(memory.flash_read(base + at, 4), "little") for at in (0, 4))
    core.reset(stack, start)
