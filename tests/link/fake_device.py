"""A device in Python, written from docs/protocol.md: one int8 input and output, and faults of the line on demand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from onnxino_tools.protocol import MAX_PAYLOAD, REPLY, VERSION, Command, Decoder, Frame, Status

HEADER = 32


class FakeDevice:
    """A Transport. `to_device` and `to_host` may change or drop what passes, `silent` stops all answers.

    The "model" adds one to each input byte (modulo 256) and has as many outputs as inputs.
    """

    name = "fake"

    def __init__(self, size: int = 3000) -> None:
        self.size = size
        self.flash = bytearray(b"\xff" * 0xA0000)
        self.valid = False
        self.input = bytearray()
        self.output = b""
        self.hashed = False
        self.executed: list[Command] = []
        self.silent = False
        self.closed = False
        self.version = VERSION
        self.to_device: Callable[[bytes], bytes] = lambda data: data
        self.to_host: Callable[[bytes], bytes] = lambda data: data
        self.reads = 0
        self._decoder = Decoder()
        self._pending = b""
        self._known: dict[bytes, bytes] = {}  # the last requests and their answers
        self._load: bytearray | None = None

    def write(self, data: bytes) -> None:
        damaged = self._decoder.damaged
        for frame in self._decoder.feed(self.to_device(data)):
            self._pending += self.to_host(self._answer(frame))
        if self._decoder.damaged > damaged:
            self._pending += self.to_host(Frame(0x7D | REPLY, 0, b"", Status.BAD_CRC).encode())

    def read(self, timeout: float) -> bytes:
        self.reads += 1
        if self.silent or not self._pending:
            import time

            time.sleep(min(timeout, 0.002))
            return b""
        data, self._pending = self._pending[:100], self._pending[100:]
        return data

    def close(self) -> None:
        self.closed = True

    def _answer(self, frame: Frame) -> bytes:
        request = frame.encode()
        if request in self._known:
            return self._known[request]
        command = Command(frame.type)
        self.executed.append(command)
        status, payload = self._run(command, frame.payload)
        answer = Frame(frame.type | REPLY, frame.sequence, payload, status, self.version).encode()
        self._known[request] = answer
        while len(self._known) > 33:
            del self._known[next(iter(self._known))]
        return answer

    def _run(self, command: Command, payload: bytes) -> tuple[int, bytes]:
        handler = getattr(self, f"_{command.name.lower()}", None)
        return handler(payload) if handler else (Status.UNKNOWN_COMMAND, b"")

    def _hello(self, _: bytes) -> tuple[int, bytes]:
        size, crc = struct.unpack_from("<II", self.flash, 12) if self.valid else (0, 0)
        numbers = [64_000_000, 0x38000, 0xA0000, 4096, 8192, 4000]
        ports = 1 | 1 << 16 if self.valid else 0
        return Status.OK, struct.pack(
            "<BBH3sx8s6Ii5I3I3Bx",
            VERSION,
            1,
            MAX_PAYLOAD,
            b"\0\1\0",
            bytes(range(8)),
            *numbers,
            0 if self.valid else -4,
            size,
            crc,
            0,
            2,
            ports,
            0x12345678,
            60000,
            4,
            1,
            2,
            0,
        ) + (struct.pack("<II", self.size, self.size) + b"fake" if self.valid else b"")

    def _echo(self, payload: bytes) -> tuple[int, bytes]:
        return Status.OK, payload

    def _reset(self, _: bytes) -> tuple[int, bytes]:
        self.input.clear()
        return Status.OK, b""

    def _load_begin(self, payload: bytes) -> tuple[int, bytes]:
        self.valid = False
        self.flash[:4096] = b"\xff" * 4096
        self._load = bytearray(payload)
        return Status.OK, b""

    def _load_write(self, payload: bytes) -> tuple[int, bytes]:
        assert self._load is not None
        if struct.unpack_from("<I", payload)[0] != len(self._load):
            return Status.OUT_OF_ORDER, struct.pack("<I", len(self._load))
        self._load += payload[4:]
        return Status.OK, b""

    def _load_commit(self, _: bytes) -> tuple[int, bytes]:
        assert self._load is not None
        data = bytes(self._load)
        if zlib.crc32(data[:16] + data[20:]) != struct.unpack_from("<I", data, 16)[0]:
            return Status.CRC_MISMATCH, b""
        self.flash[: len(data)] = data
        self.valid = True
        return Status.OK, b""

    def _model_crc(self, payload: bytes) -> tuple[int, bytes]:
        offset, size = struct.unpack("<II", payload)
        return Status.OK, struct.pack("<I", zlib.crc32(self.flash[offset : offset + size]))

    def _model_read(self, payload: bytes) -> tuple[int, bytes]:
        offset, size = struct.unpack("<II", payload)
        return Status.OK, bytes(self.flash[offset : offset + size])

    def _input_write(self, payload: bytes) -> tuple[int, bytes]:
        _, offset = struct.unpack_from("<II", payload)
        if offset == 0:
            self.input.clear()
        if offset != len(self.input):
            return Status.OUT_OF_ORDER, struct.pack("<I", len(self.input))
        self.input += payload[8:]
        return Status.OK, b""

    def _infer(self, payload: bytes) -> tuple[int, bytes]:
        if len(self.input) != self.size:
            return Status.INPUT_INCOMPLETE, struct.pack("<I", 0)
        if len(payload) == 8 and payload[4:] != struct.pack("<I", zlib.crc32(self.input)):
            return Status.INPUT_DIFFERS, struct.pack("<I", zlib.crc32(self.input))
        self.hashed = bool(payload and payload[0] & 1)
        self.output = bytes((value + 1) & 255 for value in self.input)
        self.input.clear()
        return Status.OK, struct.pack("<QI", 6_400_000_000, 100_000_000) + self.output[:1024]

    def _output_read(self, payload: bytes) -> tuple[int, bytes]:
        _, offset, size = struct.unpack("<III", payload)
        return Status.OK, self.output[offset : offset + size]

    def _hashes(self, payload: bytes) -> tuple[int, bytes]:
        if not self.hashed:
            return Status.NO_RESULT, b""
        (first,) = struct.unpack("<I", payload)
        return Status.OK, struct.pack("<I", 1) + struct.pack("<I", zlib.crc32(self.output))[4 * first :]

    def _last_fault(self, payload: bytes) -> tuple[int, bytes]:
        return Status.OK, struct.pack("<9I", 1, 3, 0x10234, 0x10100, 0x61000000, 0x8200, 0x40000000, 0, 0x1FFFFFF0)

    def _statistics(self, _: bytes) -> tuple[int, bytes]:
        return Status.OK, struct.pack("<8IQ", *range(8), 5_000_000_000)

    def _measure(self, payload: bytes) -> tuple[int, bytes]:
        what, words = struct.unpack("<II", payload)
        return Status.OK, struct.pack("<3I", words * (1 if what else 3), words // 8, 2)

    def _image_crc(self, payload: bytes) -> tuple[int, bytes]:
        return Status.OK, struct.pack("<I", zlib.crc32(payload))

    def _profile(self, payload: bytes) -> tuple[int, bytes]:
        (first,) = struct.unpack("<I", payload)
        return Status.OK, struct.pack("<I", 3) + struct.pack("<3I", 10, 20, 30)[4 * first :]


def fake_model(size: int = 5000) -> bytes:
    """Bytes with a header as docs/format.md says, and nothing behind it that a real device would take."""
    size = (size + 15) // 16 * 16
    body = bytes(i * 7 & 255 for i in range(size - HEADER))
    head = b"OXM\x1a" + struct.pack("<HHI", 1, 0, 1) + struct.pack("<I", size)
    return head + struct.pack("<I", zlib.crc32(head + bytes(12) + body)) + bytes(12) + body
