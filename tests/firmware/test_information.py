"""What the device says of itself: image checksum, counters, measurements; on the host and in the emulated board."""

from __future__ import annotations

import struct
import zlib

import pytest

from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import (
    Bootloader,
    Command,
    Frame,
    FrameError,
    Measurement,
    Memory,
    Statistics,
    Status,
    Transport,
)
from tests.firmware.conftest import Start
from tests.firmware.models import dense_model

MODEL = dense_model()


def image_crc(link: DeviceLink, offset: int, size: int) -> int:
    answer = link.request(Command.IMAGE_CRC, struct.pack("<II", offset, size), doing="")
    return int.from_bytes(answer, "little")


def statistics(link: DeviceLink) -> Statistics:
    return Statistics.parse(link.request(Command.STATISTICS, doing=""))


def measure(link: DeviceLink, what: int, words: int) -> Measurement:
    return Measurement.parse(link.request(Command.MEASURE, struct.pack("<II", what, words), doing=""))


def test_hello_of_the_host_process(start: Start) -> None:
    hello = start().hello()
    assert (hello.reset_reasons, hello.transport, hello.bootloader) == (4, Transport.UART, Bootloader.BL2)
    assert hello.image_size == 1000
    assert hello.image_crc == zlib.crc32(b"the firmware's image".ljust(1000, b"\0"))


def test_checksums_of_the_image(start: Start) -> None:
    link = start()
    region = b"the firmware's image".ljust(0x30000, b"\0")
    for offset, size in [(0, 0), (0, 20), (4, 3), (0, 0x30000), (0x30000, 0), (0x2FFFF, 1)]:
        assert image_crc(link, offset, size) == zlib.crc32(region[offset : offset + size])
    for offset, size in [(0, 0x30001), (0x30001, 0), (0x20000, 0x10001), (0xFFFFFFFF, 2)]:
        with pytest.raises(DeviceError) as error:
            image_crc(link, offset, size)
        assert error.value.status == Status.OUT_OF_RANGE


def test_statistics_count(start: Start) -> None:
    link = start()
    before = statistics(link)
    assert (before.uart_errors, before.usb_resets, before.usb_suspends, before.usb_dropped) == (1, 2, 3, 4)
    assert (before.frames, before.bad_frames, before.repeated, before.faults) == (1, 0, 0, 0)
    hello = Frame(Command.HELLO, 5).encode()
    link.transport.write(b"noise\0" + hello + hello + b"\xff" * 2000 + b"\0")
    after = statistics(link)
    assert (after.frames, after.bad_frames, after.repeated) == (4, 2, 1)
    assert 0 < after.uptime_microseconds - before.uptime_microseconds < 60_000_000


def test_measurements_are_bounded(start: Start) -> None:
    link = start()
    assert measure(link, Memory.RAM, 16384) == Measurement(2, 16384, 7)
    for what, words in [(2, 1), (0, 16385), (1, 0xFFFFFFFF)]:
        with pytest.raises(DeviceError) as error:
            measure(link, what, words)
        assert error.value.status == Status.OUT_OF_RANGE


@pytest.mark.parametrize("command", [Command.IMAGE_CRC, Command.MEASURE, Command.MODEL_CRC])
@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(9)])
def test_wrong_payloads(start: Start, command: Command, payload: bytes) -> None:
    with pytest.raises(DeviceError) as error:
        start().request(command, payload, doing="")
    assert error.value.status == Status.BAD_PAYLOAD


def test_a_measurement_that_is_too_short() -> None:
    with pytest.raises(FrameError, match="answer to measure has 4 bytes, 12 were expected"):
        Measurement.parse(bytes(4))


@pytest.mark.parametrize("bootloader", [None, "bl1", "bl2"])
def test_the_board(bootloader: str | None) -> None:
    pytest.importorskip("unicorn")
    from onnxino_tools.build import firmware_image
    from onnxino_tools.emulator import EmulatorTransport, Machine

    image = firmware_image()
    machine = Machine(image, MODEL, bootloader=bootloader)
    link = DeviceLink(EmulatorTransport(machine), timeout=2)
    hello = link.hello()
    assert (hello.image_crc, hello.image_size) == (zlib.crc32(image), len(image))
    assert hello.bootloader == {None: Bootloader.UNKNOWN, "bl1": Bootloader.BL1, "bl2": Bootloader.BL2}[bootloader]
    assert (hello.reset_reasons & 15, hello.transport, hello.fault_waiting) in [(0, 0, False), (1, 0, False)]
    assert image_crc(link, 4096, 4096) == zlib.crc32(image[4096:8192])
    assert link.reset().reset_reasons == 4  # and nothing of the time before
    few, many = (measure(link, Memory.FLASH, words).cycles for words in (1024, 9216))
    assert 8192 <= many - few < 8192 * 8
    assert measure(link, Memory.RAM, 0).cycles < 200
    counted = statistics(link)
    assert (counted.bad_frames, counted.uart_errors, counted.faults) == (0, 0, 0)
    assert machine.warnings == []
