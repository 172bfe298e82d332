"""What plugs into the emulated host: the interface of a full-speed device at the level of tokens and packets."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

PACKET_SIZE = 64  # bytes of a bulk or control packet at full speed
IN = 0x80  # direction bit of an endpoint's address


class Answer(Enum):
    """The device's handshake."""

    ACK = "ack"
    NAK = "nak"  # not now: the host repeats
    STALL = "stall"  # refused, or the endpoint is halted


class Upstream(Protocol):
    """The host as a device sees it. Calls return at once; the host acts later, at its own time."""

    def changed(self) -> None:
        """Something that the host waits for may be there: an endpoint was armed or read, the pull-up was switched."""

    def wake_up(self) -> None:
        """Resume signalling from the device (remote wake-up)."""

    @property
    def busy(self) -> bool:
        """A transaction is about to happen, within some bytes' time on the bus."""
        ...

    @property
    def frame_number(self) -> int:
        """Number of the running 1 ms frame, 11 bits."""
        ...


class Unplugged:
    """The upstream of a device that is not connected."""

    frame_number = 0
    busy = False

    def changed(self) -> None: ...

    def wake_up(self) -> None: ...


class UsbDevice(Protocol):
    """A full-speed device. The host sets `upstream` and calls the rest, never from within a call to `upstream`."""

    upstream: Upstream

    @property
    def pulled_up(self) -> bool:
        """The D+ pull-up is on and powered: the host sees a device."""
        ...

    @property
    def wants_frames(self) -> bool:
        """Whether `start_of_frame` has to be called each millisecond."""
        ...

    def power(self, present: bool) -> None:
        """VBUS appears or vanishes."""

    def bus_reset(self) -> None: ...

    def suspend(self) -> None: ...

    def resume(self) -> None: ...

    def setup(self, packet: bytes) -> None:
        """A SETUP packet of 8 bytes to endpoint 0; always ACKed."""

    def out(self, endpoint: int, data: bytes) -> Answer:
        """An OUT packet to endpoint number `endpoint` (0: control data, or the status stage where it is empty)."""
        ...

    def take(self, endpoint: int) -> bytes | Answer:
        """An IN token: the data packet (b"" is a zero-length one; the host has it and ACKs), NAK or STALL."""
        ...

    def toggle(self, address: int) -> int:
        """The data PID (0 or 1) that the endpoint (number, with bit 7 for IN) sends or expects next."""
        ...

    def start_of_frame(self, number: int) -> None: ...
