"""The bootloader's protocol, byte for byte."""

from __future__ import annotations

import pytest

from onnxino_tools.emulator.bootloader_protocol import (
    FlashWrite,
    Reply,
    Restart,
    SamBa,
    UsbOff,
    crc16,
)

VERSION = b"Arduino Bootloader (SAM-BA extended) 2.0 [Arduino:IKXYZ]\n\r\0n"
IDENTITY = b"nRF52840-QIAA\n\r\0X"
OLD = bytes(range(256)) * 4096


def make(limit: int | None = None) -> SamBa:
    return SamBa(lambda address, size: OLD[address : address + size], limit)


def replies(device: SamBa, data: bytes) -> bytes:
    return b"".join(action.data for action in device.answer(data) if isinstance(action, Reply))


def writes(device: SamBa, data: bytes) -> list[FlashWrite]:
    return [action for action in device.answer(data) if isinstance(action, FlashWrite)]


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"N#", b"\n\r"),
        (b"V#", VERSION),
        (b"I#", IDENTITY),
        (b"Vwhatever#", VERSION),  # the first character decides
        (b"X00000000#", b"X\n\r"),
        (b"X#", b"X\n\r"),
        (b"S00000000,00000000#", b""),
        (b"S00000010,00000004#abcd", b""),
        (b"S00000010,00000004#V#V#N#", b"\n\r"),  # data, whatever it looks like
        (b"Y00000034,0#", b"Y\n\r"),
        (b"Y00000000,00001000#", b"Y\n\r"),
        (b"Z00000000,00001000#", b"Z%08X#\n\r" % crc16(OLD[0x10000:0x11000])),
        (b"Z00000001,00000003#", b"Z%08X#\n\r" % crc16(OLD[0x10001:0x10004])),
        (b"Z000D0000,00001000#", b"Z%08X#\n\r" % crc16(OLD[0xE0000:0xE1000])),
        (b"ZFFFF0000,00001000#", b"Z%08X#\n\r" % crc16(OLD[:0x1000])),
        (b"z00000000,00001000#", b""),
        (b"Zffff0000,0000000a#", b"Z%08X#\n\r" % crc16(OLD[:10])),
        (b"Z00000000,0#", b"Z00000000#\n\r"),
        *((letter + b"00000000,00000004#", b"") for letter in (b"R", b"r", b"W", b"w", b"O", b"o", b"H", b"h", b"G")),
        (b"#", b""),
        (b"\x00V#", b""),
        (b"#V#", VERSION),  # half a command of somebody else is cleared
        (b"AT\r#V#", VERSION),
        (b"V", b""),
    ],
)
def test_replies(sent: bytes, reply: bytes) -> None:
    assert replies(make(), sent) == reply
    one_by_one = make()
    assert b"".join(replies(one_by_one, sent[i : i + 1]) for i in range(len(sent))) == reply


def test_lengths_and_checks() -> None:
    assert (len(VERSION), len(IDENTITY)) == (60, 17)
    assert crc16(b"123456789") == 0x31C3
    assert crc16(b"\xff" * 4096) == 0xE03E


def test_reset() -> None:
    assert make().answer(b"K#") == [Restart()]


def test_a_page() -> None:
    device = make()
    page = bytes(reversed(range(256))) * 16
    actions = device.answer(b"S00000034,00001000#" + page + b"Y00000034,0#Y00002000,00001000#")
    assert actions == [Reply(b"Y\n\r"), FlashWrite(0x12000, page, 4096), Reply(b"Y\n\r")]


@pytest.mark.parametrize(
    ("command", "address", "size", "erase"),
    [
        (b"Y00000000,00001000#", 0x10000, 4096, 4096),
        (b"Y00000000,00002000#", 0x10000, 8192, 8192),
        (b"Y00000800,00001000#", 0x10800, 4096, 0),  # the driver refuses the erase, and programs all the same
        (b"Y00000000,00000800#", 0x10000, 2048, 0),
        (b"Y00000001,00000003#", 0x10001, 3, 0),
        (b"YFFFF0000,00001000#", 0, 4096, 4096),  # this would end a real board
        (b"Y000CF000,00001000#", 0xDF000, 4096, 4096),
    ],
)
@pytest.mark.parametrize("limit", [None, 0xE0000])
def test_writes(limit: int | None, command: bytes, address: int, size: int, erase: int) -> None:
    done = writes(make(limit), b"Y00000000,0#" + command)
    assert [(write.address, len(write.data), write.erase) for write in done] == [(address, size, erase)]


def test_a_write_behind_the_limit_switches_usb_off() -> None:
    device = make(0xE0000)
    assert device.answer(b"Y000CF001,00001000#V#") == [UsbOff()]
    assert device.answer(b"V#") == []
    assert [type(action) for action in make().answer(b"Y000D0000,00001000#")] == [FlashWrite, Reply]


def test_outside_of_the_flash_nothing_happens() -> None:
    assert make().answer(b"Y000F0000,00001000#") == [Reply(b"Y\n\r")]
    device = make()
    before = replies(device, b"Z00000000,00001000#")
    assert replies(device, b"Z000F0000,00001000#") == before  # the CRC of what was read last


def test_numbers_stand_at_fixed_places() -> None:
    """Too few digits: the second number is what an earlier command left in the buffer."""
    device = make()
    assert writes(device, b"Y00000000,00001000#Y0#") != []
    assert writes(make(), b"Y0,1000#") == []  # at +10 stands nothing: size 0
    assert replies(make(), b"Z00000000 00000003#") == b"Z%08X#\n\r" % crc16(OLD[0x10000:0x10003])


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"V" * 65 + b"#", "longer than 64 bytes"),
        (b"S00001FFF,00000002#ab", "behind the data buffer"),
        (b"Y00001000,0#Y00000000,00002000#", "behind the data buffer"),
        (b"Z00000000,00001001#", "more than the 4096 bytes"),
        (bytes(10000), "more than"),
    ],
)
def test_what_would_overwrite_its_memory_is_noted(sent: bytes, words: str) -> None:
    device = make()
    device.answer(sent)
    assert words in device.warnings[0]
    device.answer(sent)
    assert len(device.warnings) == len(set(device.warnings))


def test_what_bossac_sends() -> None:
    """bossac -i -e -w -v -R of 5000 bytes, with what its flash class does on the side."""
    device = make()
    assert replies(device, b"N#") == b"\n\r"
    assert replies(device, b"V#") == VERSION
    assert replies(device, b"I#") == IDENTITY
    applet = bytes(range(0x20, 0x54))
    assert device.answer(b"S00000000,00000034#" + applet) == []
    assert device.answer(b"W00000030,00000400#W00000020,00000000#") == []
    assert replies(device, b"V#") == VERSION
    assert replies(device, b"X00000000#") == b"X\n\r"
    sketch = bytes(i * 7 & 0xFF for i in range(5000))
    padded = sketch + bytes(8192 - 5000)
    done: list[FlashWrite] = []
    for offset in (0, 4096):
        assert device.answer(b"S00000034,00001000#" + padded[offset : offset + 4096]) == []
        assert replies(device, b"Y00000034,0#") == b"Y\n\r"
        actions = device.answer(b"Y%08X,00001000#" % offset)
        assert actions[1:] == [Reply(b"Y\n\r")]
        done += [action for action in actions if isinstance(action, FlashWrite)]
    assert done == [FlashWrite(0x10000, padded[:4096], 4096), FlashWrite(0x11000, padded[4096:], 4096)]
    assert len(replies(device, b"Z00001000,00000388#")) == 12
    assert device.answer(b"K#") == [Restart()]
    assert device.warnings == []
