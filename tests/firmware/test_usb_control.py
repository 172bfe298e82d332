"""The logic of the control endpoint on the host, with sanitizers: descriptors, every request, the 1200-baud touch."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from onnxino_tools.emulator.usb import descriptors
from tests.firmware.host_device import ROOT, SANITIZERS, WARNINGS

IGNORE, STALL, STATUS, SEND, RECEIVE = range(5)
CONFIGURED, HALTED, CLOSED = 1, 2, 4
NOTIFY, OUT, IN = 0x81, 0x02, 0x82
SET_CONFIGURATION = (0x00, 9, 1, 0, 0)


@dataclass
class State:
    """What the host has set; asking clears `cleared` and `changes`."""

    configuration: int
    halted: int
    cleared: int
    changes: int
    dtr: int


class Control:
    """The process; each call is one step of endpoint 0."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def _ask(self, line: str) -> list[str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        assert answer, self.process.communicate()[1]
        return answer

    def raw(self, packet: bytes) -> tuple[int, list[bytes]]:
        action, *packets = self._ask("S " + packet.hex())
        found = [bytes.fromhex(packet.split(":")[1]) for packet in packets]
        assert [len(packet) for packet in found] == [int(packet.split(":")[0]) for packet in packets]
        return int(action), found

    def setup(self, kind: int, request: int, value: int, index: int, length: int) -> tuple[int, list[bytes]]:
        return self.raw(struct.pack("<BBHHH", kind, request, value, index, length))

    def get(self, kind: int, request: int, value: int, index: int, length: int) -> bytes:
        action, packets = self.setup(kind, request, value, index, length)
        assert action == SEND
        data = b"".join(packets)
        assert all(len(packet) == 64 for packet in packets[:-1])
        # A transfer ends with its last byte asked for, or with a packet that is not full.
        assert len(data) == length or (len(packets[-1]) < 64 and len(data) < length)
        return data

    def descriptor(self, value: int, length: int = 255, index: int = 0) -> bytes:
        return self.get(0x80, 6, value, index, length)

    def data(self, packet: bytes, time: int = 0) -> int:
        return int(self._ask(f"D {time} {packet.hex()}")[0])

    def line_coding(self, rate: int, time: int = 0, rest: bytes = b"\0\0\x08") -> None:
        assert self.setup(0x21, 0x20, 0, 0, 7)[0] == RECEIVE
        assert self.data(struct.pack("<I", rate) + rest, time) == STATUS

    def control_lines(self, value: int) -> None:
        assert self.setup(0x21, 0x22, value, 0, 0) == (STATUS, [])

    def wants_bootloader(self, time: int) -> bool:
        return self._ask(f"B {time}") == ["1"]

    def bus_reset(self) -> None:
        self._ask("R")

    def state(self) -> State:
        return State(*map(int, self._ask("?")))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = next((name for name in ("gcc", "clang", "cc") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no C compiler for the host")
    path = tmp_path_factory.mktemp("usb") / "usb_driver"
    sources = [str(Path(__file__).with_name("usb_driver.c")), str(ROOT / "firmware" / "usb_control.c")]
    command = [compiler, "-std=c11", "-g", "-O1", *WARNINGS, f"-I{ROOT / 'firmware'}", *sources, "-o", str(path)]
    done = subprocess.run([*command, *SANITIZERS], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "asan" in done.stderr:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def control(program: Path) -> Iterator[Control]:
    made = Control(program)
    yield made
    _, errors = made.process.communicate(timeout=20)
    assert made.process.returncode == 0, errors


@pytest.fixture
def configured(control: Control) -> Control:
    assert control.setup(*SET_CONFIGURATION) == (STATUS, [])
    assert control.state() == State(1, 0, 0, CONFIGURED, 0)
    return control


# --- descriptors ---
def test_the_descriptors_obey_the_rules(control: Control) -> None:
    device = descriptors.read_device(control.descriptor(0x0100))
    assert (device.usb, device.vendor, device.product, device.packet_size) == (0x0200, 0x2341, 0x805A, 64)
    found = descriptors.read_configuration(control.descriptor(0x0200), device.kind)
    assert (found.value, found.attributes, found.milliamperes, found.associated) == (1, 0x80, 100, True)
    assert (found.bulk_in.address, found.bulk_out.address, found.notification.address) == (IN, OUT, NOTIFY)
    assert descriptors.read_languages(control.descriptor(0x0300)) == [0x0409]
    names = (device.manufacturer, device.product_name, device.serial_number)
    strings = [descriptors.read_string(control.descriptor(0x0300 | i, index=0x0409)) for i in names]
    assert strings == ["Onnxino", "Onnxino on Nano 33 BLE", "0123456789ABCDEF"]


@pytest.mark.parametrize("value", [0x0100, 0x0200, 0x0300, 0x0301, 0x0303])
def test_as_many_bytes_as_were_asked_for(control: Control, value: int) -> None:
    whole = control.descriptor(value)
    for length in (1, 2, 8, 9, 63, 64, 65, len(whole) - 1, len(whole), len(whole) + 1, 0xFFFF):
        assert control.descriptor(value, length) == whole[:length]
    assert control.setup(0x80, 6, value, 0, 0) == (STATUS, [])


@pytest.mark.parametrize("value", [0x0000, 0x0201, 0x0304, 0x03EE, 0x0400, 0x0500, 0x0600, 0x0700, 0x0F00])
def test_descriptors_that_do_not_exist(control: Control, value: int) -> None:
    assert control.setup(0x80, 6, value, 0, 64) == (STALL, [])


# --- standard requests ---
def test_the_hardware_answers_set_address(control: Control) -> None:
    assert control.setup(0x00, 5, 17, 0, 0) == (IGNORE, [])


def test_configurations(control: Control) -> None:
    assert control.get(0x80, 8, 0, 0, 1) == b"\0"
    assert control.setup(0x00, 9, 2, 0, 0) == (STALL, [])
    assert control.state() == State(0, 0, 0, 0, 0)
    for value in (1, 1, 0, 1):
        assert control.setup(0x00, 9, value, 0, 0) == (STATUS, [])
        assert control.state() == State(value, 0, 0, CONFIGURED, 0)
        assert control.get(0x80, 8, 0, 0, 1) == bytes([value])
    control.bus_reset()
    assert control.state() == State(0, 0, 0, CONFIGURED, 0)


def test_what_needs_a_configuration(control: Control) -> None:
    requests = [(0x81, 0, 0, 0, 2), (0x81, 10, 0, 1, 1), (0x01, 11, 0, 1, 0), (0x82, 0, 0, IN, 2), (0x02, 3, 0, IN, 0)]
    for request in requests:
        assert control.setup(*request) == (STALL, [])
    assert control.get(0x80, 0, 0, 0, 2) == bytes(2)
    assert control.get(0x82, 0, 0, 0, 2) == bytes(2)  # endpoint 0 is always there
    control.setup(*SET_CONFIGURATION)
    for request in requests:
        assert control.setup(*request)[0] != STALL


def test_halts(configured: Control) -> None:
    for bit, address in ((1, NOTIFY), (2, OUT), (4, IN)):
        assert configured.get(0x82, 0, 0, address, 2) == bytes(2)
        assert configured.setup(0x02, 3, 0, address, 0) == (STATUS, [])
        assert configured.state() == State(1, bit, 0, HALTED, 0)
        assert configured.get(0x82, 0, 0, address, 2) == b"\1\0"
        assert configured.setup(0x02, 1, 0, address, 0) == (STATUS, [])
        assert configured.state() == State(1, 0, bit, HALTED, 0)
        assert configured.get(0x82, 0, 0, address, 2) == bytes(2)
    configured.setup(0x02, 3, 0, IN, 0)
    configured.setup(*SET_CONFIGURATION)
    assert configured.state().halted == 0


def test_set_interface_starts_its_endpoints_anew(configured: Control) -> None:
    configured.setup(0x02, 3, 0, IN, 0)
    configured.state()
    assert configured.setup(0x01, 11, 0, 1, 0) == (STATUS, [])
    assert configured.state() == State(1, 0, 6, HALTED, 0)
    assert configured.get(0x81, 10, 0, 1, 1) == b"\0"


@pytest.mark.parametrize(
    "request_",
    [
        (0x00, 3, 1, 0, 0),  # remote wake-up
        (0x00, 3, 2, 0x100, 0),  # a test mode
        (0x00, 7, 0x0100, 0, 18),  # SET_DESCRIPTOR
        (0x82, 12, 0, IN, 2),  # SYNCH_FRAME
        (0x02, 3, 1, IN, 0),  # no such feature
        (0x02, 3, 0, 0x83, 0),  # no such endpoint
        (0x02, 3, 0, 0, 0),  # endpoint 0 cannot be halted
        (0x01, 11, 1, 0, 0),  # no such setting
        (0x81, 10, 0, 2, 1),  # no such interface
        (0x81, 0, 0, 2, 2),
        (0x21, 0x23, 100, 0, 0),  # SEND_BREAK is not claimed
        (0x21, 0x20, 0, 1, 7),  # line coding of the data interface
        (0x21, 0x20, 0, 0, 8),
        (0x21, 0x22, 0, 0, 1),
        (0xA1, 0x20, 0, 0, 7),  # the wrong direction
        (0x80, 9, 1, 0, 0),
        (0x40, 1, 0, 0, 0),  # of a vendor
        (0xC0, 1, 0, 0, 4),
        (0x20, 0x22, 1, 0, 0),  # class request to the device
        (0x60, 0, 0, 0, 0),
    ],
)
def test_what_is_refused(configured: Control, request_: tuple[int, int, int, int, int]) -> None:
    assert configured.setup(*request_) == (STALL, [])
    assert configured.state() == State(1, 0, 0, 0, 0)


# --- the serial port ---
def test_line_coding_is_kept_over_a_bus_reset(configured: Control) -> None:
    assert configured.get(0xA1, 0x21, 0, 0, 7) == struct.pack("<IBBB", 115200, 0, 0, 8)
    configured.line_coding(9600, rest=b"\2\1\7")
    configured.bus_reset()
    configured.setup(*SET_CONFIGURATION)
    assert configured.get(0xA1, 0x21, 0, 0, 7) == struct.pack("<IBBB", 9600, 2, 1, 7)


def test_data_stages_that_are_not_what_was_announced(configured: Control) -> None:
    assert configured.data(b"\xb0\4\0\0\0\0\x08") == IGNORE  # nobody asked for it
    configured.setup(0x21, 0x20, 0, 0, 7)
    assert configured.data(b"\xb0\4\0") == STALL
    configured.setup(0x21, 0x20, 0, 0, 7)
    configured.setup(0x80, 6, 0x0100, 0, 18)  # another request before the data
    assert configured.data(b"\xb0\4\0\0\0\0\x08") == IGNORE
    assert configured.get(0xA1, 0x21, 0, 0, 7)[:4] == struct.pack("<I", 115200)
    assert not configured.wants_bootloader(10**9)


def test_dtr(configured: Control) -> None:
    for lines, dtr, changes in ((1, 1, 0), (3, 1, 0), (2, 0, CLOSED), (0, 0, 0), (1, 1, 0)):
        configured.control_lines(lines)
        assert configured.state() == State(1, 0, 0, changes, dtr)
    configured.bus_reset()
    assert configured.state() == State(0, 0, 0, CONFIGURED | CLOSED, 0)


# --- the way into the bootloader ---
def test_the_touch(configured: Control) -> None:
    configured.line_coding(1200, time=1000)
    for time, due in ((1000, False), (200_999, False), (201_000, True)):
        assert configured.wants_bootloader(time) == due


def test_the_touch_waits_for_dtr(configured: Control) -> None:
    configured.control_lines(1)
    configured.line_coding(1200, time=0)
    assert not configured.wants_bootloader(200_000)
    assert not configured.wants_bootloader(90_000)  # the clock wrapped: 200 ms have passed all the same
    configured.control_lines(0)
    assert configured.wants_bootloader(90_001)


def test_the_touch_needs_a_change(configured: Control) -> None:
    configured.line_coding(1201)
    assert not configured.wants_bootloader(10**9)
    configured.line_coding(1200, time=10**9)
    configured.line_coding(1200, time=10**9 + 150_000)  # the same once more does not begin anew
    assert configured.wants_bootloader(10**9 + 200_000)


def test_the_touch_across_the_clocks_wrap(configured: Control) -> None:
    configured.line_coding(1200, time=2**32 - 100_000)
    assert not configured.wants_bootloader(99_999)
    assert configured.wants_bootloader(100_000)


# --- anything ---
def test_random_requests_do_no_harm(control: Control) -> None:
    chance = random.Random(1)
    kinds = (0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x21, 0xA1, 0x40, 0xFF)
    for _ in range(4000):
        if chance.random() < 0.1:
            packet = chance.randbytes(8)
        else:
            values = (chance.choice([0, 1, 2, 0x0100, 0x0200, 0x0301, 0x0303, 0xFFFF]), chance.choice([0, 1, 2, IN]))
            request = chance.choice([*range(13), 0x20, 0x21, 0x22, 0x23])
            packet = struct.pack(
                "<BBHHH", chance.choice(kinds), request, *values, chance.choice([0, 1, 2, 7, 64, 65535])
            )
        action, packets = control.raw(packet)
        length = int.from_bytes(packet[6:], "little")
        assert sum(map(len, packets)) <= length
        if action == RECEIVE:
            assert control.data(chance.randbytes(chance.choice([0, 6, 7, 8, 64]))) in (STATUS, STALL)
    assert control.descriptor(0x0100)
