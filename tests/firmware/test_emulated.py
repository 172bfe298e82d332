"""The image of both compilers in the emulated board: load, inference, profile, reset, damage, overrun, faults."""

from __future__ import annotations

import random
import shutil
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.engine.engine_models import float_zoo
from tests.firmware.models import INPUT, OUTPUT, dense_model, expected_output

pytest.importorskip("unicorn", reason="the emulator needs unicorn")

from onnxino.backends import open_backend
from onnxino.boards import NANO33BLE
from onnxino.errors import LinkError
from onnxino.model import load_model
from onnxino.schema.codec import encode
from onnxino_tools.build import build_firmware, firmware_image
from onnxino_tools.emulator import EmulatorTransport, Machine
from onnxino_tools.emulator.symbols import Symbols
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import MAX_PAYLOAD, REPLY, Command, Decoder, Frame, Status

MODEL = dense_model()
SAMPLES = np.random.default_rng(4).integers(-128, 128, (5, INPUT)).astype(np.int8)


@pytest.fixture(scope="module", params=["zig", "gcc"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if request.param == "gcc" and not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no arm-none-eabi-gcc")
    if request.param == "zig" and find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    return build_firmware(tmp_path_factory.mktemp(request.param), request.param).read_bytes()


def _link(machine: Machine) -> DeviceLink:
    return DeviceLink(EmulatorTransport(machine))


def test_a_device_from_empty_to_result(image: bytes) -> None:
    link = _link(Machine(image))
    hello = link.hello()
    assert not hello.model_valid
    assert (hello.arena_size, hello.model_region_size) == (NANO33BLE.arena_size, NANO33BLE.model_size)
    assert (hello.board_id, hello.clock_hz, hello.page_size) == (
        NANO33BLE.board_id,
        NANO33BLE.clock_hz,
        NANO33BLE.page_size,
    )
    link.load_model(MODEL)
    hello = link.hello()
    assert (hello.model_name, hello.model_valid) == ("dense", True)
    assert link.has_model(MODEL)
    for sample in SAMPLES:
        result = link.infer(sample.tobytes(), [OUTPUT])
        assert result.output == expected_output(MODEL, sample)
        assert 100_000 < result.cycles < 10_000_000
        assert result.microseconds == pytest.approx(result.cycles / 64, abs=3)
    cycles = dict(link.profile())
    assert sorted(cycles) == [0, 1]
    assert 0.9 * result.cycles < sum(cycles.values()) <= result.cycles
    hello = link.reset()
    assert hello.model_name == "dense"
    assert hello.stack_size == 4096
    assert hello.stack_free > 1024
    assert link.infer(SAMPLES[0].tobytes(), [OUTPUT]).output == expected_output(MODEL, SAMPLES[0])
    assert link.errors_recovered == link.retries  # the reset may cost one hello, nothing else is lost


def test_a_model_that_lies_in_flash_is_there_at_the_start(image: bytes) -> None:
    link = _link(Machine(image, MODEL))
    assert link.has_model(MODEL)
    assert link.read_model(len(MODEL) - 1500, 1500) == MODEL[-1500:]


def test_an_interrupted_load_leaves_no_valid_model(image: bytes) -> None:
    machine = Machine(image, dense_model(seed=2))
    link = _link(machine)
    assert link.hello().model_valid
    link.request(Command.LOAD_BEGIN, MODEL[:32], doing="loading")
    link.request(Command.LOAD_WRITE, struct.pack("<I", 32) + MODEL[32:1024], doing="loading")
    machine.reset()
    link = _link(machine)
    assert not link.hello().model_valid
    link.load_model(MODEL)
    assert link.infer(SAMPLES[0].tobytes(), [OUTPUT]).output == expected_output(MODEL, SAMPLES[0])


@pytest.mark.parametrize("at", [40, 300, 5000, len(MODEL) - 40])
def test_a_flipped_bit_is_refused(image: bytes, at: int) -> None:
    damaged = bytearray(MODEL)
    damaged[at] ^= 4
    link = _link(Machine(image, bytes(damaged)))
    assert link.hello().model_status == -7
    with pytest.raises(DeviceError) as error:
        link.infer(b"x")
    assert error.value.status == Status.NO_MODEL
    with pytest.raises(DeviceError) as error:
        link.load_model(bytes(damaged))
    assert error.value.status == Status.CRC_MISMATCH
    assert not link.hello().model_valid


def _function(elf: bytes, name: str) -> int:
    """The address of a function, from the ELF's symbols."""
    symbols = Symbols(elf)
    text = range(NANO33BLE.image_address, NANO33BLE.image_address + NANO33BLE.image_size, 2)
    return next(address for address in text if symbols.name(address) == name)


def _answers(machine: Machine, data: bytes) -> list[Frame]:
    transport = EmulatorTransport(machine)
    transport.write(data)
    decoder = Decoder()
    frames: list[Frame] = []
    while piece := transport.read(0.05):
        frames += decoder.feed(piece)
    return frames


def test_frames_of_every_length_pass_the_ring_buffer(image: bytes) -> None:
    link = _link(Machine(image))
    for size in [*range(0, 20), 100, 500, 1000, 1023, 1024, 1025, MAX_PAYLOAD, MAX_PAYLOAD, MAX_PAYLOAD]:
        data = bytes((i * 7 + size) & 255 for i in range(size))
        assert link.echo(data) == data
    assert (link.retries, link.damaged_frames) == (0, 0)


def test_the_receiver_recovers_from_more_than_it_holds(image: bytes) -> None:
    machine = Machine(image)
    link = _link(machine)
    link.hello()
    _answers(machine, b"\x55" * 7000)
    _answers(machine, b"\xff" * 3000 + b"\0")
    for i in range(10):
        assert link.echo(bytes([i]) * 500) == bytes([i]) * 500


def test_bytes_at_the_lines_own_speed_are_not_lost(image: bytes) -> None:
    link = _link(Machine(image, baud_pacing=True))
    for size in (0, 1, 300, MAX_PAYLOAD, MAX_PAYLOAD, MAX_PAYLOAD):
        data = bytes((i * 5 + size) & 255 for i in range(size))
        assert link.echo(data) == data
    assert (link.retries, link.damaged_frames) == (0, 0)


@pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed")
@pytest.mark.parametrize(
    ("code", "report"),
    [
        (b"\x00\xde", "pc 0x{0:08X}.*CFSR 0x00010000"),  # an undefined instruction
        (b"\x00\x20\xc0\x43\x00\x68", "CFSR 0x00008200.*BFAR 0xFFFFFFFF"),  # r0 = ~0; r0 = *r0
        (
            b"\x2d\xe9\xf0\x4f\xfc\xe7",
            "CFSR 0x0000[89]200.*BFAR 0x1FFFFF",
        ),  # push for ever: the stack ends where RAM begins
    ],
)
def test_a_fault_is_reported_and_the_device_starts_again(tmp_path: Path, code: bytes, report: str) -> None:
    path = build_firmware(tmp_path)
    address = _function(path.with_suffix(".elf").read_bytes(), "onx_operator_words")
    broken = bytearray(path.read_bytes())
    at = address - NANO33BLE.image_address
    broken[at : at + len(code)] = code
    machine = Machine(bytes(broken), MODEL, faults="deliver")
    link = _link(machine)
    link.infer(SAMPLES[0].tobytes(), [OUTPUT])
    with pytest.raises(LinkError, match=f"fault while reading the profile: .*{report.format(address)}"):
        link.profile()
    assert link.hello().model_name == "dense"
    assert machine.resets == 1


def test_a_repeated_inference_is_answered_but_not_run(image: bytes) -> None:
    machine = Machine(image, MODEL)
    link = _link(machine)
    link.hello()
    for at in (0, 1024):
        payload = struct.pack("<II", 0, at) + SAMPLES[0].tobytes()[at : at + 1024]
        link.request(Command.INPUT_WRITE, payload, doing="sending")
    request = Frame(Command.INFER, 77).encode()
    (first,) = _answers(machine, request + request)  # the second comes while the first runs
    (second,) = _answers(machine, request)
    assert first == second
    assert (first.type, first.status) == (Command.INFER | REPLY, Status.OK)


def test_every_operator_gives_the_references_bytes_with_either_compiler(image: bytes) -> None:
    data = encode(float_zoo())
    model = load_model(data)
    inputs = [np.random.default_rng(7).integers(-128, 128, (8, 1, 6, 5, 3)).astype(np.int8)]
    outputs = open_backend("numpy", model, data).run(inputs)
    link = _link(Machine(image, data, strict=True))  # the chip faults on some unaligned accesses; so does this
    for sample in range(8):
        found = link.infer(inputs[0][sample].tobytes(), [output[sample].nbytes for output in outputs]).output
        assert found == b"".join(output[sample].tobytes() for output in outputs)
    assert len(link.profile()) == len(model.operators)


class BadLine:
    """A Transport that damages a share of what passes: flips, drops, doubles or adds bytes, cuts or loses frames."""

    name = "bad line"

    def __init__(self, inner: EmulatorTransport, share: float) -> None:
        self.inner = inner
        self.share = share
        self.faults = 0
        self.chance = random.Random(1)

    def write(self, data: bytes) -> None:
        self.inner.write(self._pass(data))

    def read(self, timeout: float) -> bytes:
        return self._pass(self.inner.read(timeout))

    def close(self) -> None:
        self.inner.close()

    def _pass(self, data: bytes) -> bytes:
        chance = self.chance
        if not data or chance.random() >= self.share:
            return data
        self.faults += 1
        at = chance.randrange(len(data))
        before, byte, behind = data[:at], data[at], data[at + 1 :]
        return chance.choice(
            [
                before + bytes([byte ^ 1 << chance.randrange(8)]) + behind,
                before + behind,
                before + data[at : at + 8] + data[at:],
                before + chance.randbytes(30) + data[at:],
                before,
                b"",
            ]
        )


def test_a_bad_line_costs_time_but_never_a_result() -> None:
    line = BadLine(EmulatorTransport(Machine(firmware_image())), share=0.1)
    link = DeviceLink(line, retries=10)
    link.infer_timeout = 1.0
    link.load_model(MODEL)
    for sample in np.concatenate([SAMPLES] * 8):
        assert link.infer(sample.tobytes(), [OUTPUT]).output == expected_output(MODEL, sample)
    assert line.faults > 20
    assert link.errors_recovered > 10


def test_the_committed_image_infers(tmp_path: Path) -> None:
    link = _link(Machine(firmware_image(), MODEL))
    assert link.infer(SAMPLES[1].tobytes(), [OUTPUT]).output == expected_output(MODEL, SAMPLES[1])


def test_a_silent_emulator_is_a_link_error() -> None:
    # A program that waits for ever: b . after its vectors.
    image = struct.pack("<II", 0x20002000, 0x10009) + b"\xfe\xe7" * 4
    link = DeviceLink(EmulatorTransport(Machine(image)), timeout=0.001, retries=1)
    with pytest.raises(LinkError, match="does not answer while waiting for its hello"):
        link.hello()
