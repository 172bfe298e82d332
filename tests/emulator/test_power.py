"""Power: the cable pulled and plugged in, and power that fails in the middle of a flash operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bootloader_bench import PAGE, SECOND, wait, write_page

from onnxino_tools.emulator import Machine

pytest.importorskip("unicorn")
OLD, NEW = bytes(range(256)) * 16, bytes(reversed(range(256))) * 16
ERASE, WRITE = 0.085, 41e-6


def begun(seed: int = 0) -> Machine:
    """A bootloader that has just begun to write NEW over OLD."""
    machine = Machine(bootloader="bl2", seed=seed)  # BL1 would start what is no image
    wait(machine, 0.6)
    write_page(machine, 0, OLD)
    bootloader = machine.startup.bootloader
    assert bootloader is not None
    bootloader.receive(b"S00000000,00001000#" + NEW + b"Y00000000,0#Y00000000,00001000#")
    assert bootloader.busy
    return machine


def ones(data: bytes) -> int:
    return int.from_bytes(data, "little").bit_count()


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_erased(part: float) -> None:
    machine = begun()
    wait(machine, ERASE * part)
    machine.unplug()
    page = machine.memory.flash_read(0x10000, PAGE)
    assert all(new & old == old for new, old in zip(page, OLD, strict=True))  # bits only rise
    risen = (ones(page) - ones(OLD)) / (8 * PAGE - ones(OLD))
    assert risen == pytest.approx(part, abs=0.08)


def test_half_written() -> None:
    machine = begun()
    wait(machine, ERASE + 500.5 * WRITE)
    machine.unplug()
    page = machine.memory.flash_read(0x10000, PAGE)
    assert page[:2000] == NEW[:2000]
    assert page[2004:] == b"\xff" * (PAGE - 2004)
    half = page[2000:2004]
    assert all(have & want == want for have, want in zip(half, NEW[2000:2004], strict=True))
    assert half not in (NEW[2000:2004], b"\xff" * 4)


def test_the_same_seed_does_the_same() -> None:
    pages = []
    for seed in (1, 1, 2):
        machine = begun(seed)
        wait(machine, ERASE / 2)
        machine.unplug()
        pages.append(machine.memory.flash_read(0x10000, PAGE))
    assert pages[0] == pages[1] != pages[2]


@pytest.mark.parametrize("after", [0, 1, 600])
def test_power_fails_in_an_operation(after: int) -> None:
    machine = begun()
    wait(machine, 0.2)
    machine.brown_out(after)
    bootloader = machine.startup.bootloader
    assert bootloader is not None
    bootloader.receive(b"S00000000,00001000#" + OLD + b"Y00000000,0#Y00000000,00001000#")
    machine.run(until=lambda: not machine.powered)
    wait(machine, 0.001)
    page = machine.memory.flash_read(0x10000, PAGE)
    if after == 0:
        assert page not in (NEW, OLD, b"\xff" * PAGE)
    else:
        done = 4 * (after - 1)
        assert page[:done] == OLD[:done]
        assert page[done + 4 :] == b"\xff" * (PAGE - done - 4)
    assert machine.startup.failures == 1
    machine.plug()
    wait(machine, 0.6)
    write_page(machine, 0, OLD)
    assert machine.memory.flash_read(0x10000, PAGE) == OLD


@pytest.mark.parametrize("after", range(4))
def test_power_fails_while_the_firmware_writes(program: Callable[..., Any], after: int) -> None:
    """The test program writes ten words first: nothing happens after the word in which the power failed."""
    machine = Machine(program("flash").image)
    machine.brown_out(after)
    machine.run(until=lambda: not machine.powered, max_cycles=SECOND)
    machine.run(max_cycles=SECOND // 100)
    assert not machine.powered
    assert machine.bus.nvmc.cells.count == after + 1
    written = machine.memory.flash_read(0x80000, PAGE)
    machine.run(max_cycles=SECOND // 100)
    assert machine.memory.flash_read(0x80000, PAGE) == written


@pytest.mark.parametrize("bootloader", [None, "bl1", "bl2"])
def test_unplug_and_plug(program: Callable[..., Any], bootloader: str | None) -> None:
    machine = Machine(program("echo_polled").image, bootloader=bootloader)
    wait(machine, 0.6)
    machine.memory.ram_write(0x20030000, b"before")
    machine.bus.power.gpregret = 0xB0
    machine.unplug()
    machine.unplug()
    assert not machine.powered
    before = machine.time
    machine.uart_write(b"lost")
    wait(machine, 0.3)
    assert machine.time == pytest.approx(before + 0.3, abs=1e-3)
    machine.reset()  # the button of a board without power
    machine.plug()
    machine.plug()
    assert machine.memory.ram_read(0x20030000, 6) != b"before"
    assert machine.bus.power.gpregret == 0
    wait(machine, 0.6)
    machine.line.write(b"here")
    wait(machine, 0.1)
    assert machine.line.read() == b"here"


def test_a_reset_in_a_flash_write_leaves_it_half_done() -> None:
    machine = begun()
    wait(machine, ERASE / 2)
    machine.reset()
    assert machine.memory.flash_read(0x10000, PAGE) not in (OLD, NEW, b"\xff" * PAGE)
