"""Control transfers, and the enumeration that the host does: generators that the host runs in emulated time."""

from __future__ import annotations

import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from onnxino_tools.emulator.scheduler import CLOCK_HZ, Scheduler
from onnxino_tools.emulator.usb.cdc_device import LineCoding
from onnxino_tools.emulator.usb.descriptors import (
    CONFIGURATION,
    DEVICE,
    ENGLISH,
    QUALIFIER,
    STRING,
    ConfigurationFacts,
    DescriptorError,
    DeviceFacts,
    read_configuration,
    read_device,
    read_languages,
    read_string,
)
from onnxino_tools.emulator.usb.device import IN, Answer, UsbDevice

T = TypeVar("T")
MILLISECOND = CLOCK_HZ // 1000
DEBOUNCE, RESET, RECOVERY = 100 * MILLISECOND, 10 * MILLISECOND, 10 * MILLISECOND
ADDRESS_RECOVERY = 2 * MILLISECOND
LONGEST = 5000 * MILLISECOND  # how long a host waits for a stage of a control transfer
STANDARD_DATA, STANDARD_STATUS = 500 * MILLISECOND, 50 * MILLISECOND  # what USB 2.0, 9.2.6.4 allows
TURNAROUND = CLOCK_HZ // 1_000_000


class HostError(Exception):
    """The device broke a rule; the text says which one."""


@dataclass(frozen=True)
class Sleep:
    """Run on after so many cycles."""

    cycles: int


@dataclass(frozen=True)
class Change:
    """Run on when the device reports a change (the answer is True) or at `deadline` (False)."""

    deadline: int


Steps = Generator[Sleep | Change, bool, T]


@dataclass(frozen=True)
class Description:
    """What enumeration found out."""

    device: DeviceFacts
    configuration: ConfigurationFacts
    manufacturer: str
    product_name: str
    serial_number: str


class Wire(Protocol):
    """What control transfers need of the host."""

    clock: Scheduler

    @property
    def device(self) -> UsbDevice: ...

    def warn(self, text: str) -> None: ...


def packet_cycles(size: int) -> int:
    """Core cycles that a transaction with `size` data bytes takes on the bus: 12 Mbit/s, about 15 bytes
    around the data (19 packets of 64 bytes fit into a frame)."""
    return (size + 15) * 128 // 3


def request(kind: int, code: int, value: int = 0, index: int = 0, length: int = 0) -> bytes:
    """A SETUP packet."""
    return struct.pack("<BBHHH", kind, code, value, index, length)


def _name(packet: bytes) -> str:
    kind, code, value, index, length = struct.unpack("<BBHHH", packet)
    return f"request {kind:02x} {code:02x} (value 0x{value:04x}, index 0x{index:04x}, length {length})"


def transfer(wire: Wire, packet: bytes, data: bytes = b"", size: int = 64) -> Steps[bytes | None]:
    """One control transfer with packets of `size` bytes. The data of the device (b"" where it sends none), or None when
    it refused with STALL. Raises HostError."""
    standard = packet[0] & 0x60 == 0
    length = int.from_bytes(packet[6:8], "little")
    yield Sleep(packet_cycles(8))
    wire.device.setup(packet)
    if packet[0] & IN and length:
        got = yield from _data_in(wire, packet, length, size, standard)
        if got is None:
            return None
        answer = yield from _out(wire, packet, b"", "status", standard)
        return got if answer is Answer.ACK else None
    for at in range(0, len(data), size):
        answer = yield from _out(wire, packet, data[at : at + size], "data", standard)
        if answer is Answer.STALL:
            return None
    status = yield from _take(wire, packet, "status", standard)
    if isinstance(status, bytes):
        if status:
            raise HostError(f"{_name(packet)}: the status stage has {len(status)} bytes, it must be empty")
        return b""
    return None


def _data_in(wire: Wire, packet: bytes, length: int, size: int, standard: bool) -> Steps[bytes | None]:
    got = b""
    while len(got) < length:
        part = yield from _take(wire, packet, "data", standard)
        if not isinstance(part, bytes):
            return None
        if len(part) > size:
            raise HostError(f"{_name(packet)}: a packet of {len(part)} bytes on an endpoint for {size}")
        got += part
        if len(part) < size:
            break
    if len(got) > length:
        raise HostError(f"{_name(packet)}: {len(got)} bytes came, more than were asked for")
    return got


def _take(wire: Wire, packet: bytes, stage: str, standard: bool) -> Steps[bytes | Answer]:
    patience = _Patience(wire, packet, stage, standard)
    while True:
        answer = wire.device.take(0)
        if answer is not Answer.NAK:
            patience.over()
            yield Sleep(packet_cycles(len(answer) if isinstance(answer, bytes) else 0))
            return answer
        yield from patience.wait()


def _out(wire: Wire, packet: bytes, data: bytes, stage: str, standard: bool) -> Steps[Answer]:
    patience = _Patience(wire, packet, stage, standard)
    while True:
        answer = wire.device.out(0, data)
        if answer is not Answer.NAK:
            patience.over()
            yield Sleep(packet_cycles(len(data)))
            return answer
        yield from patience.wait()


class _Patience:
    """How long a stage may take."""

    def __init__(self, wire: Wire, packet: bytes, stage: str, standard: bool) -> None:
        self._wire, self._what = wire, f"{_name(packet)}: the {stage} stage"
        self._start = wire.clock.now
        self._allowed = (STANDARD_STATUS if stage == "status" else STANDARD_DATA) if standard else LONGEST

    def wait(self) -> Steps[None]:
        if not (yield Change(self._start + LONGEST)):
            raise HostError(f"{self._what} did not come within {LONGEST // MILLISECOND} ms")

    def over(self) -> None:
        took = self._wire.clock.now - self._start
        if took > self._allowed:
            allowed = self._allowed // MILLISECOND
            self._wire.warn(f"{self._what} took {took // MILLISECOND} ms: USB 2.0 allows {allowed} for it")


class Enumeration:
    """Finds out what is plugged in, and configures it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def run(self, debounce: bool = True) -> Steps[Description]:
        """Raises HostError for everything that a strict host does not accept."""
        try:
            return (yield from self._run(debounce))
        except DescriptorError as error:
            raise HostError(str(error)) from error

    def _run(self, debounce: bool) -> Steps[Description]:
        if debounce:
            yield Sleep(DEBOUNCE)
        yield from self._reset()
        first = yield from self._descriptor(DEVICE, 64)
        yield from self._reset()
        yield from self._must(request(0x00, 5, 7))
        yield Sleep(ADDRESS_RECOVERY)
        begin = yield from self._descriptor(DEVICE, 8)
        data = yield from self._descriptor(DEVICE, 18)
        if first != data or begin != data[:8]:
            raise HostError("the device descriptor changes between two readings")
        device = read_device(data)
        if device.packet_size != 64:
            raise HostError(f"endpoint 0 has packets of {device.packet_size} bytes: this host knows devices with 64")
        yield from self._qualifier()
        if device.usb > 0x0200:
            raise HostError(f"bcdUSB 0x{device.usb:04x} promises a BOS descriptor: this host knows devices without one")
        configuration = yield from self._configuration(device)
        texts = yield from self._strings(device, configuration)
        yield from self._configure(configuration)
        yield from self._serial_port(configuration)
        return Description(device, configuration, *texts)

    def _reset(self) -> Steps[None]:
        yield Sleep(RESET)
        self._wire.device.bus_reset()
        yield Sleep(RECOVERY)

    def _must(self, packet: bytes, data: bytes = b"") -> Steps[bytes]:
        answer = yield from transfer(self._wire, packet, data)
        if answer is None:
            raise HostError(f"{_name(packet)} was refused (STALL)")
        return answer

    def _refuses(self, packet: bytes, what: str) -> Steps[None]:
        answer = yield from transfer(self._wire, packet)
        if answer is not None:
            raise HostError(f"{_name(packet)}: {what} was asked for, and not refused")

    def _descriptor(self, kind: int, length: int, index: int = 0, language: int = 0) -> Steps[bytes]:
        return (yield from self._must(request(0x80, 6, kind << 8 | index, language, length)))

    def _qualifier(self) -> Steps[None]:
        """A device for full speed only refuses it."""
        answer = yield from transfer(self._wire, request(0x80, 6, QUALIFIER << 8, 0, 10))
        if answer is not None:
            raise HostError("a device qualifier was sent: it is for devices that know high speed")

    def _configuration(self, device: DeviceFacts) -> Steps[ConfigurationFacts]:
        head = yield from self._descriptor(CONFIGURATION, 9)
        if len(head) != 9:
            raise HostError(f"9 bytes of the configuration were asked for, {len(head)} came")
        total = int.from_bytes(head[2:4], "little")
        whole = yield from self._descriptor(CONFIGURATION, total)
        longer = yield from self._descriptor(CONFIGURATION, total + 64)
        if whole[:9] != head or longer != whole:
            raise HostError("the configuration descriptor changes between two readings")
        yield from self._refuses(request(0x80, 6, CONFIGURATION << 8 | 1, 0, 9), "configuration 1, which is not there,")
        return read_configuration(whole, device.kind)

    def _strings(self, device: DeviceFacts, configuration: ConfigurationFacts) -> Steps[tuple[str, str, str]]:
        languages = read_languages((yield from self._descriptor(STRING, 255)))
        if ENGLISH not in languages:
            raise HostError(f"the strings have languages {languages}, not English (0x0409)")
        texts: dict[int, str] = {0: ""}
        for index in (device.manufacturer, device.product_name, device.serial_number, *configuration.strings):
            if index and index not in texts:
                head = yield from self._descriptor(STRING, 2, index, ENGLISH)
                data = yield from self._descriptor(STRING, 255, index, ENGLISH)
                texts[index] = read_string(data)
                if head != data[:2]:
                    raise HostError(f"string {index} is {head[:1].hex()} bytes long and then {len(data)}")
        yield from self._refuses(request(0x80, 6, STRING << 8 | 0xEE, ENGLISH, 255), "a string that is not there")
        if not texts[device.serial_number]:
            raise HostError("the device has no serial number: its port's name would depend on the socket")
        return texts[device.manufacturer], texts[device.product_name], texts[device.serial_number]

    def _configure(self, configuration: ConfigurationFacts) -> Steps[None]:
        value = yield from self._must(request(0x80, 8, 0, 0, 1))
        if value != b"\0":
            raise HostError(f"GET_CONFIGURATION gives {value.hex()} before there was a SET_CONFIGURATION")
        yield from self._must(request(0x00, 9, configuration.value))
        value = yield from self._must(request(0x80, 8, 0, 0, 1))
        if value != bytes((configuration.value,)):
            raise HostError(f"GET_CONFIGURATION gives {value.hex()} after SET_CONFIGURATION {configuration.value}")
        status = yield from self._must(request(0x80, 0, 0, 0, 2))
        if len(status) != 2 or status[0] & 0xFE or status[1]:
            raise HostError(f"GET_STATUS of the device gives {status.hex()}")
        if status[0] & 1 and not configuration.attributes & 0x40:
            raise HostError("the device says it is self-powered, its configuration says it never is")
        for endpoint in (configuration.notification, configuration.bulk_in, configuration.bulk_out):
            status = yield from self._must(request(0x82, 0, 0, endpoint.address, 2))
            if status != b"\0\0":
                raise HostError(f"GET_STATUS of endpoint 0x{endpoint.address:02x} gives {status.hex()} at the start")

    def _serial_port(self, configuration: ConfigurationFacts) -> Steps[None]:
        control = configuration.control_interface
        coding = LineCoding(9600).encode()  # as the drivers of operating systems start
        yield from self._must(request(0x21, 0x20, 0, control, 7), coding)
        found = yield from self._must(request(0xA1, 0x21, 0, control, 7))
        if found != coding:
            raise HostError(f"GET_LINE_CODING gives {found.hex()} after {coding.hex()} was set")
        yield from self._must(request(0x21, 0x22, 0, control))
