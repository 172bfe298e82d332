"""What `onnxino emulate` does: the arguments are wired in commands/emulate.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnxino.boards import NANO33BLE
from onnxino.errors import InputError
from onnxino_tools.emulator.machine import Machine
from onnxino_tools.emulator.serve import serve


def emulate(
    image: bytes,
    model: bytes | None = None,
    *,
    tcp: str | None = None,
    port_file: Path | None = None,
    count: str = "auto",
    wait_states: int = 0,
    baud_pacing: bool = False,
    elf: bytes = b"",
    say: Callable[[str], None] = print,
    ready: Callable[[str], None] = lambda name: None,
) -> None:
    """Runs the board until SIGINT or SIGTERM. `say` gets the lines for the user (stderr), `ready` the port's name.

    See Machine and serve for the rest; what the firmware did that cannot be meant is said at the end.

    Raises InputError, LinkError, MissingExtraError, EmulatorFault.
    """
    if not 0 <= wait_states <= 15:
        raise InputError(f"{wait_states} wait states", "0 to 15; the nRF52840 reads flash over 2")
    machine = Machine(image, model, count=count, wait_states=wait_states, baud_pacing=baud_pacing, elf=elf)
    for line in notes(machine):
        say(line)

    def announce(name: str) -> None:
        ready(name)
        say(f"{NANO33BLE.title} is running; its serial port is {name} (Ctrl-C ends it)")

    try:
        serve(machine, tcp=tcp, port_file=port_file, ready=announce)
    finally:
        for text in machine.warnings:
            say(f"note: {text}")


def notes(machine: Machine) -> list[str]:
    """What the user has to know about this emulator: how it counts."""
    if machine.count_note:
        return [machine.count_note]
    return []
