"""Inputs that come while an inference runs, repetitions of all ages, hashes, and the checksum of the input."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from onnxino.backends import open_backend
from onnxino.model import load_model
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import MAX_WINDOW, REPLY, Command, Decoder, Frame, InferFlag, Statistics, Status
from tests.firmware.conftest import Start
from tests.firmware.models import INPUT, OUTPUT, dense_model, expected_output

MODEL = dense_model()
WITHOUT_ROOM = dense_model(output_at=0x38000 - 1312)
IMAGES = np.random.default_rng(8).integers(-128, 128, (16, INPUT)).astype(np.int8)


def write_frames(image: np.ndarray, sequence: int) -> list[bytes]:
    data = image.tobytes()
    return [
        Frame(Command.INPUT_WRITE, sequence + i, struct.pack("<II", 0, at) + data[at : at + 1024]).encode()
        for i, at in enumerate(range(0, INPUT, 1024))
    ]


def infer_frame(sequence: int, payload: bytes = b"") -> bytes:
    return Frame(Command.INFER, sequence, payload).encode()


def answers(link: DeviceLink, *requests: bytes) -> list[Frame]:
    link.transport.write(b"".join(requests))
    decoder = Decoder()
    frames: list[Frame] = []
    while piece := link.transport.read(0.15):
        frames += decoder.feed(piece)
    assert decoder.damaged == 0
    return frames


def by_sequence(frames: list[Frame]) -> dict[int, Frame]:
    assert len({frame.sequence for frame in frames}) == len(frames)
    return {frame.sequence: frame for frame in frames}


def result(frame: Frame) -> bytes:
    assert (frame.type, frame.status) == (Command.INFER | REPLY, Status.OK)
    return frame.payload[12:]


def expected(image: np.ndarray, model: bytes = MODEL) -> bytes:
    return expected_output(model, image)[:1024]


@pytest.fixture
def link(start: Start) -> DeviceLink:
    device = start()
    device.load_model(MODEL)
    assert device.hello().stages_inputs
    return device


def test_the_next_image_comes_while_one_is_computed(link: DeviceLink) -> None:
    answers(link, *write_frames(IMAGES[0], 0))
    for n in range(1, 10):
        found = answers(link, infer_frame(10 * n), *write_frames(IMAGES[n], 10 * n + 1))
        assert [frame.sequence for frame in found] == [10 * n + 1, 10 * n + 2, 10 * n]
        assert result(found[-1]) == expected(IMAGES[n - 1])
        rest = struct.pack("<III", 0, 1024, OUTPUT - 1024)
        (tail,) = answers(link, Frame(Command.OUTPUT_READ, 10 * n + 3, rest).encode())
        assert tail.payload == expected_output(MODEL, IMAGES[n - 1])[1024:]


def test_no_repetition_is_run_twice_whenever_it_comes(link: DeviceLink) -> None:
    """Pieces of this image and of those before, again, between and behind the others."""
    history: list[bytes] = []
    for n, image in enumerate(IMAGES):
        pieces = write_frames(image, 100 * n)
        late = history[-4:] if n % 2 else []
        sent = [pieces[0], *late, pieces[0], pieces[1], pieces[0], *late, pieces[1]]
        assert all(frame.status == Status.OK for frame in answers(link, *sent))
        (answer,) = answers(link, infer_frame(100 * n + 50))
        assert result(answer) == expected(image)
        again = answers(link, infer_frame(100 * n + 50), pieces[1], pieces[0])
        assert again[0] == answer
        history += pieces
    assert Statistics.parse(link.request(Command.STATISTICS, doing="")).repeated > 80


def test_a_window_of_requests_is_within_what_the_device_remembers() -> None:
    text = (__import__("pathlib").Path(__file__).parents[2] / "firmware" / "device.h").read_text()
    kept = int(text.split("#define ONX_MAX_HISTORY ")[1].split("u")[0])
    assert kept >= 2 * MAX_WINDOW


def test_what_is_refused_and_what_is_answered_meanwhile(link: DeviceLink) -> None:
    answers(link, *write_frames(IMAGES[0], 0))
    found = by_sequence(
        answers(
            link,
            infer_frame(10),
            infer_frame(10),
            infer_frame(11),
            Frame(Command.PROFILE, 12, bytes(4)).encode(),
            Frame(Command.LOAD_BEGIN, 13, MODEL[:32]).encode(),
            Frame(Command.HELLO, 14).encode(),
            Frame(Command.ECHO, 15, b"hello").encode(),
        )
    )
    assert [found[i].status for i in (11, 12, 13)] == [Status.BUSY] * 3
    assert found[14].status == Status.OK
    assert found[15].payload == b"hello"
    assert result(found[10]) == expected(IMAGES[0])
    # BUSY is not remembered: the same frame is run later.
    (profile,) = answers(link, Frame(Command.PROFILE, 12, bytes(4)).encode())
    assert profile.status == Status.OK
    assert link.has_model(MODEL)


@pytest.mark.parametrize(
    ("command", "payload"), [(Command.OUTPUT_READ, struct.pack("<III", 0, 0, 1024)), (Command.PROFILE, bytes(4))]
)
def test_a_late_repetition_is_not_answered_from_what_is_being_computed(
    link: DeviceLink, command: Command, payload: bytes
) -> None:
    answers(link, *write_frames(IMAGES[0], 0), infer_frame(5))
    request = Frame(command, 6, payload).encode()
    (first,) = answers(link, request)
    found = answers(link, *write_frames(IMAGES[1], 10), infer_frame(15), request)
    busy = next(frame for frame in found if frame.sequence == 6)
    assert (busy.type, busy.status, busy.payload) == (command | REPLY, Status.BUSY, b"")
    assert first.status == Status.OK
    assert result(found[-1]) == expected(IMAGES[1])


def test_a_repetition_that_was_busy_is_still_known_later(link: DeviceLink) -> None:
    """LAST_FAULT was answered; its repetition meanwhile must not make it run once more afterwards."""
    request = Frame(Command.LAST_FAULT, 6, b"\1").encode()
    (first,) = answers(link, request)
    assert Statistics.parse(link.request(Command.STATISTICS, doing="")).repeated == 0
    pieces = write_frames(IMAGES[0], 10)
    answers(link, *pieces)
    (first,) = answers(link, request)
    found = by_sequence(answers(link, infer_frame(15), request))
    assert found[6].status == Status.BUSY
    (again,) = answers(link, request)
    assert again == first
    assert Statistics.parse(link.request(Command.STATISTICS, doing="")).repeated == 1


@pytest.mark.parametrize("index", [1, 99, 0xFFFFFFFF])
def test_an_output_that_does_not_exist(link: DeviceLink, index: int) -> None:
    answers(link, *write_frames(IMAGES[0], 0), infer_frame(5))
    for size in (0, 1):
        (found,) = answers(link, Frame(Command.OUTPUT_READ, 6 + size, struct.pack("<III", index, 0, size)).encode())
        assert found.status == Status.OUT_OF_RANGE


def test_behind_the_last_operator(link: DeviceLink) -> None:
    answers(link, *write_frames(IMAGES[0], 0), infer_frame(5, bytes([InferFlag.HASHES])))
    for sequence, command in ((6, Command.PROFILE), (7, Command.HASHES)):
        (found,) = answers(link, Frame(command, sequence, struct.pack("<I", 2)).encode())
        assert (found.status, found.payload) == (Status.OK, struct.pack("<I", 2))
        (found,) = answers(link, Frame(command, sequence + 10, struct.pack("<I", 3)).encode())
        assert found.status == Status.OUT_OF_RANGE


def test_without_room_inputs_are_written_in_place_and_wait(start: Start) -> None:
    link = start()
    link.load_model(WITHOUT_ROOM)
    assert not link.hello().stages_inputs
    for n in range(3):
        answers(link, *write_frames(IMAGES[n], 100 * n))
        found = by_sequence(answers(link, infer_frame(100 * n + 10), *write_frames(IMAGES[n + 1], 100 * n + 11)))
        assert [found[100 * n + i].status for i in (11, 12)] == [Status.BUSY] * 2
        assert result(found[100 * n + 10]) == expected(IMAGES[n], WITHOUT_ROOM)
    answers(link, write_frames(IMAGES[5], 1000)[0])
    found = answers(link, Frame(Command.OUTPUT_READ, 1005, struct.pack("<III", 0, 0, 4)).encode(), infer_frame(210))
    assert [frame.status for frame in found] == [Status.NO_RESULT] * 2  # the output is overwritten, the old INFER too


def test_the_inputs_checksum(link: DeviceLink) -> None:
    for n in range(4):
        answers(link, *write_frames(IMAGES[n], 100 * n))
        right = zlib.crc32(IMAGES[n].tobytes())
        wrong = n % 2
        request = struct.pack("<BxxxI", InferFlag.CHECK, right ^ wrong)
        (found,) = answers(link, infer_frame(100 * n + 10, request))
        if wrong:
            assert (found.status, found.payload) == (Status.INPUT_DIFFERS, struct.pack("<I", right))
            read = Frame(Command.OUTPUT_READ, 100 * n + 12, bytes(12)).encode()
            found, output = answers(link, infer_frame(100 * n + 11), read)
            assert found.status == Status.INPUT_INCOMPLETE
            assert output.status == Status.NO_RESULT  # not that of the image before
        else:
            assert result(found) == expected(IMAGES[n])


def test_hashes_of_every_operators_output(link: DeviceLink) -> None:
    model = load_model(MODEL)
    reference = open_backend("numpy", model, MODEL).run_all([IMAGES[0][None, None]])
    answers(link, *write_frames(IMAGES[0], 0), infer_frame(5, bytes([InferFlag.HASHES])))
    total, *hashes = struct.unpack("<3I", link.request(Command.HASHES, bytes(4), doing=""))
    assert total == 2
    assert hashes == [zlib.crc32(reference[int(op.outputs[0])].tobytes()) for op in model.operators]
    answers(link, *write_frames(IMAGES[0], 10), infer_frame(15))
    with pytest.raises(DeviceError) as error:
        link.request(Command.HASHES, bytes(4), doing="")
    assert error.value.status == Status.NO_RESULT


@pytest.mark.parametrize("payload", [b"\4", b"\2", b"\1\0", bytes(8), b"\2\0\0\0\0\0\0\0\0"])
def test_wrong_flags(link: DeviceLink, payload: bytes) -> None:
    (found,) = answers(link, infer_frame(5, payload))
    assert found.status == Status.BAD_PAYLOAD
