"""The firmware's own USB driver on the emulated chip: enumeration, data, stalls, resets, unplugging, suspend, ports."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from test_serve import serving

from onnxino.errors import LinkError
from onnxino_tools.emulator import EmulatorTransport, Machine
from onnxino_tools.emulator.usb.control import request
from onnxino_tools.emulator.usb.device import UsbDevice
from onnxino_tools.emulator.usb.host import UsbHost
from onnxino_tools.link import DeviceLink
from onnxino_tools.protocol import Command, Decoder, Frame

needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no ptys")
BLOCK = bytes(range(256)) * 4
APPLICATION, BOOTLOADER = 0x805A, 0x005A


@pytest.fixture(scope="module")
def image() -> bytes:
    pytest.importorskip("unicorn")
    from onnxino_tools.build import firmware_image

    return firmware_image()


class Board:
    """A machine with USB, and steps in emulated time."""

    def __init__(self, image: bytes, **options: Any) -> None:
        self.machine = Machine(image, usb=True, **options)
        assert self.machine.usb is not None
        self.usb: UsbHost = self.machine.usb

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        scheduler = self.machine.scheduler
        end = scheduler.now + int(seconds * 64_000_000)
        while not until() and scheduler.now < end:
            if self.machine.run(until=until, max_cycles=end - scheduler.now) == "idle":
                self.machine.skip(min(64_000, max(end - scheduler.now, 0)))
        return until()

    def enumerate(self) -> None:
        assert self.run(5.0, lambda: self.usb.configured)

    def echo(self, blocks: int = 1) -> None:
        with DeviceLink(EmulatorTransport(self.machine)) as link:
            for _ in range(blocks):
                assert link.echo(BLOCK) == BLOCK

    def control(self, *fields: int, data: bytes = b"") -> bytes | None:
        result = self.usb.request(request(*fields), data)
        assert self.run(6.0, lambda: result.done)
        return result.data


@pytest.fixture
def board(image: bytes) -> Iterator[Board]:
    """Enumerated; nothing may be noted at the end that a board would not stand."""
    made = Board(image)
    made.enumerate()
    yield made
    assert made.machine.warnings == []


def test_enumeration(board: Board) -> None:
    found = board.usb.description
    assert found is not None
    assert (found.device.vendor, found.device.product) == (0x2341, APPLICATION)
    assert len(found.serial_number) == 16
    board.echo()


@pytest.mark.parametrize("count", ["python", "off"])
def test_other_ways_of_counting(image: bytes, count: str) -> None:
    board = Board(image, count=count)
    board.enumerate()
    board.echo(5)
    board.machine.reset()
    board.run(0.01)
    board.enumerate()
    board.echo(5)
    assert board.machine.warnings == []


def test_data_both_ways(board: Board) -> None:
    cpu, now = time.process_time(), board.machine.time
    board.echo(100)
    assert 100 * len(BLOCK) / (board.machine.time - now) > 200_000
    assert 200 * len(BLOCK) / (time.process_time() - cpu) > 100_000  # far below what it does on a quiet computer


def test_it_costs_nothing_while_nothing_happens(board: Board) -> None:
    board.run(0.1)
    cpu, instructions = time.process_time(), board.machine.instructions
    board.run(20.0)
    assert time.process_time() - cpu < 1.0
    assert board.machine.instructions - instructions < 1_000_000


def test_requests_that_are_refused_do_not_disturb(board: Board) -> None:
    for fields in (
        (0xC0, 0x51, 0, 0, 16),
        (0x80, 6, 0x0F00, 0, 5),
        (0x00, 9, 2),
        (0x21, 0x7F, 0, 0),
        (0x82, 0, 0, 5, 2),
    ):
        assert board.control(*fields) is None
    board.echo()


@pytest.mark.parametrize("address", [0x02, 0x82, 0x81])
def test_halt_and_clear(board: Board, address: int) -> None:
    board.echo()
    assert board.control(0x02, 3, 0, address) == b""
    assert board.control(0x82, 0, 0, address, 2) == b"\1\0"
    cleared = board.usb.clear_halt(address)
    assert board.run(1.0, lambda: cleared.done)
    assert board.control(0x82, 0, 0, address, 2) == b"\0\0"
    board.echo(3)


def test_configured_anew(board: Board) -> None:
    board.echo()
    assert board.control(0x00, 9, 0) == b""
    assert board.control(0x80, 8, 0, 0, 1) == b"\0"
    board.usb.reset_bus()
    board.enumerate()
    board.echo(3)


@pytest.mark.parametrize("count", [49, 113, 177, 1009])
def test_answers_of_whole_packets(board: Board, count: int) -> None:
    """An answer of 64 n bytes ends with a packet of none: else the host's driver waits for more."""
    with DeviceLink(EmulatorTransport(board.machine)) as link:
        assert link.echo(b"\1" * count) == b"\1" * count
        assert link.retries == 0


@pytest.mark.parametrize("fields", [(0x00, 9, 1, 0), (0x01, 11, 0, 1)], ids=["SET_CONFIGURATION", "SET_INTERFACE"])
def test_data_begins_anew_with_a_configuration(board: Board, fields: tuple[int, ...]) -> None:
    """Whatever packet was the last, both sides go on with DATA0."""
    for count in (1, 49, 60):
        with DeviceLink(EmulatorTransport(board.machine)) as link:
            link.echo(b"\1" * count)
            assert board.control(*fields) == b""
            assert link.echo(BLOCK) == BLOCK
            assert link.retries == 0


def _stuck(board: Board, data: bytes) -> None:
    """The firmware waits in the middle of an answer that nobody fetches."""
    board.usb.set_line(115200, True, opened=False)
    assert board.run(1.0, lambda: board.usb.settled)
    board.usb.write(data)
    board.run(0.02)


def test_a_packet_that_waits_outlives_a_configuration(board: Board) -> None:
    _stuck(board, Frame(Command.ECHO, 1, BLOCK).encode() + Frame(Command.ECHO, 2, b"\1" * 100).encode())
    assert board.usb.pending > 0
    assert board.control(0x00, 9, 1) == b""
    board.run(0.02)
    assert board.usb.pending > 0  # the endpoint is still full
    board.usb.set_line(opened=True)
    decoder, found = Decoder(), set[int]()

    def answered() -> bool:
        found.update(frame.sequence for frame in decoder.feed(board.usb.read()))
        return 2 in found

    assert board.run(3.0, answered)


def test_closed_in_the_middle_of_an_answer(board: Board) -> None:
    """DTR ends the waiting, not a second later, and the rest of the answer is dropped."""
    _stuck(board, Frame(Command.ECHO, 1, BLOCK).encode())
    board.usb.set_line(dtr=False)
    board.run(0.02)
    now = board.machine.time
    with DeviceLink(EmulatorTransport(board.machine)) as link:
        assert link.statistics().usb_dropped > 0
    assert board.machine.time - now < 0.2


def test_without_a_reader_only_one_answer_is_waited_for(board: Board) -> None:
    _stuck(board, b"".join(Frame(Command.ECHO, n, BLOCK).encode() for n in range(8)))
    board.run(1.5)
    assert board.usb.pending == 0
    board.usb.set_line(opened=True)
    board.echo()


def test_a_setup_that_comes_right_behind_a_packet(board: Board) -> None:
    """The host took a packet of one answer and asks for another before the firmware looks: it must not go on with the
    first answer."""
    device = board.usb.device
    for _ in range(2):
        device.setup(request(0x80, 6, 0x0200, 0, 75))  # two packets
        assert board.machine.run(max_cycles=64_000) is not None
        assert len(taken(device)) == 64
        device.setup(request(0x80, 6, 0x0100, 0, 18))
        board.machine.run(max_cycles=64_000)
        assert len(taken(device)) == 18
    board.echo()


def taken(device: UsbDevice) -> bytes:
    data = device.take(0)
    assert isinstance(data, bytes)
    return data


def test_bus_reset_in_the_middle_of_data(board: Board) -> None:
    for microseconds in range(0, 600, 53):
        board.usb.set_line(115200, True)
        board.usb.write(BLOCK * 2)
        board.run(microseconds / 1e6)
        board.usb.reset_bus()
        board.enumerate()
    board.echo(2)


def test_unplugged_and_plugged(board: Board) -> None:
    transport = EmulatorTransport(board.machine)
    board.usb.unplug()
    with pytest.raises(LinkError, match="disappeared from the USB"):
        transport.read(1.0)
    board.run(0.2)
    board.usb.plug()
    board.enumerate()
    board.echo()


def test_plugged_in_later(image: bytes) -> None:
    board = Board(image)
    board.usb.unplug()
    board.run(0.5)
    board.usb.plug()
    board.enumerate()
    board.echo()
    assert board.machine.warnings == []


def test_reset_button(board: Board) -> None:
    board.echo()
    board.machine.reset()
    board.run(0.01)
    assert not board.usb.configured
    board.enumerate()
    board.echo()


def test_suspend_and_resume(board: Board) -> None:
    board.echo()
    board.usb.set_line(115200, True)
    board.usb.suspend()
    board.run(0.5)
    board.usb.resume()
    board.run(0.1)
    board.echo()


def test_suspended_while_it_sends(board: Board) -> None:
    transport = EmulatorTransport(board.machine)
    link = DeviceLink(transport)
    for microseconds in range(100, 2000, 190):
        board.usb.suspend()
        board.run(microseconds / 1e6)
        board.usb.resume()
        assert link.echo(BLOCK) == BLOCK


def test_nobody_reads(board: Board) -> None:
    with DeviceLink(EmulatorTransport(board.machine)) as link:
        link.echo(BLOCK)
    board.usb.set_line(115200, True, opened=False)
    for _ in range(20):
        board.usb.write(BLOCK)
    board.run(2.0)
    board.usb.set_line(dtr=False)
    board.run(2.0)
    board.echo()


@pytest.mark.parametrize("bootloader", ["bl1", "bl2"])
def test_touch(image: bytes, bootloader: str) -> None:
    board = Board(image, bootloader=bootloader)
    board.enumerate()
    assert board.usb.product_id == APPLICATION
    application = board.usb.serial_number or "-"
    board.echo()
    board.usb.set_line(1200, True)
    board.usb.set_line(dtr=False)
    assert board.run(5.0, lambda: board.usb.configured and board.usb.product_id == BOOTLOADER)
    assert (board.usb.serial_number or "").endswith(application)
    board.usb.set_line(921600, True)
    board.usb.write(b"K#")
    assert board.run(5.0, lambda: board.usb.configured and board.usb.product_id == APPLICATION)
    board.echo()
    assert board.machine.warnings == []


def test_other_rates_do_not_touch(board: Board) -> None:
    for rate in (9600, 1201, 921600):
        board.usb.set_line(rate, True)
        board.usb.set_line(dtr=False)
        board.run(1.0)
    assert board.usb.enumerations == 1
    board.usb.set_line(1200, True)
    board.run(1.0)
    assert board.usb.enumerations == 1  # DTR is on
    board.echo()


@pytest.fixture(params=[pytest.param({}, marks=needs_pty, id="pty"), pytest.param({"tcp": "127.0.0.1:0"}, id="tcp")])
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def opened(name: str, seconds: float = 10.0, **options: Any) -> Any:
    """Opens the port as soon as it is there."""
    import serial

    end = time.monotonic() + seconds
    while True:
        try:
            return serial.serial_for_url(name, timeout=5, **options)
        except (OSError, serial.SerialException):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def test_port_for_other_programs(image: bytes, where: dict[str, Any]) -> None:
    from onnxino_tools.transport import PySerialTransport

    board = Board(image)
    with serving(board.machine, **where) as name:
        assert name.startswith("rfc2217://127.0.0.1:" if where else "/")
        for _ in range(3):
            with DeviceLink(PySerialTransport(name, 115200)) as link:
                for _ in range(20):
                    assert link.echo(BLOCK) == BLOCK
    assert board.machine.warnings == []
    if not where:
        assert not os.path.lexists(name)


def _read_on(port: Any) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        port.read(1)


def test_port_goes_and_comes_at_a_touch(image: bytes, where: dict[str, Any]) -> None:
    board = Board(image, bootloader="bl1")
    with serving(board.machine, **where) as name:
        with opened(name, baudrate=115200, write_timeout=None) as port:
            port.baudrate = 1200
            with suppress(OSError):  # a pty has no DTR: it falls with the end
                port.dtr = False
                time.sleep(0.5)
        end = time.monotonic() + 10
        while board.usb.product_id != BOOTLOADER and time.monotonic() < end:
            time.sleep(0.02)
        port = opened(name, baudrate=921600)
        port.write(b"V#")
        assert port.read(60).startswith(b"Arduino Bootloader")
        port.write(b"K#")
        with pytest.raises(OSError, match=r"dis|failed|died|Errno"):  # hung up
            _read_on(port)
        port.close()
        time.sleep(0.3)
        with opened(name) as port:
            port.write(b"\0")
        assert board.usb.product_id == APPLICATION


@needs_pty
def test_a_touch_that_is_over_before_anybody_looks(image: bytes) -> None:
    import serial

    board = Board(image, bootloader="bl1")
    with serving(board.machine) as name:
        serial.Serial(name, 1200).close()
        end = time.monotonic() + 10
        while board.usb.product_id != BOOTLOADER and time.monotonic() < end:
            time.sleep(0.02)
        assert board.usb.product_id == BOOTLOADER


def test_an_open_port_does_not_burn_cpu(image: bytes, where: dict[str, Any]) -> None:
    resource = pytest.importorskip("resource")
    with serving(Board(image).machine, **where) as name, opened(name):
        time.sleep(0.3)
        before = resource.getrusage(resource.RUSAGE_SELF)
        time.sleep(0.5)
        after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.2
