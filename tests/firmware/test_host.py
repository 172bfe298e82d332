"""The portable firmware on the host under sanitizers: protocol, loss of power, damaged models, random bytes."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from onnxino.errors import LinkError
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import MAX_PAYLOAD, REPLY, Command, Decoder, Event, Frame, Status, cobs_encode
from tests.firmware.conftest import Start
from tests.firmware.models import INPUT, OUTPUT, dense_model, expected_output

MODEL = dense_model()
SAMPLE = np.random.default_rng(3).integers(-128, 128, INPUT).astype(np.int8)


def _with_crc(data: bytes) -> bytes:
    return data[:16] + struct.pack("<I", zlib.crc32(data[:16] + data[20:])) + data[20:]


def _infers_right(link: DeviceLink) -> bool:
    return link.infer(SAMPLE.tobytes(), [OUTPUT]).output == expected_output(MODEL, SAMPLE)


def _load(link: DeviceLink, data: bytes) -> DeviceError | None:
    try:
        link.load_model(data)
    except DeviceError as error:
        return error
    return None


def test_load_infer_profile_reset(start: Start) -> None:
    link = start()
    hello = link.hello()
    assert not hello.model_valid
    assert (hello.board_id, hello.max_payload, hello.arena_size) == (1, MAX_PAYLOAD, 0x38000)
    link.load_model(MODEL)
    hello = link.hello()
    assert hello.model_valid
    assert (hello.model_name, hello.model_size, hello.operators, hello.input_sizes, hello.output_sizes) == (
        "dense",
        len(MODEL),
        2,
        (INPUT,),
        (OUTPUT,),
    )
    assert hello.model_crc == int.from_bytes(MODEL[16:20], "little")
    assert link.has_model(MODEL)
    assert not link.has_model(dense_model(seed=2))
    assert link.read_model(0, len(MODEL)) == MODEL
    for _ in range(2):
        assert _infers_right(link)
    assert [index for index, _ in link.profile()] == [0, 1]
    assert link.reset().model_name == "dense"
    assert _infers_right(link)
    assert (link.retries, link.damaged_frames) == (0, 0)


def test_another_model_replaces_the_first(start: Start) -> None:
    link = start()
    link.load_model(MODEL)
    other = dense_model(seed=9, name="other")
    link.load_model(other)
    assert link.hello().model_name == "other"
    assert link.infer(SAMPLE.tobytes(), [OUTPUT]).output == expected_output(other, SAMPLE)


# 20 pages are erased and 19,660 words written: power fails in the first, in the last (header, magic), and between.
@pytest.mark.parametrize("cut", [1, 2, 3, 1020, 5000, 17000, 19600, *range(19660, 19684)])
def test_a_load_without_power_leaves_no_valid_model(start: Start, cut: int) -> None:
    start().load_model(dense_model(seed=2))
    try:
        start(cut).load_model(MODEL)
        finished = True
    except LinkError:
        finished = False
    link = start()
    hello = link.hello()
    assert hello.model_valid == finished
    if finished:
        assert link.has_model(MODEL)
    else:
        with pytest.raises(DeviceError) as error:
            link.infer(b"x")
        assert error.value.status == Status.NO_MODEL
    link.load_model(MODEL)
    assert _infers_right(link)


def test_the_cuts_reach_the_last_word(start: Start) -> None:
    link = start(19680)
    with pytest.raises(LinkError):
        link.load_model(MODEL)
    assert start().read_model(0, 32) == b"\xff\xff\xff\xff" + MODEL[4:32]
    start(19681).load_model(MODEL)


def test_flipped_bits_are_refused(start: Start) -> None:
    link = start()
    for at in random.Random(5).sample(range(32, len(MODEL)), 5):
        damaged = bytearray(MODEL)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(DeviceError) as error:
            link.load_model(bytes(damaged))
        assert error.value.status == Status.CRC_MISMATCH
        assert not link.hello().model_valid


def test_models_that_are_wrong_in_spite_of_their_checksum_are_refused(start: Start) -> None:
    link = start()
    refused = 0
    for at in random.Random(6).sample(range(32, 1500), 60):
        damaged = bytearray(MODEL)
        damaged[at] ^= 0xFF
        error = _load(link, _with_crc(bytes(damaged)))
        if error is None:
            assert len(link.infer(SAMPLE.tobytes(), [OUTPUT]).output) == OUTPUT
        else:
            assert error.status == Status.MODEL_REFUSED
            assert "code -" in error.message
            assert not link.hello().model_valid
            refused += 1
    assert refused > 5


def test_flash_that_rots_is_found_at_the_next_start(start: Start, tmp_path: Path) -> None:
    start().load_model(MODEL)
    flash = tmp_path / "flash"
    data = bytearray(flash.read_bytes())
    data[40000] ^= 1
    flash.write_bytes(bytes(data))
    assert start().hello().model_status == -7


def test_a_model_larger_than_the_flash_region(start: Start) -> None:
    header = MODEL[:12] + struct.pack("<I", 0xA0010) + MODEL[16:32]
    link = start()
    with pytest.raises(DeviceError, match="does not fit") as error:
        link.request(Command.LOAD_BEGIN, header, doing="loading")
    assert error.value.payload == struct.pack("<I", 0xA0000)


@pytest.mark.parametrize(
    ("command", "payload", "status"),
    [
        (0x7A, b"", Status.UNKNOWN_COMMAND),
        (Command.HELLO, b"x", Status.BAD_PAYLOAD),
        (Command.RESET, b"x", Status.BAD_PAYLOAD),
        (Command.LOAD_BEGIN, bytes(31), Status.BAD_PAYLOAD),
        (Command.LOAD_BEGIN, MODEL[:12] + struct.pack("<I", 24) + bytes(16), Status.BAD_PAYLOAD),
        (Command.LOAD_BEGIN, MODEL[:12] + struct.pack("<I", 100) + bytes(16), Status.BAD_PAYLOAD),
        (Command.LOAD_WRITE, bytes(8), Status.NOT_LOADING),
        (Command.LOAD_COMMIT, b"", Status.NOT_LOADING),
        (Command.MODEL_READ, bytes(4), Status.BAD_PAYLOAD),
        (Command.MODEL_READ, struct.pack("<II", 0, MAX_PAYLOAD + 1), Status.OUT_OF_RANGE),
        (Command.MODEL_READ, struct.pack("<II", 0xA0000 - 4, 8), Status.OUT_OF_RANGE),
        (Command.MODEL_READ, struct.pack("<II", 0xFFFFFFFF, 8), Status.OUT_OF_RANGE),
        (Command.MODEL_CRC, struct.pack("<II", 16, 0xA0000), Status.OUT_OF_RANGE),
        (Command.INPUT_WRITE, struct.pack("<II", 0, 0), Status.BAD_PAYLOAD),
        (Command.INPUT_WRITE, struct.pack("<II", 1, 0) + b"x", Status.OUT_OF_RANGE),
        (Command.INPUT_WRITE, struct.pack("<II", 0, INPUT) + b"x", Status.OUT_OF_RANGE),
        (Command.INPUT_WRITE, struct.pack("<II", 0, 0xFFFFFFFF) + b"x", Status.OUT_OF_RANGE),
        (Command.INPUT_WRITE, struct.pack("<II", 0, 7) + b"x", Status.OUT_OF_ORDER),
        (Command.INFER, b"", Status.INPUT_INCOMPLETE),
        (Command.INFER, b"x", Status.BAD_PAYLOAD),
        (Command.OUTPUT_READ, bytes(12), Status.NO_RESULT),
        (Command.PROFILE, bytes(4), Status.NO_RESULT),
    ],
)
def test_wrong_requests(start: Start, command: int, payload: bytes, status: Status) -> None:
    link = start()
    link.load_model(MODEL)
    with pytest.raises(DeviceError) as error:
        link.request(command, payload, doing="asking")  # type: ignore[arg-type]
    assert error.value.status == status
    assert _infers_right(link)


@pytest.mark.parametrize(
    ("command", "payload", "status"),
    [
        (Command.OUTPUT_READ, struct.pack("<III", 1, 0, 1), Status.OUT_OF_RANGE),
        (Command.OUTPUT_READ, struct.pack("<III", 0, OUTPUT, 1), Status.OUT_OF_RANGE),
        (Command.OUTPUT_READ, struct.pack("<III", 0, 0, OUTPUT), Status.OUT_OF_RANGE),
        (Command.OUTPUT_READ, bytes(8), Status.BAD_PAYLOAD),
        (Command.PROFILE, struct.pack("<I", 3), Status.OUT_OF_RANGE),
        (Command.PROFILE, b"", Status.BAD_PAYLOAD),
        (Command.INFER, b"", Status.INPUT_INCOMPLETE),
    ],
)
def test_wrong_requests_after_an_inference(start: Start, command: Command, payload: bytes, status: Status) -> None:
    link = start()
    link.load_model(MODEL)
    assert _infers_right(link)
    with pytest.raises(DeviceError) as error:
        link.request(command, payload, doing="asking")
    assert error.value.status == status


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (struct.pack("<I", 36) + bytes(8), Status.OUT_OF_ORDER),
        (struct.pack("<I", 32) + bytes(6), Status.BAD_PAYLOAD),
        (struct.pack("<I", 32), Status.BAD_PAYLOAD),
        (struct.pack("<I", 32) + bytes(36), Status.OUT_OF_RANGE),
    ],
)
def test_wrong_pieces_of_a_model(start: Start, payload: bytes, status: Status) -> None:
    link = start()
    link.request(Command.LOAD_BEGIN, MODEL[:12] + struct.pack("<I", 64) + MODEL[16:32], doing="loading")
    with pytest.raises(DeviceError) as error:
        link.request(Command.LOAD_WRITE, payload, doing="loading")
    assert error.value.status == status
    with pytest.raises(DeviceError) as error:
        link.request(Command.LOAD_COMMIT, doing="loading")
    assert (error.value.status, error.value.payload) == (Status.OUT_OF_ORDER, struct.pack("<I", 32))


def _answers(link: DeviceLink, data: bytes) -> list[Frame]:
    link.transport.write(data)
    decoder = Decoder()
    frames: list[Frame] = []
    while piece := link.transport.read(0.15):
        frames += decoder.feed(piece)
    assert decoder.damaged == 0
    return frames


def test_a_repeated_request_is_answered_again_but_not_run_again(start: Start) -> None:
    link = start()
    link.load_model(MODEL)
    link.request(Command.INPUT_WRITE, struct.pack("<II", 0, 0) + SAMPLE.tobytes()[:1024], doing="")
    link.request(Command.INPUT_WRITE, struct.pack("<II", 0, 1024) + SAMPLE.tobytes()[1024:], doing="")
    request = Frame(Command.INFER, 77).encode()
    (first,) = _answers(link, request + request)  # the second comes while the first runs
    (second,) = _answers(link, request)
    assert first == second
    assert first.status == Status.OK
    assert first.payload[12:] == expected_output(MODEL, SAMPLE)[:1024]
    (third,) = _answers(link, Frame(Command.INFER, 78).encode())
    assert third.status == Status.INPUT_INCOMPLETE


def test_what_is_no_frame_is_answered_with_the_reason(start: Start) -> None:
    link = start()
    bad = Event.BAD_FRAME | REPLY
    good = Frame(Command.ECHO, 5, b"after")
    for noise, status in [
        (b"noise\0", Status.BAD_CRC),
        (b"\x01\0", Status.BAD_CRC),
        (b"\xff" * 3000 + b"\0", Status.FRAME_TOO_LONG),
        (good.encode()[:-4] + b"\0", Status.BAD_CRC),
        (cobs_encode(bytes(1100)) + b"\0", Status.FRAME_TOO_LONG),
    ]:
        frames = _answers(link, noise + good.encode())
        assert [(f.type, f.status) for f in frames] == [(bad, status), (Command.ECHO | REPLY, Status.OK)]
    (answer,) = _answers(link, Frame(Command.HELLO, 5, version=1).encode())
    assert answer.status == Status.BAD_VERSION
    assert _answers(link, bytes(50)) == []


def test_random_bytes_and_mutated_frames_do_no_harm(start: Start) -> None:
    link = start()
    link.load_model(MODEL)
    chance = random.Random(11)
    commands = [c for c in Command if c not in (Command.RESET, Command.LOAD_BEGIN)]
    for _ in range(150):
        data = bytearray(
            Frame(chance.choice(commands), chance.randrange(65536), chance.randbytes(chance.randrange(60))).encode()
        )
        if chance.random() < 0.5:
            data[chance.randrange(len(data))] = chance.randrange(256)
        link.transport.write(bytes(data) + chance.randbytes(chance.choice([0, 0, 5, 300])))
    link.transport.write(chance.randbytes(20000))
    assert link.echo(b"still here") == b"still here"
    assert _infers_right(link)


def test_random_requests_of_valid_frames_do_no_harm(start: Start) -> None:
    link = start()
    chance = random.Random(12)
    interesting = [0, 1, 4, 31, 32, 36, 1024, 0x9FFF0, 0xA0000, 0x7FFFFFFF, 0xFFFFFFFF]
    for _ in range(400):
        words = [chance.choice(interesting) for _ in range(chance.randrange(4))]
        payload = struct.pack(f"<{len(words)}I", *words) + bytes(chance.choice([0, 0, 4, 100]))
        if chance.random() < 0.1:
            payload = MODEL[:32]
        command = chance.choice([c for c in Command if c != Command.RESET])
        try:
            link.request(command, payload, doing="probing")
        except DeviceError:
            continue
    link.load_model(MODEL)
    assert _infers_right(link)
