"""Descriptors of a CDC-ACM device: making them, and checking every field of what a device tells the host.

Rules are those of USB 2.0 chapter 9, the interface association descriptor, and CDC 1.1/1.2 for abstract control models.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from onnxino_tools.emulator.usb.device import IN

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT, QUALIFIER, ASSOCIATION = 1, 2, 3, 4, 5, 6, 11
CS_INTERFACE = 0x24
HEADER, CALL_MANAGEMENT, ABSTRACT_CONTROL, UNION = 0, 1, 2, 6
ENGLISH = 0x0409
_SIZES = (8, 16, 32, 64)
_VERSIONS = (0x0110, 0x0200, 0x0201, 0x0210)


class DescriptorError(ValueError):
    """A descriptor breaks a rule; the text says which one and what was found."""


@dataclass(frozen=True)
class DeviceFacts:
    """What the device descriptor says; the strings are indices, 0 where there is none."""

    usb: int
    kind: tuple[int, int, int]  # class, subclass, protocol
    packet_size: int
    vendor: int
    product: int
    release: int
    manufacturer: int
    product_name: int
    serial_number: int


@dataclass(frozen=True)
class EndpointFacts:
    """`address` has bit 7 set for IN; `interval` in frames."""

    address: int
    packet_size: int
    interval: int


@dataclass(frozen=True)
class ConfigurationFacts:
    """A serial port: its configuration, interfaces and endpoints."""

    value: int
    attributes: int
    milliamperes: int
    control_interface: int
    data_interface: int
    notification: EndpointFacts
    bulk_in: EndpointFacts
    bulk_out: EndpointFacts
    associated: bool  # the two interfaces are joined by an association descriptor
    strings: tuple[int, ...]


def _need(condition: bool, text: str) -> None:
    if not condition:
        raise DescriptorError(text)


# --- making ---
def device_descriptor(vendor: int, product: int, release: int) -> bytes:
    """USB 2.00, a function class for two interfaces (EF/02/01), strings 1 to 3."""
    return struct.pack("<BBHBBBBHHHBBBB", 18, DEVICE, 0x0200, 0xEF, 2, 1, 64, vendor, product, release, 1, 2, 3, 1)


def configuration_descriptor(attributes: int, milliamperes: int, *, notification_size: int, interval: int) -> bytes:
    """One serial port: interface 0 with notifications on endpoint 81, interface 1 with bulk endpoints 02 and 82."""
    body = bytes((8, ASSOCIATION, 0, 2, 2, 2, 0, 0))
    body += bytes((9, INTERFACE, 0, 0, 1, 2, 2, 0, 0))
    body += bytes((5, CS_INTERFACE, HEADER, 0x10, 0x01, 5, CS_INTERFACE, CALL_MANAGEMENT, 1, 1))
    body += bytes((4, CS_INTERFACE, ABSTRACT_CONTROL, 2, 5, CS_INTERFACE, UNION, 0, 1))
    body += bytes((7, ENDPOINT, 0x81, 3, notification_size, 0, interval))
    body += bytes((9, INTERFACE, 1, 0, 2, 10, 0, 0, 0))
    body += bytes((7, ENDPOINT, 0x02, 2, 64, 0, 0, 7, ENDPOINT, 0x82, 2, 64, 0, 0))
    head = struct.pack("<BBHBBBBB", 9, CONFIGURATION, 9 + len(body), 2, 1, 0, attributes, milliamperes // 2)
    return head + body


def string_descriptor(text: str) -> bytes:
    """UTF-16, at most 126 characters."""
    data = text.encode("utf-16-le")
    return bytes((2 + len(data), STRING)) + data


def language_descriptor() -> bytes:
    """English (United States) only."""
    return bytes((4, STRING)) + ENGLISH.to_bytes(2, "little")


# --- checking ---
def read_device(data: bytes) -> DeviceFacts:
    """Raises DescriptorError."""
    _need(len(data) == 18, f"the device descriptor has {len(data)} bytes, not 18")
    length, kind, usb, *classes, size, vendor, product, release, maker, name, serial, count = struct.unpack(
        "<BBHBBBBHHHBBBB", data
    )
    _need(length == 18, f"bLength of the device descriptor is {length}, not 18")
    _need(kind == DEVICE, f"the device descriptor has type {kind}, not 1")
    _need(usb in _VERSIONS, f"bcdUSB is 0x{usb:04x}")
    _need(size in _SIZES, f"bMaxPacketSize0 is {size}: 8, 16, 32 or 64 are allowed")
    _need(all(digit < 10 for digit in _digits(release)), f"bcdDevice 0x{release:04x} is no BCD number")
    _need(vendor != 0, "idVendor is 0")
    _need(count >= 1, "bNumConfigurations is 0")
    used = [index for index in (maker, name, serial) if index]
    _need(len(set(used)) == len(used), "two strings of the device descriptor have the same index")
    _need(classes[0] != 0 or classes[1:] == [0, 0], "bDeviceClass is 0, but subclass or protocol is not")
    kinds = (classes[0], classes[1], classes[2])
    return DeviceFacts(usb, kinds, size, vendor, product, release, maker, name, serial)


def _digits(value: int) -> list[int]:
    return [value >> shift & 15 for shift in (12, 8, 4, 0)]


def read_string(data: bytes) -> str:
    """Raises DescriptorError."""
    _need(len(data) >= 2 and data[0] == len(data), f"a string descriptor of {len(data)} bytes says {data[:1].hex()}")
    _need(data[1] == STRING, f"a string descriptor has type {data[1]}, not 3")
    _need(len(data) % 2 == 0, f"a string descriptor has {len(data)} bytes: half a character")
    try:
        return data[2:].decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise DescriptorError("a string is not UTF-16") from error


def read_languages(data: bytes) -> list[int]:
    """Language ids of string descriptor 0. Raises DescriptorError."""
    _need(len(data) >= 4 and data[0] == len(data) and data[1] == STRING, f"string descriptor 0 is {data.hex()}")
    _need(len(data) % 2 == 0, f"string descriptor 0 has {len(data)} bytes")
    return [value for (value,) in struct.iter_unpack("<H", data[2:])]


def _parts(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        length = data[at]
        _need(length >= 2, f"a descriptor at byte {at} of the configuration has length {length}")
        _need(at + length <= len(data), f"the descriptor at byte {at} ends behind wTotalLength")
        yield data[at : at + length]
        at += length


def read_configuration(data: bytes, kind: tuple[int, int, int]) -> ConfigurationFacts:
    """The whole configuration of a CDC-ACM device of class `kind`. Raises DescriptorError."""
    _need(len(data) >= 9 and data[0] == 9 and data[1] == CONFIGURATION, f"the configuration starts {data[:9].hex()}")
    total, interfaces, value, text, attributes, power = struct.unpack_from("<HBBBBB", data, 2)
    _need(total == len(data), f"wTotalLength is {total}, {len(data)} bytes came")
    _need(value != 0, "bConfigurationValue is 0, which means unconfigured")
    _need(attributes & 0x80 != 0, "bit 7 of bmAttributes is 0, it is reserved and 1")
    _need(attributes & 0x1F == 0, f"reserved bits of bmAttributes are set: 0x{attributes:02x}")
    _need(power <= 250, f"bMaxPower is {2 * power} mA, more than 500")
    found = _Walk()
    for part in _parts(data[9:]):
        found.take(part)
    numbers = [interface[2] for interface in found.interfaces]
    _need(interfaces == len(numbers), f"bNumInterfaces is {interfaces}, {len(numbers)} are described")
    _need(numbers == list(range(interfaces)), f"interfaces are numbered {numbers}")
    _check_association(found, kind)
    control, data_number = _check_control(found)
    bulk = _check_data(found, data_number)
    addresses = [endpoint[2] for endpoints in found.endpoints for endpoint in endpoints]
    _need(len(set(addresses)) == len(addresses), "two endpoints have the same address")
    strings = [text, *(interface[8] for interface in found.interfaces)]
    return ConfigurationFacts(
        value, attributes, 2 * power, control, data_number, _endpoint(found.endpoints[control][0]),
        bulk[0], bulk[1], bool(found.associations), tuple(index for index in strings if index),
    )  # fmt: skip


class _Walk:
    """Sorts descriptors by the interface that they follow."""

    def __init__(self) -> None:
        self.associations: list[bytes] = []
        self.interfaces: list[bytes] = []
        self.functional: list[list[bytes]] = []
        self.endpoints: list[list[bytes]] = []

    def take(self, part: bytes) -> None:
        kind = part[1]
        if kind == INTERFACE:
            _need(len(part) == 9, f"an interface descriptor has {len(part)} bytes, not 9")
            _need(part[3] == 0, "alternate settings are not for a serial port")
            self.interfaces.append(part)
            self.functional.append([])
            self.endpoints.append([])
        elif kind == ASSOCIATION:
            _need(len(part) == 8, f"an association descriptor has {len(part)} bytes, not 8")
            self.associations.append(part)
        elif kind == ENDPOINT:
            _need(bool(self.interfaces), "an endpoint descriptor comes before the first interface")
            _need(len(part) == 7, f"an endpoint descriptor has {len(part)} bytes, not 7")
            self.endpoints[-1].append(part)
        elif kind == CS_INTERFACE:
            _need(bool(self.interfaces), "a functional descriptor comes before the first interface")
            _need(not self.endpoints[-1], "a functional descriptor comes behind an endpoint descriptor")
            _need(len(part) >= 3, "a functional descriptor has no subtype")
            self.functional[-1].append(part)
        else:
            raise DescriptorError(f"descriptor type 0x{kind:02x} does not belong into a configuration of a serial port")
        for interface, endpoints in zip(self.interfaces[:-1], self.endpoints[:-1], strict=True):
            _need(interface[4] == len(endpoints), f"interface {interface[2]} promises {interface[4]} endpoints")


def _check_association(found: _Walk, kind: tuple[int, int, int]) -> None:
    last = found.interfaces[-1] if found.interfaces else b""
    _need(bool(last) and last[4] == len(found.endpoints[-1]), "the last interface does not have the endpoints it says")
    if not found.associations:
        _need(kind in ((2, 0, 0), (2, 2, 0)), f"device class {kind} needs an association descriptor")
        return
    _need(kind == (0xEF, 2, 1), f"device class {kind}: association descriptors want EF/02/01")
    association = found.associations[0]
    _need(len(found.associations) == 1 and association[3] == 2, "one association of two interfaces is expected")
    first = found.interfaces[association[2]] if association[2] < len(found.interfaces) else b""
    _need(bool(first) and association[4:6] == first[5:7], "the association's class is not that of its first interface")


def _check_control(found: _Walk) -> tuple[int, int]:
    controls = [i for i, interface in enumerate(found.interfaces) if interface[5:7] == b"\x02\x02"]
    _need(len(controls) == 1, "one interface of class 02/02 (CDC, abstract control model) is expected")
    at = controls[0]
    _need(found.interfaces[at][7] in (0, 1), f"bInterfaceProtocol is {found.interfaces[at][7]}: 0 or 1 (AT commands)")
    parts = {part[2]: part for part in found.functional[at]}
    _need(len(parts) == len(found.functional[at]), "a functional descriptor comes twice")
    for subtype, name, size in ((HEADER, "header", 5), (ABSTRACT_CONTROL, "abstract control", 4), (UNION, "union", 5)):
        _need(subtype in parts, f"the {name} functional descriptor is missing")
        _need(len(parts[subtype]) == size, f"the {name} functional descriptor has {len(parts[subtype])} bytes")
    _need(found.functional[at][0][2] == HEADER, "the header is not the first functional descriptor")
    version = int.from_bytes(parts[HEADER][3:5], "little")
    _need(version in (0x0110, 0x0120), f"bcdCDC is 0x{version:04x}")
    _need(parts[ABSTRACT_CONTROL][3] & 0xF0 == 0, "reserved bits of the abstract control capabilities are set")
    _need(parts[ABSTRACT_CONTROL][3] & 2 != 0, "the device does not claim line coding and control line state (bit 1)")
    main, subordinate = parts[UNION][3:5]
    _need(main == at, f"the union's control interface is {main}, not {at}")
    if CALL_MANAGEMENT in parts:
        call = parts[CALL_MANAGEMENT]
        _need(len(call) == 5, f"the call management descriptor has {len(call)} bytes, not 5")
        _need(call[4] == subordinate, f"call management names data interface {call[4]}, the union {subordinate}")
    endpoints = found.endpoints[at]
    _need(len(endpoints) == 1, "the control interface wants one endpoint, for notifications")
    _need(endpoints[0][2] & IN != 0 and endpoints[0][3] == 3, "the notification endpoint is not an interrupt IN one")
    _need(endpoints[0][6] >= 1, "bInterval of the notification endpoint is 0")
    _need(1 <= _endpoint(endpoints[0]).packet_size <= 64, "the notification endpoint's packets are not 1 to 64 bytes")
    return at, subordinate


def _check_data(found: _Walk, number: int) -> tuple[EndpointFacts, EndpointFacts]:
    _need(number < len(found.interfaces), f"the data interface {number} is not described")
    _need(found.interfaces[number][5] == 10, f"interface {number} is not of class 0A (CDC data)")
    _need(not found.functional[number], "functional descriptors follow the data interface")
    endpoints = found.endpoints[number]
    _need(len(endpoints) == 2 and all(part[3] == 2 for part in endpoints), "two bulk endpoints are expected")
    inward = [part for part in endpoints if part[2] & IN]
    outward = [part for part in endpoints if not part[2] & IN]
    _need(len(inward) == 1 and len(outward) == 1, "one bulk endpoint IN and one OUT are expected")
    for part in endpoints:
        size = _endpoint(part).packet_size
        _need(size in _SIZES, f"bulk endpoint 0x{part[2]:02x} has packets of {size} bytes: 8, 16, 32 or 64 are allowed")
    return _endpoint(inward[0]), _endpoint(outward[0])


def _endpoint(part: bytes) -> EndpointFacts:
    _need(part[2] & 0x70 == 0 and part[2] & 15 != 0, f"endpoint address 0x{part[2]:02x}")
    return EndpointFacts(part[2], int.from_bytes(part[4:6], "little"), part[6])
