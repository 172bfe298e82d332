"""What `onnxino emulate` does: the arguments are wired in commands/emulate.py."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from onnxino.boards import NANO33BLE, Board
from onnxino.errors import InputError
from onnxino_tools.emulator.console import COMMANDS, Console, read_commands
from onnxino_tools.emulator.link_faults import LinkFaults
from onnxino_tools.emulator.machine import Machine
from onnxino_tools.emulator.serve import serve


def emulate(
    image: bytes | None = None,
    model: bytes | None = None,
    *,
    board: Board = NANO33BLE,
    bootloader: str | None = None,
    usb: bool = False,
    state: Path | None = None,
    link_faults: str | None = None,
    tcp: str | None = None,
    port_file: Path | None = None,
    count: str = "auto",
    wait_states: int = 0,
    baud_pacing: bool = False,
    elf: bytes = b"",
    say: Callable[[str], None] = print,
    ready: Callable[[str], None] = lambda name: None,
    commands: bool = False,
    end_with_stdin: bool = False,
) -> None:
    """Runs the board until SIGINT or SIGTERM. `say` gets the lines for the user (stderr), `ready` the port's name.

    See Machine and serve for the rest; what the firmware did that cannot be meant is said at the end, and which link
    faults were injected. With a bootloader, faults of the core are the firmware's own business, as on the board.

    Raises InputError, LinkError, MissingExtraError, EmulatorFault.
    """
    if not 0 <= wait_states <= 15:
        raise InputError(f"{wait_states} wait states", "0 to 15; the nRF52840 reads flash over 2")
    faults = None if link_faults is None else LinkFaults.parse(link_faults)
    machine = Machine(
        image,
        model,
        board=board,
        bootloader=bootloader,
        usb=usb,
        flash_state=state,
        link_faults=faults,
        count=count,
        wait_states=wait_states,
        baud_pacing=baud_pacing,
        elf=elf,
        faults="raise" if bootloader is None else "deliver",
    )
    for line in notes(machine):
        say(line)

    console, stop = Console(machine, say), threading.Event()
    if commands or end_with_stdin:
        read_commands(console if commands else None, stop.set if end_with_stdin else None)

    def announce(name: str) -> None:
        ready(name)
        say(f"{board.title} is running; its serial port is {name} (Ctrl-C ends it)")
        if commands:
            say(f"commands: {', '.join(COMMANDS)}")

    try:
        serve(machine, tcp=tcp, port_file=port_file, ready=announce, owner=console, stop=stop)
    finally:
        machine.close()
        for text in _last_words(machine, faults):
            say(f"note: {text}")


def notes(machine: Machine) -> list[str]:
    """What the user has to know about this emulator: how it counts."""
    lines = [machine.count_note] if machine.count_note else []
    if machine.bootloader_touched:
        lines.append(f"a real board would not start: its bootloader was overwritten ({machine.bootloader_touched[0]})")
    if machine.usb is None and not machine.has_application:
        lines.append(
            "there is no application in flash, and the bootloader listens on USB only: --usb, or --image F.bin"
        )
    return lines


def _last_words(machine: Machine, faults: LinkFaults | None) -> list[str]:
    lines = [*machine.warnings]
    lines += [f"the bootloader was overwritten: {text}" for text in machine.bootloader_touched]
    if faults is not None:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(faults.counters.items()))
        lines.append(f"link faults injected: {counted or 'none'}")
    return lines
