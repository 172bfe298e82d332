"""The host's link against a device in Python: lost, doubled and damaged frames, silence, errors, resets."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable

import pytest

from onnxino.errors import LinkError, ModelError
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import REPLY, STATUS_TEXT, Command, Event, Frame, Status
from tests.link.fake_device import FakeDevice, fake_model

MODEL = fake_model()
INPUT = bytes(i * 3 & 255 for i in range(3000))
OUTPUT = bytes((value + 1) & 255 for value in INPUT)


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice(len(INPUT))


@pytest.fixture
def link(device: FakeDevice) -> DeviceLink:
    link = DeviceLink(device, timeout=0.02, retries=8)
    link.flash_timeout = link.commit_timeout = link.infer_timeout = 0.02
    link.infer_patience = 0.2
    return link


def _every(n: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Changes every n-th frame that passes."""
    count = 0

    def pass_on(data: bytes) -> bytes:
        nonlocal count
        count += 1
        return change(data) if count % n == 0 else data

    return pass_on


def _flip(data: bytes) -> bytes:
    at = random.Random(len(data)).randrange(1, len(data) - 1)
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "lost": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "first byte lost": lambda data: data[2:],
    "flipped bit": _flip,
    "doubled": lambda data: data + data,
    "noise before": lambda data: b"\x07\x80noise" + data,
    "noise behind": lambda data: data + b"\x55\xaa",
    "zeros": lambda data: bytes(9) + data,
}


@pytest.mark.parametrize("direction", ["to_device", "to_host"])
@pytest.mark.parametrize("fault", FAULTS)
def test_work_gets_done_on_a_bad_line(device: FakeDevice, link: DeviceLink, fault: str, direction: str) -> None:
    setattr(device, direction, _every(3, FAULTS[fault]))
    link.load_model(MODEL)
    for _ in range(3):
        result = link.infer(INPUT, [len(OUTPUT)])
        assert result.output == OUTPUT
    assert device.flash[: len(MODEL)] == MODEL
    # Whatever the line did, each inference ran once: repetitions are answered from the last answer.
    assert device.executed.count(Command.INFER) == 3
    assert device.executed.count(Command.LOAD_BEGIN) == 1
    assert link.errors_recovered <= link.retries


def test_lost_answers_are_counted(device: FakeDevice, link: DeviceLink) -> None:
    device.to_host = _every(2, lambda data: b"")
    link.echo(b"a")
    link.echo(b"b")
    assert (link.retries, link.errors_recovered) == (1, 1)


def test_an_old_answer_is_not_taken_for_a_new_one(device: FakeDevice, link: DeviceLink) -> None:
    late: list[bytes] = []

    def delay(data: bytes) -> bytes:
        late.append(data)
        return late[-2] + data if len(late) > 1 else data

    device.to_host = delay
    assert [link.echo(bytes([i])) for i in range(5)] == [bytes([i]) for i in range(5)]


def test_figures_of_an_inference(link: DeviceLink) -> None:
    link.load_model(MODEL)
    result = link.infer(INPUT, [len(OUTPUT)])
    assert result.cycles == 6_400_000_000  # more than 32 bits
    assert result.microseconds == 100_000_000
    assert link.infer(INPUT).output == OUTPUT[:1024]
    assert link.profile() == [(0, 10), (1, 20), (2, 30)]


def test_load_reports_its_progress_and_checks_the_model(device: FakeDevice, link: DeviceLink) -> None:
    steps: list[tuple[int, int]] = []
    assert not link.has_model(MODEL)
    link.load_model(MODEL, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(MODEL), len(MODEL))
    assert steps == sorted(set(steps))
    assert link.has_model(MODEL)
    assert link.read_model(0, len(MODEL)) == MODEL
    device.flash[2000] ^= 1
    assert not link.has_model(MODEL)


@pytest.mark.parametrize("data", [b"", b"OXM\x1a", bytes(64), b"\x08\x07" * 40])
def test_what_is_no_model_is_not_sent(device: FakeDevice, link: DeviceLink, data: bytes) -> None:
    with pytest.raises(ModelError, match=r"not a \.oxm file"):
        link.load_model(data)
    assert device.executed == []


def test_a_damaged_model_is_refused(link: DeviceLink) -> None:
    with pytest.raises(DeviceError, match=r"verifying it.*CRC-32 differs"):
        link.load_model(MODEL[:-1] + bytes([MODEL[-1] ^ 1]))


@pytest.mark.parametrize(
    ("call", "doing"),
    [
        (lambda link: link.hello(), "waiting for its hello"),
        (lambda link: link.load_model(MODEL), "loading the model"),
        (lambda link: link.infer(INPUT), "sending input 0"),
        (lambda link: link.profile(), "reading the profile"),
        (lambda link: link.reset(wait=0.01), "resetting it"),
    ],
)
def test_a_silent_device_is_reported_with_what_was_being_done(
    device: FakeDevice, link: DeviceLink, call: Callable[[DeviceLink], object], doing: str
) -> None:
    device.silent = True
    link.max_retries = 1
    with pytest.raises(LinkError, match=f"device at fake does not answer while {doing}") as error:
        call(link)
    assert error.value.hint is not None
    assert "reset button" in error.value.hint


def test_another_firmware_is_told_from_silence(device: FakeDevice, link: DeviceLink) -> None:
    device.to_host = lambda data: b"Hello from a sketch\r\n"
    link.max_retries = 1
    with pytest.raises(LinkError, match="does not answer while waiting for its hello") as error:
        link.hello()
    assert "another firmware" in str(error.value.hint)


def test_a_flood_of_bytes_is_refused_soon(device: FakeDevice, link: DeviceLink) -> None:
    """A port that never falls silent: its first attempt is the last."""
    device.read = lambda timeout: b"Hello from a sketch\r\n\0" * 9  # type: ignore[method-assign]
    link.timeout = 0.4
    start = time.monotonic()
    with pytest.raises(LinkError, match="sends bytes without end while waiting for its hello") as error:
        link.hello()
    assert time.monotonic() - start < 2
    assert link.retries == 0
    assert "another firmware" in str(error.value.hint)


def test_a_device_that_falls_silent_in_the_middle(device: FakeDevice, link: DeviceLink) -> None:
    link.load_model(MODEL)
    device.to_host = lambda data: b"" if device.executed[-1] == Command.INFER else data
    with pytest.raises(LinkError, match="while waiting for the inference"):
        link.infer(INPUT)
    assert device.executed.count(Command.INFER) == 1


def test_a_device_that_was_reset_between_input_and_inference_gets_the_input_again(
    device: FakeDevice, link: DeviceLink
) -> None:
    link.load_model(MODEL)
    once = iter([True])

    def reset_before_infer(data: bytes) -> bytes:
        if len(data) < 20 and data[3:4] == bytes([Command.INFER]) and next(once, False):
            device.input.clear()
        return data

    device.to_device = reset_before_infer
    assert link.infer(INPUT, [len(OUTPUT)]).output == OUTPUT
    assert device.executed.count(Command.INFER) == 2
    assert link.errors_recovered == 1


def test_another_protocol_version_is_named(device: FakeDevice, link: DeviceLink) -> None:
    device.version = 9
    with pytest.raises(LinkError, match="version 9 of the protocol, this program version 2") as error:
        link.hello()
    assert "install the firmware" in str(error.value.hint)


def test_a_fault_of_the_firmware_is_reported(device: FakeDevice, link: DeviceLink) -> None:
    words = struct.pack("<8I", 3, 0x10234, 0x10100, 0x61000000, 0x8200, 0x40000000, 0, 0x1FFFFFF0)
    device.to_host = lambda data: Frame(Event.FAULT | REPLY, 0, words).encode()
    with pytest.raises(
        LinkError, match=r"stopped with a fault while waiting for its hello: .*pc 0x00010234.*BFAR 0x1FFFFFF0"
    ):
        link.hello()


@pytest.mark.parametrize("status", [s for s in Status if s != Status.OK])
def test_every_error_status_has_its_message(device: FakeDevice, link: DeviceLink, status: Status) -> None:
    payload = struct.pack("<iI", -11, 4) + b"an operator is wrong"
    device._run = lambda command, _: (status, payload)  # type: ignore[method-assign]
    with pytest.raises(DeviceError) as error:
        link.echo(b"x")
    assert error.value.status == status
    assert error.value.message.startswith(f"testing the line: {STATUS_TEXT[status]}")
    if status in (Status.MODEL_REFUSED, Status.RUN_FAILED):
        assert error.value.message.endswith("an operator is wrong (code -11, index 4)")


def test_an_unknown_status_is_reported(device: FakeDevice, link: DeviceLink) -> None:
    device._run = lambda command, _: (200, b"")  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="unknown status 200"):
        link.echo(b"x")


def test_a_hello_that_cannot_be_read(device: FakeDevice, link: DeviceLink) -> None:
    device._run = lambda command, _: (0, b"abc")  # type: ignore[method-assign]
    with pytest.raises(LinkError, match="hello cannot be read"):
        link.hello()


@pytest.mark.parametrize("payload", [b"", b"abc"])
def test_answers_that_are_too_short(device: FakeDevice, link: DeviceLink, payload: bytes) -> None:
    device._run = lambda command, _: (0, payload)  # type: ignore[method-assign]
    for call in (lambda: link.infer(b"x"), link.profile):
        with pytest.raises(LinkError, match=f"has {len(payload)} bytes, too few"):
            call()


def test_reset_waits_for_the_device(device: FakeDevice, link: DeviceLink) -> None:
    link.load_model(MODEL)
    hello = link.reset()
    assert (hello.model_name, hello.input_sizes, hello.output_sizes) == ("fake", (3000,), (3000,))
    with link:
        pass
    assert device.closed
