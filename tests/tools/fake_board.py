"""A board with a bootloader behind invented serial ports, in this process; time is invented too.

The bootloader is the emulator's model of its protocol; the application is the device in Python of the link's tests.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from onnxino.boards import NANO33BLE
from onnxino.errors import LinkError
from onnxino_tools.boards import APPLICATION, BOOTLOADER, ConnectedBoard
from onnxino_tools.emulator.bootloader_protocol import FlashWrite, Reply, Restart, SamBa, UsbOff
from onnxino_tools.protocol import Status
from tests.link.fake_device import FakeDevice

CHIP = "7F65FDABFE86A5EB"
_PAGE = 4096


class Cut(Exception):
    """The flashing process was killed."""


class FakeApplication(FakeDevice):
    """Onnxino's firmware, as far as flashing goes: it lives on the board's flash."""

    def __init__(self, board: FakeBoard) -> None:
        super().__init__(3000)
        self.board = board
        self.too_old = False
        model = board.flash[NANO33BLE.model_address :][: NANO33BLE.model_size]
        size = struct.unpack_from("<I", model, 12)[0]
        if model[:4] == b"OXM\x1a" and size <= len(model):
            data = bytes(model[:size])
            self.valid = zlib.crc32(data[:16] + data[20:]) == struct.unpack_from("<I", data, 16)[0]
            self.flash[:size] = data

    def _hello(self, payload: bytes) -> tuple[int, bytes]:
        status, answer = super()._hello(payload)
        image = self.board.image
        facts = struct.pack("<3I4B", zlib.crc32(image), len(image), 0, self.board.transport, 0, 0, 0)
        return status, answer[:64] + facts + answer[80:]

    def _image_crc(self, payload: bytes) -> tuple[int, bytes]:
        offset, size = struct.unpack("<II", payload)
        at = NANO33BLE.image_address + offset
        return Status.OK, struct.pack("<I", zlib.crc32(self.board.flash[at : at + size]))

    def _load_commit(self, payload: bytes) -> tuple[int, bytes]:
        if self.board.too_old:
            return Status.MODEL_REFUSED, struct.pack("<iI", -5, 0) + b"the model has a newer format"
        answer = super()._load_commit(payload)
        at = NANO33BLE.model_address
        self.board.flash[at : at + NANO33BLE.model_size] = self.flash
        return answer


class FakeBoard:
    """Flash, and what runs. `before_write(number)` is called before each write of flash, and may raise or unplug."""

    def __init__(self, generation: int = 1, image: bytes = b"") -> None:
        self.generation = generation
        self.flash = bytearray(b"\xff" * 0x100000)
        self.flash[0:0x1000] = self.flash[0xE0000:0xE1000] = b"\x55" * _PAGE
        self.image = image  # what the application says that it is
        self.transport = 1
        self.too_old = False
        self.touches = True  # whether the application reacts to 1200 baud
        self.serial = CHIP
        self.writes: list[tuple[int, int]] = []
        self.before_write: Callable[[int], None] = lambda number: None
        self.mode = ""
        self.back_at = 0.0
        self.epoch = 0
        self.time = 0.0
        if image:
            self.flash[0x10000 : 0x10000 + len(image)] = image
        self.start()

    def start(self, *, stay: bool = False, after: float = 0.0) -> None:
        """A reset: the bootloader's rule decides what runs."""
        first, second = struct.unpack_from("<II", self.flash, 0x10000)
        valid = first != 0xFFFFFFFF and second != 0xFFFFFFFF if self.generation == 1 else first >> 24 == 0x20
        self.mode = "application" if valid and not stay else "bootloader"
        self.boot = SamBa(lambda at, size: bytes(self.flash[at : at + size]), 0xE0000 if self.generation == 2 else None)
        # An image that is not whole does not answer.
        whole = self.flash[0x10000 : 0x10000 + len(self.image)] == self.image
        self.application = FakeApplication(self) if self.mode == "application" and self.image and whole else None
        self.back_at = after
        self.epoch += 1

    def write(self, action: FlashWrite) -> None:
        self.before_write(len(self.writes))
        self.writes.append((action.address, len(action.data)))
        assert action.address >= 0x10000
        assert action.address + len(action.data) <= 0xE0000
        for at in range(action.address, action.address + action.erase):
            self.flash[at] = 0xFF
        for at, byte in enumerate(action.data, action.address):
            self.flash[at] &= byte


class FakePorts:
    """Ports with one board. The port's name may change with each start, as on Windows."""

    def __init__(self, board: FakeBoard, *, ids: bool = True, renames: bool = False) -> None:
        self.board = board
        self.ids = ids
        self.renames = renames
        self.touched = 0
        self.others: list[ConnectedBoard] = []

    @property
    def name(self) -> str:
        return f"COM{3 + self.board.epoch}" if self.renames else "/dev/ttyACM0"

    def boards(self) -> list[ConnectedBoard]:
        board = self.board
        if not self.ids or board.time < board.back_at:
            return self.others
        product, zeros = (APPLICATION, 0) if board.mode == "application" else (BOOTLOADER, 16)
        serial = "0" * zeros + board.serial if board.serial else ""
        return [ConnectedBoard(self.name, board.mode, product, serial), *self.others]

    def open(self, port: str) -> FakeTransport:
        if self.board.time < self.board.back_at or port != self.name:
            raise LinkError(f"there is no serial port {port}")
        return FakeTransport(self)

    def touch(self, port: str) -> None:
        self.open(port)
        self.touched += 1
        if self.board.mode == "application" and self.board.touches:
            self.board.start(stay=True, after=self.board.time + 1.0)

    def sleep(self, seconds: float) -> None:
        self.board.time += seconds

    def now(self) -> float:
        return self.board.time


class FakeTransport:
    """An open port; it breaks when the board restarts."""

    name = "fake"

    def __init__(self, ports: FakePorts) -> None:
        self.ports = ports
        self.epoch = ports.board.epoch
        self.replies = b""

    def write(self, data: bytes) -> None:
        board = self._board()
        if board.mode == "application":
            if board.application is not None:
                board.application.write(data)
            return
        board.boot.feed(data)
        while self.epoch == board.epoch and (action := board.boot.next()) is not None:
            match action:
                case Reply(reply):
                    self.replies += reply
                case FlashWrite():
                    board.write(action)
                case Restart():
                    board.start(after=self.ports.board.time + 1.0)
                case UsbOff():
                    board.back_at = float("inf")

    def read(self, timeout: float) -> bytes:
        board = self._board()
        data, self.replies = self.replies, b""
        if board.application is not None:
            data = board.application.read(0)
        if not data:
            self.ports.board.time += timeout
        return data

    def close(self) -> None:
        pass

    def _board(self) -> FakeBoard:
        if self.epoch != self.ports.board.epoch:
            raise LinkError("the connection to fake broke: unplugged")
        return self.ports.board
