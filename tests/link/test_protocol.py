"""Frames: COBS and CRC vectors, damage, resynchronisation, and the constants that firmware and host share."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxino_tools import protocol
from onnxino_tools.protocol import Command, Decoder, Event, Frame, FrameError, Hello, Status, cobs_decode, cobs_encode

HEADER_FILE = Path(__file__).resolve().parents[2] / "firmware" / "protocol.h"


def _c_constants() -> dict[str, int]:
    text = HEADER_FILE.read_text("utf-8")
    found = re.findall(r"(?:#define )?ONX_(\w+)(?: =)? (0x[0-9A-F]+|\d+)(?=[,\s])", text)
    return {name: int(value, 0) for name, value in found}


def test_firmware_and_host_share_their_constants() -> None:
    c = _c_constants()
    assert c["PROTOCOL_VERSION"] == protocol.VERSION
    assert c["MAX_PAYLOAD"] == protocol.MAX_PAYLOAD
    assert c["FRAME_HEADER"] == protocol.HEADER.size
    assert c["FRAME_CRC"] == protocol.CRC_SIZE
    assert c["REPLY"] == protocol.REPLY
    for prefix, codes in (("CMD", Command), ("EVENT", Event), ("REPLY", Status)):
        ours = {f"{prefix}_{code.name}": int(code) for code in codes}
        assert {name: value for name, value in c.items() if name.startswith(prefix + "_")} == ours


def test_each_status_has_a_text() -> None:
    assert set(protocol.STATUS_TEXT) == set(Status)


@pytest.mark.parametrize(
    ("plain", "encoded"),
    [
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255)) + b"\x01"),
        (b"\0" + bytes(range(1, 255)), b"\x01\xff" + bytes(range(1, 255)) + b"\x01"),
        (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    ],
)
def test_cobs_vectors(plain: bytes, encoded: bytes) -> None:
    assert cobs_encode(plain) == encoded
    assert cobs_decode(encoded) == plain


def test_cobs_decodes_the_short_form_of_a_full_last_block() -> None:
    assert cobs_decode(b"\xff" + bytes(range(1, 255))) == bytes(range(1, 255))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"\0", b"\1", bytes(253), b"\xff" * 254, b"ab" * 127, b"x" * 253]), max_size=8).map(
        b"".join
    )
)
def test_cobs_holds_no_zero_and_comes_back(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + 1 + len(data) // 254
    assert cobs_decode(encoded) == data


@pytest.mark.parametrize("damaged", [b"\x00", b"\x03a", b"\x02a\x05abc", b"\x03a\x00"])
def test_damaged_cobs_is_refused(damaged: bytes) -> None:
    with pytest.raises(FrameError):
        cobs_decode(damaged)


def test_the_checksum_is_zlibs() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926
    frame = cobs_decode(Frame(Command.ECHO, 0x1234, b"hi").encode()[1:-1])
    assert frame[:8] == bytes([2, 2, 0, 0, 0x34, 0x12, 2, 0])
    assert frame[8:10] == b"hi"
    assert struct.unpack("<I", frame[10:])[0] == zlib.crc32(frame[:10])


@pytest.mark.parametrize("size", [0, 1, 242, 243, 254, 1024, protocol.MAX_PAYLOAD])
def test_a_frame_comes_back_whole_byte_by_byte(size: int) -> None:
    frame = Frame(Command.ECHO, 65535, bytes(i % 256 for i in range(size)), status=3)
    decoder = Decoder()
    got = [f for byte in frame.encode() for f in decoder.feed(bytes([byte]))]
    assert got == [frame]
    assert decoder.damaged == 0


def test_a_payload_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match=str(protocol.MAX_PAYLOAD)):
        Frame(Command.ECHO, 1, bytes(protocol.MAX_PAYLOAD + 1)).encode()


def test_every_flipped_bit_is_found() -> None:
    encoded = Frame(Command.ECHO, 7, b"abc\0def").encode()
    for bit in range(8, 8 * (len(encoded) - 1)):
        damaged = bytearray(encoded)
        damaged[bit // 8] ^= 1 << bit % 8
        assert list(Decoder().feed(bytes(damaged) + b"\0")) == []


@pytest.mark.parametrize("noise", [b"\x05", b"\xff" * 5000, b"noise\0", bytes(3), b"\x01", b"\x02a\0\0\x03"])
def test_the_frame_after_noise_is_found(noise: bytes) -> None:
    frame = Frame(Command.HELLO, 1)
    decoder = Decoder()
    assert list(decoder.feed(noise)) == []
    assert list(decoder.feed(frame.encode())) == [frame]


def test_an_oversized_frame_is_refused() -> None:
    body = bytes(protocol.MAX_FRAME) + b"\1"
    decoder = Decoder()
    assert list(decoder.feed(cobs_encode(body + struct.pack("<I", zlib.crc32(body))) + b"\0")) == []
    assert decoder.damaged == 1


def test_a_stated_size_that_differs_is_refused() -> None:
    body = protocol.HEADER.pack(1, 2, 0, 0, 1, 5) + b"abc"
    with pytest.raises(FrameError, match="3 bytes of payload, 5 stated"):
        Frame.decode(cobs_encode(body + struct.pack("<I", zlib.crc32(body))))


def test_a_hello_that_is_too_short_is_refused() -> None:
    with pytest.raises(FrameError, match="10 bytes"):
        Hello.parse(bytes(10))
    with pytest.raises(FrameError, match="sizes of 3 inputs and outputs"):
        Hello.parse(bytes(60) + b"\1\0\2\0" + bytes(16 + 11))
