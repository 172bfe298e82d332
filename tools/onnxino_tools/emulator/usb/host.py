"""UsbHost: the computer at the other end of the cable. It enumerates strictly and drives one serial port (CDC-ACM)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnxino.errors import LinkError
from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.scheduler import Scheduler
from onnxino_tools.emulator.usb.bus import UsbBus
from onnxino_tools.emulator.usb.cdc_device import LineCoding
from onnxino_tools.emulator.usb.control import (
    MILLISECOND,
    Description,
    HostError,
    Sleep,
    Steps,
    packet_cycles,
    request,
    transfer,
)
from onnxino_tools.emulator.usb.descriptors import EndpointFacts
from onnxino_tools.emulator.usb.device import Answer

_READ_SIZE = 4096  # a driver's buffer: goes on to the reader when it is full, or with a packet below full size
_KEPT = 1 << 16  # bytes that wait for the reader before the device is not asked for more
_DRAIN = 2000 * MILLISECOND  # how long closing the port waits for bytes that the device does not take


@dataclass
class Request:
    """A control transfer asked for by the user; `data` is None when it was refused."""

    done: bool = False
    data: bytes | None = None


class UsbHost(UsbBus):
    """`fault` gets what a strict host does not accept (kind "usb"), `warn` what only works by luck.

    `on_write(data)` and `on_read(data)` are called when data for the device is queued and when data of it arrived.
    """

    def __init__(
        self, clock: Scheduler, *, fault: Callable[[EmulatorFault], None], warn: Callable[[str], None]
    ) -> None:
        self.on_write: Callable[[bytes], None] = lambda data: None
        self.on_read: Callable[[bytes], None] = lambda data: None
        super().__init__(clock, fault=fault, warn=warn)

    def _forget(self) -> None:
        super()._forget()
        self._line = LineCoding(9600)
        self._dtr: bool = False
        self.opened = self._draining = False
        self._opening = 0  # changes of settings that have to be done before data goes out
        self._toggles: dict[int, int] = {}
        self._outgoing = bytearray()
        self._taken = 0  # bytes that the device took
        self._partial = bytearray()  # of a read that is not complete
        self._incoming = bytearray()

    # --- for the user ---
    @property
    def configured(self) -> bool:
        """Enumeration is over: the port exists."""
        return self.description is not None

    @property
    def product_id(self) -> int | None:
        """Of the device that is configured."""
        return self.description.device.product if self.description is not None else None

    @property
    def serial_number(self) -> str | None:
        """Of the device that is configured."""
        return self.description.serial_number if self.description is not None else None

    @property
    def pending(self) -> int:
        """Bytes that the device has not taken."""
        return len(self._outgoing)

    @property
    def settled(self) -> bool:
        """All that was asked for (line settings, requests) is done, and all data is with the device."""
        return self._process is None and not self._queue and not self._outgoing

    @property
    def has_data(self) -> bool:
        """Whether `read` gives something."""
        return bool(self._incoming)

    def write(self, data: bytes) -> None:
        """Host -> device. Raises LinkError where there is no port."""
        self._need_port()
        if data:
            self._outgoing += data
            self.on_write(data)
            self.changed()

    def read(self) -> bytes:
        """Device -> host: everything that arrived since the last call. Nothing arrives while the port is not open."""
        if not self._incoming:
            return b""
        data = bytes(self._incoming)
        self._incoming.clear()
        if len(data) >= _KEPT:
            self.changed()
        return data

    def set_line(self, baud_rate: int | None = None, dtr: bool | None = None, opened: bool | None = None) -> None:
        """What a program does to the port; what was written before goes first, what is written later follows.

        `opened`: whether somebody reads; where not given it is as `dtr`. Raises LinkError where there is no port.
        """
        self._need_port()
        if opened is None:
            opened = dtr
        if dtr is False:
            self._enqueue(self._close(self._taken + len(self._outgoing), opened))
        else:
            self._opening += 1
            self._enqueue(self._open(baud_rate, dtr, opened))

    def request(self, packet: bytes, data: bytes = b"") -> Request:
        """A control transfer of the user's own (8 bytes of SETUP, data for the device).

        After SET_CONFIGURATION and SET_INTERFACE the host begins with DATA0, as the device has to (USB 2.0, 9.1.1.5).
        """
        result = Request()

        def steps() -> Steps[None]:
            result.data = yield from transfer(self, packet, data)
            if result.data is not None and packet[:2] in (b"\x00\x09", b"\x01\x0b"):
                self._toggles = {}
            result.done = True

        self._enqueue(steps())
        return result

    def clear_halt(self, address: int) -> Request:
        """CLEAR_FEATURE(ENDPOINT_HALT), after which both sides begin with DATA0."""
        result = Request()

        def steps() -> Steps[None]:
            result.data = yield from transfer(self, request(0x02, 1, 0, address))
            self._toggles[address] = 0
            result.done = True

        self._enqueue(steps())
        return result

    def _need_port(self) -> None:
        if self.description is None:
            raise LinkError("the board has no USB serial port now", "it is unplugged, or was reset and comes back soon")

    # --- data ---
    def _begin(self) -> None:
        self._toggles = {}

    def _pump(self, found: Description) -> int:
        """One bulk transaction in each direction."""
        cycles = 0
        if self.opened and len(self._incoming) < _KEPT:
            cycles += self._fetch(found.configuration.bulk_in)
        if self._outgoing and (not self._opening or self._draining):
            cycles += self._send(found.configuration.bulk_out)
        return cycles

    def _in_step(self, address: int) -> bool:
        """Whether host and device agree on the data PID that comes next."""
        return self.device.toggle(address) == self._toggles.get(address, 0)

    def _fetch(self, endpoint: EndpointFacts) -> int:
        address = endpoint.address
        in_step = self._in_step(address)
        answer = self.device.take(address & 15)
        if isinstance(answer, bytes):
            if len(answer) > endpoint.packet_size:
                size = endpoint.packet_size
                self._error(f"a packet of {len(answer)} bytes on endpoint 0x{address:02x}, which is for {size}")
            elif in_step:
                self._arrived(answer, address, endpoint.packet_size)
            else:
                self.warn(f"data toggles of endpoint 0x{address:02x} disagree: the host drops a packet")
            return packet_cycles(len(answer))
        if answer is Answer.STALL:
            self._halted(address)
        return 0

    def _arrived(self, packet: bytes, address: int, size: int) -> None:
        self._toggles[address] = 1 - self._toggles.get(address, 0)
        self._partial += packet
        if len(packet) < size or len(self._partial) >= _READ_SIZE:
            data = bytes(self._partial)
            self._incoming += data
            self._partial.clear()
            self.on_read(data)

    def _send(self, endpoint: EndpointFacts) -> int:
        address = endpoint.address
        packet = bytes(self._outgoing[: endpoint.packet_size])
        in_step = self._in_step(address)
        answer = self.device.out(address, packet)
        if answer is Answer.ACK:
            self._toggles[address] = 1 - self._toggles.get(address, 0)
            del self._outgoing[: len(packet)]
            self._taken += len(packet)
            if not in_step:
                self.warn(f"data toggles of endpoint 0x{address:02x} disagree: the device drops the packet")
            return packet_cycles(len(packet))
        if answer is Answer.STALL:
            self._halted(address)
        return 0

    def _halted(self, address: int) -> None:
        if self._process is None and not self._queue:
            self.warn(f"endpoint 0x{address:02x} is halted (STALL): the host clears it")
            self.clear_halt(address)

    # --- settings ---
    def _open(self, baud_rate: int | None, dtr: bool | None, opened: bool | None) -> Steps[None]:
        if baud_rate is not None and baud_rate != self._line.baud_rate:
            self._line.baud_rate = baud_rate
            if (yield from transfer(self, request(0x21, 0x20, 0, self._interface, 7), self._line.encode())) is None:
                raise HostError("SET_LINE_CODING was refused (STALL)")
        if dtr and not self._dtr:
            yield from self._set_dtr(True)
        if opened is not None:
            self.opened = opened
        self._opening -= 1
        self.changed()

    def _close(self, end: int, opened: bool | None) -> Steps[None]:
        """Closing waits for what was written until then, and gives up on a device that does not take it."""
        self._draining = True
        latest = self.clock.now + _DRAIN
        while self._taken < end and self.clock.now < latest:
            self.changed()
            yield Sleep(MILLISECOND // 4)
        self._draining = False
        del self._outgoing[: max(end - self._taken, 0)]
        if self._dtr:
            yield from self._set_dtr(False)
        if opened is not None:
            self.opened = opened
        self.changed()

    def _set_dtr(self, on: bool) -> Steps[None]:
        self._dtr = on
        if (yield from transfer(self, request(0x21, 0x22, 3 if on else 0, self._interface))) is None:
            raise HostError("SET_CONTROL_LINE_STATE was refused (STALL)")

    @property
    def _interface(self) -> int:
        assert self.description is not None
        return self.description.configuration.control_interface
