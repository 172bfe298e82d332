"""Streams of inferences on good and bad lines: results in order, none wrong, each inference run once."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import reduce

import pytest

from onnxino.errors import LinkError
from onnxino_tools import pipeline
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.pipeline import Job, Pipeline
from onnxino_tools.protocol import Command, Decoder, Memory, Status
from tests.link.fake_device import FakeDevice, fake_model
from tests.link.test_link import FAULTS, _every

SIZE = 3000
INPUTS = [bytes(random.Random(i).randrange(256) for _ in range(SIZE)) for i in range(6)]
OUTPUTS = [bytes((value + 1) & 255 for value in data) for data in INPUTS]


@pytest.fixture
def device() -> FakeDevice:
    device = FakeDevice(SIZE)
    DeviceLink(device).load_model(fake_model())
    device.executed.clear()
    return device


@pytest.fixture
def link(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> DeviceLink:
    monkeypatch.setattr(pipeline, "RESEND", 0.02)
    monkeypatch.setattr(pipeline, "RESEND_FIRST", 0.02)
    monkeypatch.setattr(pipeline, "SOON", 0.002)
    monkeypatch.setattr(pipeline, "GIVE_UP", 0.5)
    monkeypatch.setattr(pipeline, "FIRST", 0.5)
    return DeviceLink(device, timeout=0.02, retries=8)


def outputs(link: DeviceLink, jobs: list[Job]) -> list[bytes]:
    return [result.output for result in link.infer_many(jobs, [SIZE])]


JOBS = [Job([data]) for data in INPUTS]


def test_results_come_in_order(device: FakeDevice, link: DeviceLink) -> None:
    stream = Pipeline(link, link.hello(), [SIZE])
    assert [result.output for result in stream.run(JOBS)] == OUTPUTS
    assert device.executed.count(Command.INFER) == len(JOBS)
    assert stream.overlapped == 3 * (len(JOBS) - 1)
    assert link.retries == 0


def test_the_next_input_is_on_its_way_while_the_device_computes(device: FakeDevice, link: DeviceLink) -> None:
    sent: list[int] = []
    decoder = Decoder()

    def watch(data: bytes) -> bytes:
        sent.extend(frame.type for frame in decoder.feed(data))
        return data

    device.to_device = watch
    outputs(link, JOBS[:2])
    infer = sent.index(Command.INFER)
    assert sent[infer + 1 : infer + 4] == [Command.INPUT_WRITE] * 3


def test_without_room_nothing_overlaps(device: FakeDevice, link: DeviceLink) -> None:
    stream = Pipeline(link, link.hello(), [SIZE])
    stream.overlaps = False
    assert [result.output for result in stream.run(JOBS)] == OUTPUTS
    assert stream.overlapped == 0


@pytest.mark.parametrize("direction", ["to_device", "to_host"])
@pytest.mark.parametrize("fault", FAULTS)
def test_bad_lines(device: FakeDevice, link: DeviceLink, fault: str, direction: str) -> None:
    setattr(device, direction, _every(4, FAULTS[fault]))
    assert outputs(link, JOBS) == OUTPUTS
    assert device.executed.count(Command.INFER) <= len(JOBS) + link.retries


def test_a_line_that_does_everything_wrong(device: FakeDevice, link: DeviceLink) -> None:
    rng = random.Random(7)

    def wreck(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        return lambda data: change(data) if rng.random() < 0.02 else data

    for direction in ("to_device", "to_host"):
        faults = [wreck(change) for change in FAULTS.values()]
        setattr(device, direction, lambda data, faults=faults: reduce(lambda x, f: f(x), faults, data))
    assert outputs(link, JOBS * 5) == OUTPUTS * 5


@pytest.mark.parametrize("at", [0, 3, 4, 9, 14])
def test_a_device_that_restarts(device: FakeDevice, link: DeviceLink, at: int) -> None:
    """The inputs are lost: they are sent again."""
    count = 0

    def forget(data: bytes) -> bytes:
        nonlocal count
        if count == at:
            device.input.clear()
            device._known.clear()
        count += 1
        return data

    device.to_device = forget
    assert outputs(link, JOBS) == OUTPUTS


def test_an_input_that_differs_is_written_again(device: FakeDevice, link: DeviceLink) -> None:
    def damage(data: bytes) -> bytes:
        for frame in Decoder().feed(data):
            if frame.type == Command.INFER and device.executed.count(Command.INFER) == 1:
                device.input[5] ^= 1
        return data

    device.to_device = damage
    assert outputs(link, JOBS) == OUTPUTS
    assert device.executed.count(Command.INFER) == len(JOBS) + 1


def test_a_device_that_loses_every_input(device: FakeDevice, link: DeviceLink) -> None:
    device._infer = lambda payload: (Status.INPUT_DIFFERS, bytes(4))  # type: ignore[method-assign]
    with pytest.raises(LinkError, match="loses its input again and again"):
        outputs(link, JOBS)


def test_busy(device: FakeDevice, link: DeviceLink) -> None:
    infer, times = device._infer, iter(range(3))

    def busy(payload: bytes) -> tuple[int, bytes]:
        return infer(payload) if next(times, None) is None else (Status.BUSY, b"")

    device._infer = busy  # type: ignore[method-assign]
    assert outputs(link, JOBS) == OUTPUTS


def test_silence_is_reported(device: FakeDevice, link: DeviceLink) -> None:
    results = link.infer_many(JOBS, [SIZE])
    assert next(results).output == OUTPUTS[0]
    device.silent = True
    with pytest.raises(LinkError, match=r"does not answer any more, for 0\.5 s"):
        next(results)


def test_errors_are_passed_on(device: FakeDevice, link: DeviceLink) -> None:
    device._infer = lambda payload: (Status.RUN_FAILED, struct.pack("<iI", -9, 2) + b"bad")  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match=r"the inference failed on the device: bad \(code -9, index 2\)"):
        outputs(link, JOBS)
    device._infer = lambda payload: (Status.OK, b"short")  # type: ignore[method-assign]
    with pytest.raises(LinkError, match="has 5 bytes, too few"):
        outputs(link, JOBS)


def test_hashes_and_profile(device: FakeDevice, link: DeviceLink) -> None:
    jobs = [Job([data], hashes=i % 2 == 0, profile=i == 1) for i, data in enumerate(INPUTS)]
    results = list(link.infer_many(jobs, [SIZE]))
    assert [r.output for r in results] == OUTPUTS
    assert [r.hashes for r in results] == [[zlib.crc32(o)] if i % 2 == 0 else None for i, o in enumerate(OUTPUTS)]
    assert [r.profile is not None for r in results] == [False, True, False, False, False, False]


def test_what_the_device_tells_of_itself(link: DeviceLink) -> None:
    count, record = link.last_fault()
    assert (count, record is not None and record.pc) == (1, 0x10234)
    assert link.statistics().uptime_microseconds == 5_000_000_000
    assert link.measure(Memory.FLASH, 800).cycles == 2400
    with pytest.raises(DeviceError, match="no result to read"):
        link.hashes()
