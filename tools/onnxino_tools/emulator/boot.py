"""What the bootloader does: which images it starts, and the state in which it hands the chip over (generation BL1)."""

from __future__ import annotations

from onnxino.boards import Board
from onnxino.errors import InputError
from onnxino_tools.emulator.chip import Bus
from onnxino_tools.emulator.core import Core
from onnxino_tools.emulator.memory import Memory

_POWER_LED = 1 << 9  # P1.09


def check_image(image: bytes, model: bytes | None, board: Board) -> None:
    """Raises InputError if the bootloader would not start the image, or if image or model do not fit."""
    if len(image) < 8 or len(image) > board.image_size:
        raise InputError(f"the firmware image has {len(image)} bytes; {board.title} takes 8 to {board.image_size}")
    stack, start = (int.from_bytes(image[at : at + 4], "little") for at in (0, 4))
    if stack >> 24 != 0x20 or not start & 1:
        raise InputError(
            f"the image starts with 0x{stack:08x} 0x{start:08x}: no initial stack pointer and reset vector",
            f"a flat binary linked at 0x{board.image_address:x}, vectors first, is expected (not an ELF file)",
        )
    if model is not None and len(model) > board.model_size:
        raise InputError(
            f"the model has {len(model)} bytes; the model region of {board.title} holds {board.model_size}"
        )


def start_application(bus: Bus, memory: Memory, core: Core, board: Board) -> None:
    """After a reset of the chip: peripherals as the bootloader leaves them, the core at the image's reset handler."""
    bus.power.application_state()
    bus.nvmc.application_state()
    bus.rtcs[1].left_by_bootloader()
    bus.uarte0.registers[0x500] = 8
    bus.gpio.write(0x818, _POWER_LED)
    bus.gpio.write(0x808, _POWER_LED)
    bus.system.mpu.left_by_bootloader()
    base = board.image_address
    bus.system.vtor = base
    stack, start = (int.from_bytes(memory.flash_read(base + at, 4), "little") for at in (0, 4))
    core.reset(stack, start)
