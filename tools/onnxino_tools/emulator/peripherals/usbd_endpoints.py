"""What the USBD keeps of its endpoints, and the stages of control transfers as endpoint 0 lets them pass."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_tools.emulator.usb.device import IN, Answer

ENDPOINTS = 8
_SET_ADDRESS = b"\0\5"


class Endpoint:
    """One direction of one endpoint. `data`: a packet in its buffer. `armed` (OUT): it takes the next packet."""

    __slots__ = ("armed", "data", "halted", "toggle")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.data: bytes | None = None
        self.armed = self.halted = False
        self.toggle = 0


class ControlEndpoint:
    """Endpoint 0. The firmware allows each stage: by data in `inward`, by `receive` (EP0RCVOUT), by `status`
    (EP0STATUS); or refuses by `stalled`. `data_done()` is called when a data packet has passed.

    SET_ADDRESS is answered here, without the firmware.
    """

    def __init__(self, inward: Endpoint, outward: Endpoint, data_done: Callable[[], None]) -> None:
        self._inward, self._outward = inward, outward
        self._data_done = data_done
        self.clear()

    def clear(self) -> None:
        """A bus reset."""
        self.address = 0
        self.packet = bytes(8)
        self.size = 0  # of the last data packet from the host
        self._new_address: int | None = None
        self.stalled = self.receive = self.status = False

    @property
    def answers_itself(self) -> bool:
        """The request is the hardware's own."""
        return self.packet[:2] == _SET_ADDRESS

    def setup(self, packet: bytes) -> None:
        self.packet = packet
        self.stalled = self.receive = self.status = False
        self._inward.data = self._outward.data = None
        self._new_address = int.from_bytes(packet[2:4], "little") & 0x7F if self.answers_itself else None

    def take(self) -> bytes | Answer:
        """An IN token."""
        if self.stalled:
            return Answer.STALL
        if self._new_address is not None:
            self.address, self._new_address = self._new_address, None
            return b""
        if self.packet[0] & IN and self.packet[6:8] != b"\0\0":
            data = self._inward.data
            if data is None:
                return Answer.NAK
            self._inward.data = None
            self._data_done()
            return data
        return b"" if self._status_passes() else Answer.NAK

    def out(self, data: bytes) -> Answer:
        """An OUT packet."""
        if self.stalled:
            return Answer.STALL
        if self.packet[0] & IN:
            return Answer.ACK if self._status_passes() else Answer.NAK
        if not self.receive:
            return Answer.NAK
        self.receive = False
        self._outward.data = data
        self.size = len(data)
        self._data_done()
        return Answer.ACK

    def _status_passes(self) -> bool:
        passes, self.status = self.status, False
        return passes
