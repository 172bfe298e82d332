"""A camera's frame through the firmware, under sanitizers and in the emulated board: the bytes of the NumPy twin."""

from __future__ import annotations

import struct

import pytest

from onnxino.camera import FITS, FORMATS, Frame, frame_input
from onnxino.model import load_model
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import Command, FrameFormat, Status
from tests.camera.test_camera import MODELS, picture_model, random_frame
from tests.firmware.conftest import Start

OXM = picture_model(**MODELS["quantized with metadata"])


def begin(link: DeviceLink, format: int, width: int, height: int, fit: int = 0) -> None:
    link.request(Command.FRAME_BEGIN, struct.pack("<BBHH", format, fit, width, height), doing="")


def send(link: DeviceLink, frame: Frame, fit: str = "crop") -> None:
    begin(link, FORMATS[frame.format], frame.width, frame.height, FITS[fit])
    for at in range(0, len(frame.data), 1024):
        link.request(Command.FRAME_WRITE, struct.pack("<I", at) + frame.data[at : at + 1024], doing="")


def infer(link: DeviceLink, model: bytes) -> bytes:
    """The outputs of what lies in the inputs."""
    size = link.hello().output_sizes[0]
    out = link.request(Command.INFER, doing="")[12:]
    while len(out) < size:
        piece = struct.pack("<III", 0, len(out), min(1024, size - len(out)))
        out += link.request(Command.OUTPUT_READ, piece, doing="")
    return out


def reference(oxm: bytes, frame: Frame, fit: str) -> bytes:
    from onnxino.backends import open_backend

    model = load_model(oxm)
    (output,) = open_backend("numpy", model, oxm).run([frame_input(model, frame, fit)])
    return output.tobytes()


def refused(link: DeviceLink, command: Command, payload: bytes = b"") -> DeviceError:
    with pytest.raises(DeviceError) as error:
        link.request(command, payload, doing="")
    return error.value


def test_formats_are_the_cameras() -> None:
    assert [int(format) for format in FrameFormat] == list(FORMATS.values())


@pytest.mark.parametrize("name", ["quantized with metadata", "one channel, NHWC, wide", "raw int8, NHWC"])
def test_a_frame_becomes_the_input(start: Start, name: str) -> None:
    oxm = picture_model(**MODELS[name])
    link = start()
    link.load_model(oxm)
    for format, fit in zip(FORMATS, [*FITS, *FITS], strict=True):
        frame = random_frame(format, 160, 120, 7)
        send(link, frame, fit)
        link.request(Command.FRAME_CONVERT, doing="")
        assert infer(link, oxm) == reference(oxm, frame, fit)
    link.request(Command.FRAME_CONVERT, doing="")  # the frame is still there
    assert infer(link, oxm) == reference(oxm, frame, fit)


def test_frames_and_inputs_take_turns(start: Start) -> None:
    link = start()
    link.load_model(OXM)
    model = load_model(OXM)
    first, second = (random_frame("rgb565be", 60, 40, seed) for seed in range(2))
    send(link, first)
    values = frame_input(model, second).tobytes()
    write = struct.pack("<II", 0, 0) + values[:1024]
    link.request(Command.INPUT_WRITE, write, doing="")  # where the frame was
    assert refused(link, Command.FRAME_CONVERT).status == Status.FRAME_INCOMPLETE
    error = refused(link, Command.FRAME_WRITE, bytes(8))
    assert (error.status, error.payload) == (Status.FRAME_INCOMPLETE, bytes(4))
    for at in range(0, len(values), 1024):  # whole: only the frame that takes its place keeps it from running
        link.request(Command.INPUT_WRITE, struct.pack("<II", 0, at) + values[at : at + 1024], doing="")
    send(link, first)
    assert refused(link, Command.INFER).status == Status.INPUT_INCOMPLETE
    link.request(Command.FRAME_CONVERT, doing="")
    send(link, second)
    assert infer(link, OXM) == reference(OXM, first, "crop")
    link.request(Command.FRAME_CONVERT, doing="")
    assert refused(link, Command.OUTPUT_READ, bytes(12)).status == Status.NO_RESULT
    assert infer(link, OXM) == reference(OXM, second, "crop")
    assert infer_values(link, frame_input(model, first).tobytes()) == reference(OXM, first, "crop")


def infer_values(link: DeviceLink, values: bytes) -> bytes:
    return link.infer(values, list(link.hello().output_sizes)).output


def test_refusals(start: Start) -> None:
    link = start()
    assert refused(link, Command.FRAME_BEGIN, bytes(6)).status == Status.NO_MODEL
    link.load_model(OXM)
    assert refused(link, Command.FRAME_BEGIN, bytes(5)).status == Status.BAD_PAYLOAD
    for payload, code in [
        (struct.pack("<BBHH", 4, 0, 8, 8), -1),
        (struct.pack("<BBHH", 0, 2, 8, 8), -1),
        (struct.pack("<BBHH", 0, 0, 0, 8), -2),
        (struct.pack("<BBHH", 3, 0, 9, 8), -2),
    ]:
        error = refused(link, Command.FRAME_BEGIN, payload)
        assert error.status == Status.FRAME_REFUSED
        assert struct.unpack_from("<i", error.payload) == (code,)
        assert len(error.payload[8:]) > 10
    error = refused(link, Command.FRAME_BEGIN, struct.pack("<BBHH", 1, 0, 4000, 400))
    hello = link.hello()
    free = hello.arena_size - (hello.model_arena_size + 15) // 16 * 16
    assert (error.status, error.payload) == (Status.FRAME_TOO_LARGE, struct.pack("<I", free))
    assert refused(link, Command.FRAME_CONVERT).status == Status.FRAME_INCOMPLETE
    begin(link, 0, 10, 10)
    assert refused(link, Command.FRAME_WRITE, bytes(4)).status == Status.BAD_PAYLOAD
    assert refused(link, Command.FRAME_WRITE, bytes(4 + 101)).status == Status.OUT_OF_RANGE
    error = refused(link, Command.FRAME_WRITE, struct.pack("<I", 5) + b"x")
    assert (error.status, error.payload) == (Status.OUT_OF_ORDER, struct.pack("<I", 0))
    link.request(Command.FRAME_WRITE, bytes(4 + 30), doing="")
    error = refused(link, Command.FRAME_CONVERT)
    assert (error.status, error.payload) == (Status.FRAME_INCOMPLETE, struct.pack("<I", 30))
    assert refused(link, Command.FRAME_CONVERT, b"x").status == Status.BAD_PAYLOAD


def test_the_largest_frame_that_fits(start: Start) -> None:
    """Frame and scratch end at the arena's end: the sanitizers would see a byte behind it."""
    link = start()
    link.load_model(OXM)
    fits, too_large = 1, 400
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        try:
            begin(link, 1, 400, middle)
            fits = middle
        except DeviceError:
            too_large = middle
    assert fits > 200
    frame = random_frame("rgb565be", 400, fits, 1)
    send(link, frame)
    link.request(Command.FRAME_CONVERT, doing="")
    assert infer(link, OXM) == reference(OXM, frame, "crop")


def test_a_frame_in_the_emulated_board() -> None:
    pytest.importorskip("unicorn")
    from onnxino_tools.build import firmware_image
    from onnxino_tools.emulator import EmulatorTransport, Machine

    link = DeviceLink(EmulatorTransport(Machine(firmware_image(), OXM, strict=True)))
    frame = random_frame("rgb565be", 160, 120, 2)
    send(link, frame)
    link.request(Command.FRAME_CONVERT, doing="")
    assert infer(link, OXM) == reference(OXM, frame, "crop")
