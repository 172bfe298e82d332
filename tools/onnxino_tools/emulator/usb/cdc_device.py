"""CdcDevice: a complete USB serial port in Python; the bootloader model speaks through it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from onnxino_tools.emulator.usb.descriptors import (
    configuration_descriptor,
    device_descriptor,
    language_descriptor,
    string_descriptor,
)
from onnxino_tools.emulator.usb.device import IN, PACKET_SIZE, Answer, Unplugged, Upstream

NOTIFICATION, BULK_OUT, BULK_IN = 0x81, 0x02, 0x82
_STANDARD_IN = {(0x80, 0), (0x81, 0), (0x82, 0), (0x80, 6), (0x80, 8), (0x81, 10)}


@dataclass
class LineCoding:
    """What SET_LINE_CODING says: bits a second, stop bits (0: 1, 2: 2), parity (0: none), data bits."""

    baud_rate: int = 115200
    stop_bits: int = 0
    parity: int = 0
    data_bits: int = 8

    def encode(self) -> bytes:
        """The 7 bytes of the request."""
        return self.baud_rate.to_bytes(4, "little") + bytes((self.stop_bits, self.parity, self.data_bits))

    @staticmethod
    def decode(data: bytes) -> LineCoding:
        """From the 7 bytes of the request."""
        return LineCoding(int.from_bytes(data[:4], "little"), data[4], data[5], data[6])


class CdcDevice:
    """Implements `UsbDevice`. `connect()` switches the pull-up on, `disconnect()` off.

    `received(data)` gets each OUT packet (1 to 64 bytes); while `accepting` is false they are NAKed (`accept(True)`
    asks for more). `send(data)` queues bytes for the host. `line_changed()` is called after SET_LINE_CODING and
    SET_CONTROL_LINE_STATE: see `line` and `dtr`. `sent()` is called when the host has taken all that was queued.
    """

    wants_frames = False

    def __init__(
        self,
        *,
        vendor: int,
        product: int,
        release: int,
        strings: tuple[str, str, str],
        attributes: int = 0xE0,
        milliamperes: int = 100,
        notification_size: int = 16,
        interval: int = 10,
        received: Callable[[bytes], None] = lambda data: None,
        line_changed: Callable[[], None] = lambda: None,
        sent: Callable[[], None] = lambda: None,
    ) -> None:
        self.upstream: Upstream = Unplugged()
        self.received = received
        self.line_changed = line_changed
        self.sent = sent
        self.attributes = attributes
        self.device = device_descriptor(vendor, product, release)
        self.configuration_data = configuration_descriptor(
            attributes, milliamperes, notification_size=notification_size, interval=interval
        )
        self.strings = [language_descriptor(), *(string_descriptor(text) for text in strings)]
        self.pulled_up = False
        self.powered = False
        self.accepting = True
        self.line = LineCoding()
        self.dtr = self.rts = False
        self.bus_reset()

    # --- for the user ---
    def connect(self) -> None:
        """The pull-up goes on: a host that is there enumerates."""
        self.bus_reset()
        self.pulled_up = True
        self.upstream.changed()

    def disconnect(self) -> None:
        """The pull-up goes off: the host sees the device vanish, and what was queued is lost."""
        self.pulled_up = False
        self.bus_reset()
        self.upstream.changed()

    def send(self, data: bytes) -> None:
        """Queues bytes; lost where no host has configured the device."""
        if self.configured and data:
            self._outgoing += data
            self.upstream.changed()

    def accept(self, accepting: bool) -> None:
        """Whether OUT packets are taken from now on, or NAKed."""
        self.accepting = accepting
        if accepting:
            self.upstream.changed()

    @property
    def unsent(self) -> int:
        """Bytes that the host has not fetched."""
        return len(self._outgoing)

    # --- UsbDevice ---
    def power(self, present: bool) -> None:
        self.powered = present

    def bus_reset(self) -> None:
        self.address = self.configured = 0
        self.halted: set[int] = set()
        self._toggles: dict[int, int] = {}
        self._outgoing = bytearray()
        self._empty_packet = False
        self._replies: deque[bytes] | None = None  # packets of the data stage to the host
        self._expected = 0  # bytes of the data stage from the host that are still to come
        self._data = bytearray()
        self._packet = bytes(8)
        self._refused = False
        self._status: Callable[[], None] | None = None  # done when the status stage is over

    def suspend(self) -> None: ...

    def resume(self) -> None: ...

    def start_of_frame(self, number: int) -> None: ...

    def toggle(self, address: int) -> int:
        return self._toggles.get(address, 0)

    def _flip(self, address: int) -> None:
        self._toggles[address] = 1 - self._toggles.get(address, 0)

    def setup(self, packet: bytes) -> None:
        self._packet = packet
        self._toggles[0] = self._toggles[IN] = 1
        self._replies, self._status, self._refused = None, None, False
        self._data.clear()
        length = int.from_bytes(packet[6:8], "little")
        self._expected = 0 if packet[0] & IN else length
        if packet[0] & IN:
            self._set_reply(self._answer(packet), length)
        elif not length:
            self._status = self._command(packet, b"")
            self._refused = self._status is None

    def _set_reply(self, reply: bytes | None, length: int) -> None:
        if reply is None:
            self._refused = True
            return
        data = reply[:length]
        self._replies = deque(data[i : i + PACKET_SIZE] for i in range(0, len(data), PACKET_SIZE))
        if len(data) < length and len(data) % PACKET_SIZE == 0:
            self._replies.append(b"")

    def out(self, endpoint: int, data: bytes) -> Answer:
        if endpoint == 0:
            return self._control_out(data)
        if endpoint != BULK_OUT or not self.configured or endpoint in self.halted:
            return Answer.STALL
        if not self.accepting:
            return Answer.NAK
        self._flip(endpoint)
        if data:
            self.received(data)
        return Answer.ACK

    def _control_out(self, data: bytes) -> Answer:
        if self._refused:
            return Answer.STALL
        if self._packet[0] & IN:  # the status stage of a request for data
            self._replies = None
            return Answer.ACK
        self._data += data
        self._flip(0)
        self._expected -= len(data)
        if self._expected <= 0:
            self._status = self._command(self._packet, bytes(self._data))
            self._refused = self._status is None
        return Answer.ACK

    def take(self, endpoint: int) -> bytes | Answer:
        if endpoint == 0:
            return self._control_in()
        address = endpoint | IN
        if not self.configured or address in self.halted or address not in (NOTIFICATION, BULK_IN):
            return Answer.STALL
        if address == NOTIFICATION or not (self._outgoing or self._empty_packet):
            return Answer.NAK
        packet = bytes(self._outgoing[:PACKET_SIZE])
        del self._outgoing[: len(packet)]
        self._empty_packet = len(packet) == PACKET_SIZE and not self._outgoing
        self._flip(address)
        if not self._outgoing and not self._empty_packet:
            self.sent()
        return packet

    def _control_in(self) -> bytes | Answer:
        if self._refused:
            return Answer.STALL
        if self._replies:
            self._flip(IN)
            return self._replies.popleft()
        if self._status is None:
            return Answer.NAK
        done, self._status = self._status, None
        done()
        return b""

    # --- requests ---
    def _answer(self, packet: bytes) -> bytes | None:
        """Data for the host, or None to refuse."""
        kind, request = packet[0], packet[1]
        value, index = int.from_bytes(packet[2:4], "little"), int.from_bytes(packet[4:6], "little")
        if (kind, request) == (0xA1, 0x21):
            return self.line.encode()
        if (kind, request) not in _STANDARD_IN:
            return None
        if request == 6:
            return self._descriptor(value >> 8, value & 0xFF)
        if request == 8:
            return bytes((self.configured,))
        if kind == 0x82:
            return bytes((index in self.halted, 0))
        if request == 10 or kind == 0x81:
            return bytes(1 if request == 10 else 2) if self.configured and index < 2 else None
        return bytes((self.attributes >> 6 & 1, 0))

    def _descriptor(self, kind: int, index: int) -> bytes | None:
        if kind == 1 and index == 0:
            return self.device
        if kind == 2 and index == 0:
            return self.configuration_data
        if kind == 3 and index < len(self.strings):
            return self.strings[index]
        return None

    def _command(self, packet: bytes, data: bytes) -> Callable[[], None] | None:
        """What a request without an answer does when it is complete; None refuses it."""
        kind, request = packet[0], packet[1]
        value, index = int.from_bytes(packet[2:4], "little"), int.from_bytes(packet[4:6], "little")
        if (kind, request) == (0x00, 5):
            return lambda: setattr(self, "address", value)
        if (kind, request) == (0x00, 9) and value in (0, 1):
            return lambda: self._configure(value)
        if (kind, request) == (0x01, 11) and value == 0 and index < 2:
            return lambda: None
        if kind in (0x00, 0x02) and request in (1, 3):
            return self._feature(kind, request == 3, value, index)
        if (kind, request) == (0x21, 0x20) and len(data) == 7:
            return lambda: self._set_line(data)
        if (kind, request) == (0x21, 0x22):
            return lambda: self._set_control_lines(value)
        return (lambda: None) if (kind, request) == (0x21, 0x23) else None  # SEND_BREAK

    def _feature(self, kind: int, on: bool, value: int, index: int) -> Callable[[], None] | None:
        if kind == 0x00 and value == 1:
            return lambda: None  # remote wake-up
        if kind == 0x02 and value == 0 and index in (NOTIFICATION, BULK_OUT, BULK_IN):
            return lambda: self._halt(index, on)
        return None

    def _configure(self, value: int) -> None:
        self.configured = value
        self.halted.clear()
        self._toggles = {}

    def _halt(self, address: int, on: bool) -> None:
        self._toggles[address] = 0
        (self.halted.add if on else self.halted.discard)(address)

    def _set_line(self, data: bytes) -> None:
        self.line = LineCoding.decode(data)
        self.line_changed()

    def _set_control_lines(self, value: int) -> None:
        self.dtr, self.rts = bool(value & 1), bool(value & 2)
        self.line_changed()
