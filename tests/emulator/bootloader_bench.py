"""Drives the bootloader of a machine without USB."""

from __future__ import annotations

from onnxino_tools.emulator import Machine

SECOND = 64_000_000
PAGE = 4096


def wait(machine: Machine, seconds: float) -> None:
    """Lets emulated time pass, as a program does that looks at the line now and then."""
    scheduler = machine.scheduler
    end = scheduler.now + int(seconds * SECOND)
    while scheduler.now < end:
        if machine.run(max_cycles=end - scheduler.now) == "idle":
            machine.line.fetch()
            machine.skip(max(min(end, scheduler.next_time(), scheduler.now + SECOND // 1000) - scheduler.now, 1))


def ask(machine: Machine, command: bytes) -> bytes:
    """The bootloader's whole answer."""
    bootloader = machine.startup.bootloader
    assert bootloader is not None
    bootloader.receive(command)
    machine.run(until=lambda: not bootloader.busy)
    answer = bytes(machine.startup.output)
    machine.startup.output.clear()
    return answer


def write_page(machine: Machine, offset: int, data: bytes) -> None:
    assert ask(machine, b"S00000000,00001000#" + data) == b""
    assert ask(machine, b"Y00000000,0#") == b"Y\n\r"
    assert ask(machine, b"Y%08X,00001000#" % offset) == b"Y\n\r"


def write_image(machine: Machine, image: bytes) -> None:
    """All pages, then K."""
    padded = image + bytes(-len(image) % PAGE)
    for offset in range(0, len(padded), PAGE):
        write_page(machine, offset, padded[offset : offset + PAGE])
    ask(machine, b"K#")


def enter(machine: Machine) -> None:
    """Two presses of the reset button, while an application runs."""
    assert not machine.bootloader_active
    machine.reset()
    wait(machine, 0.1)
    machine.reset()
    assert machine.bootloader_waits
