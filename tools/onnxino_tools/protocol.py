"""The serial protocol (docs/protocol.md): codes, frames (COBS between zeros, CRC-32 inside), the payload of hello.

firmware/protocol.h holds the same constants; a test compares the two.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

VERSION = 2
MAX_PAYLOAD = 1040
HEADER = struct.Struct("<BBBBHH")  # version, type, status, flags, sequence, payload size
CRC_SIZE = 4
MAX_FRAME = HEADER.size + MAX_PAYLOAD + CRC_SIZE
REPLY = 0x80
MAX_WINDOW = 8  # requests that may wait for their answers at once: INFER and INPUT_WRITEs, nothing else
MODEL_NOT_OPENED = -100  # Hello.model_status: the last starts ended in faults, so the device did not open its model


class Command(IntEnum):
    """What the host asks; the answer has the same type with the bit REPLY set."""

    HELLO = 0x01
    ECHO = 0x02
    RESET = 0x03
    LAST_FAULT = 0x04
    STATISTICS = 0x05
    MEASURE = 0x06
    LOAD_BEGIN = 0x10
    LOAD_WRITE = 0x11
    LOAD_COMMIT = 0x12
    MODEL_READ = 0x13
    MODEL_CRC = 0x14
    IMAGE_CRC = 0x15
    INPUT_WRITE = 0x20
    INFER = 0x21
    OUTPUT_READ = 0x22
    PROFILE = 0x23
    HASHES = 0x24
    FRAME_BEGIN = 0x30
    FRAME_WRITE = 0x31
    FRAME_CONVERT = 0x32


class InferFlag(IntFlag):
    """Flags of INFER."""

    HASHES = 1  # keep the CRC-32 of each operator's output
    CHECK = 2  # the CRC-32 of all input bytes follows


class Memory(IntEnum):
    """What MEASURE reads."""

    FLASH = 0
    RAM = 1


class Transport(IntEnum):
    """How a request came to the device."""

    UART = 0
    USB = 1


class Bootloader(IntEnum):
    """Which bootloader the device found in its flash."""

    UNKNOWN = 0
    BL1 = 1
    BL2 = 2


class FrameFormat(IntEnum):
    """A camera's frame: 1 byte a pixel (grey) or 2."""

    GREY = 0
    RGB565_BIG = 1
    RGB565_LITTLE = 2
    YUYV = 3


class Event(IntEnum):
    """Frames that the device sends unasked, with the bit REPLY set and sequence 0."""

    BAD_FRAME = 0x7D
    FAULT = 0x7E


class Status(IntEnum):
    """The device's answer to a request."""

    OK = 0
    BAD_CRC = 1
    FRAME_TOO_LONG = 2
    BAD_VERSION = 3
    UNKNOWN_COMMAND = 4
    BAD_PAYLOAD = 5
    OUT_OF_RANGE = 6
    NO_MODEL = 7
    MODEL_TOO_LARGE = 8
    NOT_LOADING = 9
    OUT_OF_ORDER = 10
    FLASH_FAILED = 11
    MODEL_REFUSED = 12
    CRC_MISMATCH = 13
    INPUT_INCOMPLETE = 14
    RUN_FAILED = 15
    NO_RESULT = 16
    BUSY = 17
    INPUT_DIFFERS = 18
    FRAME_TOO_LARGE = 19
    FRAME_INCOMPLETE = 20
    FRAME_REFUSED = 21


STATUS_TEXT = {
    Status.OK: "done",
    Status.BAD_CRC: "the device received a damaged frame",
    Status.FRAME_TOO_LONG: "the device received a frame longer than it takes",
    Status.BAD_VERSION: "the device speaks another version of the protocol",
    Status.UNKNOWN_COMMAND: "the device does not know the command",
    Status.BAD_PAYLOAD: "the device expects another payload for the command",
    Status.OUT_OF_RANGE: "an index, offset or size lies outside of what the device has",
    Status.NO_MODEL: "there is no valid model on the device",
    Status.MODEL_TOO_LARGE: "the model does not fit into the device's flash",
    Status.NOT_LOADING: "the device is not loading a model",
    Status.OUT_OF_ORDER: "the device expects other bytes first",
    Status.FLASH_FAILED: "the device's flash does not hold what was written",
    Status.MODEL_REFUSED: "the device refuses the model",
    Status.CRC_MISMATCH: "the device's flash does not hold the model's bytes: its CRC-32 differs",
    Status.INPUT_INCOMPLETE: "the device has not received the whole input",
    Status.RUN_FAILED: "the inference failed on the device",
    Status.NO_RESULT: "the device has no result to read",
    Status.BUSY: "the device is busy with an inference",
    Status.INPUT_DIFFERS: "the device holds other input bytes than were sent",
    Status.FRAME_TOO_LARGE: "the frame does not fit behind the model's arena",
    Status.FRAME_INCOMPLETE: "the device has not received the whole frame",
    Status.FRAME_REFUSED: "the model on the device takes no such frame",
}


class FrameError(Exception):
    """Bytes between two zeros are no frame; the message says why."""


@dataclass(frozen=True)
class Frame:
    """One request (type is a Command) or answer (type has the bit REPLY)."""

    type: int
    sequence: int
    payload: bytes = b""
    status: int = 0
    version: int = VERSION

    def encode(self) -> bytes:
        """The bytes on the line: a zero (ends noise that came before), COBS of header, payload and CRC-32, a zero."""
        if len(self.payload) > MAX_PAYLOAD:
            raise ValueError(f"a payload of {len(self.payload)} bytes exceeds {MAX_PAYLOAD}")
        head = HEADER.pack(self.version, self.type, self.status, 0, self.sequence, len(self.payload))
        body = head + self.payload
        return b"\0" + cobs_encode(body + struct.pack("<I", zlib.crc32(body))) + b"\0"

    @staticmethod
    def decode(encoded: bytes) -> Frame:
        """The frame in the bytes between two zeros. Raises FrameError."""
        body = cobs_decode(encoded)
        if len(body) < HEADER.size + CRC_SIZE or len(body) > MAX_FRAME:
            raise FrameError(f"a frame of {len(body)} bytes")
        if zlib.crc32(body[:-CRC_SIZE]) != struct.unpack("<I", body[-CRC_SIZE:])[0]:
            raise FrameError("the CRC-32 differs")
        version, kind, status, _, sequence, size = HEADER.unpack_from(body)
        payload = body[HEADER.size : -CRC_SIZE]
        if len(payload) != size:
            raise FrameError(f"{len(payload)} bytes of payload, {size} stated")
        return Frame(kind, sequence, payload, status, version)


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing: no zero in the result, one byte more per 254."""
    out = bytearray()
    for piece in data.split(b"\0"):
        while len(piece) >= 254:
            out += b"\xff" + piece[:254]
            piece = piece[254:]
        out.append(len(piece) + 1)
        out += piece
    return bytes(out)


def cobs_decode(encoded: bytes) -> bytes:
    """Inverse of cobs_encode. Raises FrameError for a zero or a block that is cut off."""
    out = bytearray()
    at = 0
    while at < len(encoded):
        code = encoded[at]
        block = encoded[at + 1 : at + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise FrameError("the COBS coding is damaged")
        out += block
        at += code
        if code < 255 and at < len(encoded):
            out.append(0)
    return bytes(out)


class Decoder:
    """Finds frames in a stream of bytes. `damaged` counts pieces between zeros that are none."""

    def __init__(self) -> None:
        self.damaged = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields each whole frame; remembers an unfinished one."""
        *pieces, rest = (self._buffer + data).split(b"\0")
        self._buffer = bytearray(rest[: 2 * MAX_FRAME])  # longer than any frame: it is counted as damaged when it ends
        for piece in pieces:
            if not piece:
                continue
            try:
                yield Frame.decode(bytes(piece))
            except FrameError:
                self.damaged += 1


_HELLO = struct.Struct("<BBH3sx8s6Ii5I3I3Bx")


@dataclass(frozen=True)
class Hello:
    """What a device says of itself and of its model (whose figures are 0 without a valid one). Bytes, Hz."""

    protocol_version: int
    board_id: int
    max_payload: int
    firmware_version: str
    device_id: str  # 16 hexadecimal digits, unique for each chip
    clock_hz: int
    arena_size: int  # what the firmware leaves for activations
    model_region_size: int
    page_size: int
    stack_size: int
    stack_free: int  # never used since the device started
    model_status: int  # 0: valid; else the C runtime's onx_status
    model_size: int
    model_crc: int  # CRC-32 in the model's header
    model_arena_size: int
    operators: int
    input_sizes: tuple[int, ...]
    output_sizes: tuple[int, ...]
    model_name: str
    image_crc: int = 0  # CRC-32 of the running firmware's image, the whole .bin
    image_size: int = 0
    reset_reasons: int = 0  # POWER.RESETREAS at the start: bit 0 pin, 1 watchdog, 2 soft reset, 3 lockup; 0 power-on
    transport: int = 0  # enum Transport: how this request came
    bootloader: int = 0  # enum Bootloader
    fault_waiting: bool = False  # LAST_FAULT tells of a fault before the last reset

    @property
    def stages_inputs(self) -> bool:
        """Whether inputs of the next inference may be written while one runs, or before its outputs are read."""
        free = self.arena_size - _round_up(self.model_arena_size)
        return self.model_valid and sum(map(_round_up, self.input_sizes)) <= free

    @property
    def model_valid(self) -> bool:
        """Whether there is a model that runs."""
        return self.model_status == 0

    @staticmethod
    def parse(payload: bytes) -> Hello:
        """From the answer's payload. Raises FrameError when it is too short."""
        if len(payload) < _HELLO.size:
            raise FrameError(f"the answer to hello has {len(payload)} bytes, {_HELLO.size} or more were expected")
        values = _HELLO.unpack_from(payload)
        version, board, max_payload, firmware, device = values[:5]
        clock, arena, region, page, stack, free, status, size, crc, model_arena, operators, ports = values[5:17]
        image_crc, image_size, reasons, transport, bootloader, fault = values[17:]
        inputs, count = ports & 0xFFFF, (ports & 0xFFFF) + (ports >> 16)
        if len(payload) < _HELLO.size + 4 * count:
            raise FrameError(f"the answer to hello ends within the sizes of {count} inputs and outputs")
        sizes = struct.unpack_from(f"<{count}I", payload, _HELLO.size)
        return Hello(
            protocol_version=version,
            board_id=board,
            max_payload=max_payload,
            firmware_version=".".join(map(str, firmware)),
            device_id=device[::-1].hex().upper(),
            clock_hz=clock,
            arena_size=arena,
            model_region_size=region,
            page_size=page,
            stack_size=stack,
            stack_free=free,
            model_status=status,
            model_size=size,
            model_crc=crc,
            model_arena_size=model_arena,
            operators=operators,
            input_sizes=sizes[:inputs],
            output_sizes=sizes[inputs:],
            model_name=payload[_HELLO.size + 4 * count :].decode("utf-8", "replace"),
            image_crc=image_crc,
            image_size=image_size,
            reset_reasons=reasons,
            transport=transport,
            bootloader=bootloader,
            fault_waiting=fault != 0,
        )


def _round_up(size: int) -> int:
    return (size + 15) // 16 * 16


@dataclass(frozen=True)
class FaultRecord:
    """What the core said of an exception that the firmware did not expect (event FAULT, answer to LAST_FAULT)."""

    exception: int  # number: 2 NMI, 3 hard fault, 4 memory, 5 bus, 6 usage, 16 and up interrupts
    pc: int
    lr: int
    psr: int
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int

    @staticmethod
    def parse(payload: bytes) -> FaultRecord:
        """From 8 words. Raises FrameError when there are fewer."""
        return FaultRecord(*_words("<8I", payload, "a fault record"))


def parse_last_fault(payload: bytes) -> tuple[int, FaultRecord | None]:
    """The answer to LAST_FAULT: faults since power-on, and the last one's record unless it was cleared."""
    (count,) = _words("<I", payload, "the answer to last_fault")
    return count, FaultRecord.parse(payload[4:]) if len(payload) > 4 else None


@dataclass(frozen=True)
class Statistics:
    """Counters since the device started (faults: since power-on)."""

    frames: int  # requests received whole
    bad_frames: int  # pieces between zeros that were none
    repeated: int  # requests that were answered again without being run again
    uart_errors: int  # times that the UART's receiver lost its place or bytes, and started anew
    usb_resets: int
    usb_suspends: int
    usb_dropped: int  # bytes of answers that nobody fetched over USB
    faults: int
    uptime_microseconds: int

    @staticmethod
    def parse(payload: bytes) -> Statistics:
        """From the answer's payload. Raises FrameError when it is too short."""
        return Statistics(*_words("<8IQ", payload, "the answer to statistics"))


@dataclass(frozen=True)
class Measurement:
    """CPU cycles for reading so many words, and the instruction cache's hits and misses meanwhile."""

    cycles: int
    cache_hits: int
    cache_misses: int

    @staticmethod
    def parse(payload: bytes) -> Measurement:
        """From the answer's payload. Raises FrameError when it is too short."""
        return Measurement(*_words("<3I", payload, "the answer to measure"))


def _words(form: str, payload: bytes, what: str) -> tuple[int, ...]:
    if len(payload) < struct.calcsize(form):
        raise FrameError(f"{what} has {len(payload)} bytes, {struct.calcsize(form)} were expected")
    return struct.unpack_from(form, payload)
