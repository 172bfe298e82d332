"""Reads what a test program left in RAM."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxino_tools.emulator import Machine


def results(machine: Machine, count: int) -> list[int]:
    """RESULT(0..count-1) of a program."""
    return list(struct.unpack(f"<{count}I", machine.memory.ram_read(0x20000000, 4 * count)))
