"""The bootloader at work: which way a reset goes, flashing, and the state in which the application starts."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from bootloader_bench import PAGE, SECOND, ask, enter, wait, write_image, write_page

from onnxino.errors import InputError
from onnxino_tools.emulator import Machine
from onnxino_tools.emulator.bootloader_flash import BL1, BL2
from onnxino_tools.emulator.bootloader_protocol import crc16

pytest.importorskip("unicorn")
both = pytest.mark.parametrize("bootloader", ["bl1", "bl2"])
MAGIC = {"bl1": 0x20007FFC, "bl2": 0x2000BFFC}


def found(machine: Machine) -> list[int]:
    return list(struct.unpack("<16I", machine.memory.ram_read(0x20000400, 64)))


def flash(machine: Machine, address: int, data: bytes) -> None:
    """Past everything."""
    machine.memory.flash_write(address, data)


@both
def test_an_empty_board_waits_for_commands(bootloader: str) -> None:
    machine = Machine(bootloader=bootloader)
    assert machine.run(max_cycles=SECOND // 2 - 1000) == "limit"
    assert machine.bootloader_active
    assert not machine.bootloader_waits
    assert machine.memory.ram_read(MAGIC[bootloader], 4) == (0x07738135).to_bytes(4, "little")
    wait(machine, 0.01)
    assert machine.bootloader_waits
    assert machine.memory.ram_read(MAGIC[bootloader], 4) == bytes(4)
    assert ask(machine, b"I#") == b"nRF52840-QIAA\n\r\0X"
    assert machine.instructions == 0
    assert not machine.has_application


@both
def test_an_application_starts_after_half_a_second(program: Callable[..., Any], bootloader: str) -> None:
    machine = Machine(program("hand_over").image, bootloader=bootloader)
    assert machine.run(until=lambda: not machine.bootloader_active) == "until"
    assert machine.time == 0.5
    assert machine.has_application
    machine.run()
    values = found(machine)
    assert values[0] == (0x10000 if bootloader == "bl1" else 0)
    assert (values[1] == 0x10000) == (bootloader == "bl2")
    assert values[2] == 5
    assert values[3] >> 28 & 1  # RAM is execute-never
    assert values[4:7] == [1, 0, 1 << 9]
    assert values[7] != 0  # RTC1's interrupt is still enabled in the peripheral
    assert values[8] == 8
    assert values[9] & 0x10000
    assert not values[10] & 1  # no HFXO
    assert values[11:13] == [1, 0]


@both
def test_exceptions_before_the_firmware_sets_vtor(program: Callable[..., Any], bootloader: str) -> None:
    """On BL2 they go through the MBR, which looks into RAM for the vectors."""
    machine = Machine(program("hand_over").image, bootloader=bootloader)
    machine.run(until=lambda: not machine.bootloader_active)
    machine.memory.ram_write(0x20000400 + 60, bytes(4))
    machine.run()
    assert found(machine)[15] == 1


@pytest.mark.parametrize(
    ("first", "second", "by_bl1", "by_bl2"),
    [
        (0x20040000, 0x00010101, True, True),
        (0x20040000, 0xFFFFFFFF, False, True),
        (0xFFFFFFFF, 0x00010101, False, False),
        (0x00000000, 0x00010101, True, False),
        (0x10001000, 0x00010101, True, False),
        (0x20FFFFFF, 0x00000000, True, True),
        (0xFFFFFFFF, 0xFFFFFFFF, False, False),
    ],
)
def test_which_images_are_started(first: int, second: int, by_bl1: bool, by_bl2: bool) -> None:
    assert BL1.valid(first, second) == by_bl1
    assert BL2.valid(first, second) == by_bl2
    for name, started in (("bl1", by_bl1), ("bl2", by_bl2)):
        machine = Machine(bootloader=name)
        flash(machine, 0x10000, struct.pack("<2I", first, second))
        wait(machine, 0.499)
        assert machine.bootloader_active
        machine.run(until=lambda m=machine: not m.bootloader_active or m.bootloader_waits)
        assert machine.bootloader_waits != started


@both
def test_double_tap(program: Callable[..., Any], bootloader: str) -> None:
    machine = Machine(program("hand_over").image, bootloader=bootloader)
    machine.run()
    machine.reset()
    wait(machine, 0.4)
    machine.reset()
    assert machine.bootloader_waits  # at once
    machine.reset()
    wait(machine, 0.6)
    assert not machine.bootloader_active
    machine.reset()
    wait(machine, 0.501)
    machine.reset()
    wait(machine, 0.6)
    assert not machine.bootloader_active  # that was too slow


@both
@pytest.mark.parametrize(("value", "stays"), [("0xB0", True), ("0xB1", False), ("0", False)])
def test_touch(program: Callable[..., Any], bootloader: str, value: str, stays: bool) -> None:
    """GPREGRET is kept over the soft reset that the firmware asks for."""
    machine = Machine(program("hand_over", f"TOUCH={value}").image, bootloader=bootloader)
    wait(machine, 0.6)
    machine.reset()
    wait(machine, 1.2)
    assert machine.bootloader_waits == stays
    assert machine.resets == 1
    assert machine.bus.power.gpregret == (0 if stays else int(value, 16))


@both
def test_the_reset_button_forgets_the_touch(program: Callable[..., Any], bootloader: str) -> None:
    machine = Machine(program("hand_over").image, bootloader=bootloader)
    wait(machine, 0.6)
    machine.bus.power.gpregret = 0xB0
    machine.reset()
    wait(machine, 0.6)
    assert not machine.bootloader_active


@both
def test_flashing(program: Callable[..., Any], bootloader: str) -> None:
    image = program("hand_over").image
    machine = Machine(bootloader=bootloader)
    wait(machine, 0.6)
    before = machine.time
    write_page(machine, 0, image.ljust(PAGE, b"\0"))
    assert machine.time - before == pytest.approx(0.085 + 1024 * 41e-6, rel=1e-3)
    assert machine.memory.flash_read(0x10000, len(image)) == image
    assert ask(machine, b"Z00000000,00001000#") == b"Z%08X#\n\r" % crc16(image.ljust(PAGE, b"\0"))
    assert ask(machine, b"K#") == b""
    machine.run(until=lambda: not machine.bootloader_active)
    machine.run()
    assert found(machine)[13] & 4  # RESETREAS: soft
    assert machine.bootloader_touched == []


@both
def test_programming_without_erase_clears_bits_only(bootloader: str) -> None:
    machine = Machine(bootloader=bootloader)
    wait(machine, 0.6)
    write_page(machine, 0, b"\xf0" * PAGE)
    ask(machine, b"S00000000,00000008#" + b"\x3c" * 8 + b"Y00000000,0#Y00000004,00000008#")
    assert machine.memory.flash_read(0x10000, 16) == b"\xf0" * 4 + b"\x30" * 8 + b"\xf0" * 4


def test_bl2_switches_usb_off_behind_its_limit() -> None:
    machine = Machine(bootloader="bl2")
    wait(machine, 0.6)
    before = machine.memory.flash_read(0, 0x100000)
    assert ask(machine, b"Y000CFFFF,00001000#") == b""
    assert ask(machine, b"V#") == b""
    assert machine.memory.flash_read(0, 0x100000) == before
    machine.reset()
    wait(machine, 0.6)
    assert ask(machine, b"N#") == b"\n\r"


@both
def test_the_bootloader_can_be_told_and_touching_it_is_noted(bootloader: str) -> None:
    machine = Machine(bootloader=bootloader)
    wait(machine, 0.6)
    upper, lower = ask(machine, b"Z000D0000,00001000#"), ask(machine, b"ZFFFF0000,00001000#")
    expected = {"bl1": (0xE03E, 0xF407), "bl2": (0x81A7, 0x3E22)}[bootloader]
    assert (upper, lower) == tuple(b"Z%08X#\n\r" % value for value in expected)
    assert machine.bootloader_touched == []
    ask(machine, b"YFFFF0000,00001000#")
    assert machine.bootloader_touched == ["4096 bytes at 0x00000000 erased", "4096 bytes at 0x00000000 written"]


def test_bl1_may_write_above_bl2_s_limit() -> None:
    machine = Machine(bootloader="bl1")
    wait(machine, 0.6)
    write_page(machine, 0xEF000, b"\x55" * PAGE)
    assert machine.memory.flash_read(0xFF000, PAGE) == b"\x55" * PAGE
    assert machine.bootloader_touched == []


@both
def test_a_sketch_over_the_firmware_and_back(program: Callable[..., Any], bootloader: str) -> None:
    """What the Arduino tools do: bossac's sequence after a double-tap."""
    ours, sketch = program("echo_polled").image, program("hand_over").image
    machine = Machine(ours, bootloader=bootloader)
    machine.run(until=lambda: not machine.bootloader_active)
    machine.run()
    machine.uart_write(b"ours")
    machine.run()
    assert machine.uart_read() == b"ours"
    for image in (sketch, ours):
        enter(machine)
        assert ask(machine, b"N#") == b"\n\r"
        assert ask(machine, b"V#").endswith(b"[Arduino:IKXYZ]\n\r\0n")
        assert ask(machine, b"S00000000,00000034#" + bytes(52) + b"W00000030,00000400#W00000020,00000000#") == b""
        assert ask(machine, b"X00000000#") == b"X\n\r"
        write_image(machine, image)
        wait(machine, 0.6)
        assert not machine.bootloader_active
        if image is sketch:
            assert found(machine)[0] == (0x10000 if bootloader == "bl1" else 0)
    machine.uart_write(b"back again")
    machine.run()
    assert machine.uart_read() == b"back again"
    assert machine.bootloader_touched == []


def test_bl2_copies_a_waiting_softdevice() -> None:
    machine = Machine(bootloader="bl2")
    body = bytes(range(256)) * 20
    flash(machine, 0x60000, body)
    flash(machine, 0xFF000, struct.pack("<3I", 0x5F27A93D, 0x60000, len(body)))
    wait(machine, 2.0)
    assert machine.memory.flash_read(0x1000, len(body)) == body
    assert machine.memory.flash_read(0xFF000, PAGE) == b"\xff" * PAGE
    assert machine.bootloader_waits
    assert machine.resets == 1


def test_bl2_starts_a_softdevice_for_an_application_behind_it(program: Callable[..., Any]) -> None:
    machine = Machine(bootloader="bl2")
    image = program("hand_over").image
    flash(machine, 0x26000, struct.pack("<2I", 0x20010000, 0x26101))
    flash(machine, 0x10000, image)
    flash(machine, 0x1000, image[:256])
    flash(machine, 0x10000, b"\0\0\0\0")  # no stack pointer: the application at 0x10000 is not one
    machine.run(until=lambda: not machine.bootloader_active)
    assert machine.memory.ram_read(0x20000000, 4) == (0x1000).to_bytes(4, "little")


@both
def test_a_core_that_locks_up_is_reset(program: Callable[..., Any], bootloader: str) -> None:
    """No code where the vectors point to: the bootloader gets another chance each time."""
    machine = Machine(bootloader=bootloader, faults="deliver")
    flash(machine, 0x10000, struct.pack("<2I", 0x20040000, 0x00020001) + bytes(248))
    flash(machine, 0x20000, b"\x00\xde" * 32)
    wait(machine, 1.2)
    assert machine.resets == 2
    assert machine.bus.power.reset_reasons & 8
    assert machine.warnings[0].startswith("the core locked up and was reset: ")
    machine.reset()  # in the window after the second of the resets
    assert machine.bootloader_waits


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_started_the_board_lives(seed: int) -> None:
    """BL1 starts what is no application, too: after a power failure, or what somebody else flashed."""
    noise = random.Random(seed)
    machine = Machine(bootloader="bl1", faults="deliver")
    stack = 0x20040000 if seed % 2 else noise.getrandbits(32)
    flash(machine, 0x10000, struct.pack("<2I", stack, 0x10101) + noise.randbytes(0x8000))
    wait(machine, 1.2)
    machine.unplug()
    machine.plug()
    wait(machine, 0.1)
    machine.reset()
    assert machine.bootloader_waits
    assert ask(machine, b"N#") == b"\n\r"


def test_without_a_bootloader_nothing_of_it_happens(program: Callable[..., Any]) -> None:
    machine = Machine(program("hand_over").image)
    assert (machine.time, machine.bootloader_active, machine.bootloader_waits) == (0.0, False, False)
    machine.run()
    assert found(machine)[:3] == [0x10000, 0, 5]  # RAM is zero
    machine.reset()
    machine.reset()
    assert machine.has_application
    assert not machine.bootloader_active
    assert machine.memory.flash_read(0, 0x10000) == b"\xff" * 0x10000


def test_errors() -> None:
    with pytest.raises(InputError, match="there is no bootloader 'bl3'"):
        Machine(bootloader="bl3")
    with pytest.raises(InputError, match="no firmware image to run"):
        Machine()


def test_an_image_may_be_larger_with_a_bootloader(program: Callable[..., Any]) -> None:
    image = program("hand_over").image.ljust(0xD0000, b"\0")
    with pytest.raises(InputError, match="takes 8 to 196608"):
        Machine(image)
    machine = Machine(image, bootloader="bl2")
    machine.run()
    assert not machine.bootloader_active
    with pytest.raises(InputError, match="takes 8 to 851968"):
        Machine(image + b"\0", bootloader="bl2")
