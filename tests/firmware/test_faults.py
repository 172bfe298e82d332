"""What remains of a fault after the restart, and that faults without end leave a device that answers."""

from __future__ import annotations

import signal
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from onnxino.errors import LinkError
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import (
    MODEL_NOT_OPENED,
    Command,
    FaultRecord,
    FrameError,
    Hello,
    Statistics,
    Status,
    parse_last_fault,
)
from tests.firmware.conftest import Start
from tests.firmware.host_device import HostDevice
from tests.firmware.models import INPUT, OUTPUT, dense_model, expected_output

MODEL = dense_model()
SAMPLE = np.random.default_rng(3).integers(-128, 128, INPUT).astype(np.int8)
HOST_RECORD = FaultRecord(3, 0x10400, 0x10300, 0x61000000, 0x00020000, 0x40000000, 1, 2)


def last_fault(link: DeviceLink, clear: bool = False) -> tuple[int, FaultRecord | None]:
    return parse_last_fault(link.request(Command.LAST_FAULT, bytes([clear]), doing="asking"))


def break_off(link: DeviceLink) -> None:
    """A fault while the device waits; returns after its report."""
    assert isinstance(link.transport, HostDevice)
    link.echo(b"it has started")
    link.transport.process.send_signal(signal.SIGUSR1)
    assert link.transport.read(5)


def test_a_fault_is_remembered_until_it_is_cleared(start: Start) -> None:
    link = start()
    link.load_model(MODEL)
    assert last_fault(link) == (0, None)
    assert not link.hello().fault_waiting
    break_off(link)
    assert link.hello().fault_waiting
    for _ in range(2):
        assert last_fault(link) == (1, HOST_RECORD)
    link.reset()
    assert last_fault(link, clear=True) == (1, HOST_RECORD)
    assert last_fault(link) == (1, None)
    hello = link.hello()
    assert (hello.fault_waiting, hello.model_name) == (False, "dense")
    assert Statistics.parse(link.request(Command.STATISTICS, doing="")).faults == 1


def test_power_on_forgets(start: Start) -> None:
    link = start()
    break_off(link)
    assert last_fault(link)[0] == 1
    assert last_fault(start()) == (0, None)  # another process, with memory of its own


def _safe(start: Start) -> DeviceLink:
    link = start()
    link.load_model(MODEL)
    for _ in range(3):
        assert link.hello().model_valid  # the row begins anew
        break_off(link)
    for _ in range(2):
        break_off(link)
    return link


def test_three_faults_in_a_row_leave_the_model_closed(start: Start) -> None:
    link = _safe(start)
    for _ in range(2):
        hello = link.hello()
        assert (hello.model_status, hello.model_valid, hello.input_sizes) == (MODEL_NOT_OPENED, False, ())
        link.reset()  # not even a restart opens it
    with pytest.raises(DeviceError) as error:
        link.infer(SAMPLE.tobytes(), [OUTPUT])
    assert error.value.status == Status.NO_MODEL
    assert last_fault(link, clear=True) == (5, HOST_RECORD)
    assert link.hello().model_name == "dense"
    assert link.infer(SAMPLE.tobytes(), [OUTPUT]).output == expected_output(MODEL, SAMPLE)


def test_another_model_ends_the_safe_state(start: Start) -> None:
    link = _safe(start)
    assert link.hello().model_status == MODEL_NOT_OPENED
    other = dense_model(seed=4, name="other")
    link.load_model(other)
    assert link.hello().model_name == "other"
    link.reset()
    assert link.hello().model_name == "other"


@pytest.mark.parametrize("payload", [b"", b"\0\0"])
def test_a_wrong_request(start: Start, payload: bytes) -> None:
    with pytest.raises(DeviceError) as error:
        start().request(Command.LAST_FAULT, payload, doing="asking")
    assert error.value.status == Status.BAD_PAYLOAD


def test_answers_that_are_too_short() -> None:
    with pytest.raises(FrameError, match="answer to last_fault has 3 bytes, 4 were expected"):
        parse_last_fault(bytes(3))
    with pytest.raises(FrameError, match="fault record has 5 bytes"):
        parse_last_fault(bytes(9))
    with pytest.raises(FrameError, match="answer to statistics has 39 bytes"):
        Statistics.parse(bytes(39))


# --- on the chip ---
def hello_at_last(link: DeviceLink) -> Hello:
    """Faults are reported over the UART meanwhile."""
    for _ in range(3):
        with suppress(LinkError):
            return link.hello()
    return link.hello()


def broken_image(folder: Path, name: str) -> tuple[bytes, int]:
    """The firmware with an undefined instruction at the beginning of a function, and its address."""
    from onnxino.boards import NANO33BLE
    from onnxino_tools.build import build_firmware
    from onnxino_tools.emulator.symbols import Symbols

    path = build_firmware(folder)
    symbols = Symbols(path.with_suffix(".elf").read_bytes())
    text = range(NANO33BLE.image_address, NANO33BLE.image_address + NANO33BLE.image_size, 2)
    address = next(address for address in text if symbols.name(address) == name)
    image = bytearray(path.read_bytes())
    at = address - NANO33BLE.image_address
    image[at : at + 2] = b"\x00\xde"
    return bytes(image), address


@pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed")
@pytest.mark.parametrize("usb", [False, True])
def test_a_model_that_faults_at_every_start(tmp_path: Path, usb: bool) -> None:
    """As soon as the model is opened the program breaks off: three starts, then it can be asked, over either line."""
    pytest.importorskip("unicorn")
    from onnxino_tools.emulator import EmulatorTransport, Machine

    image, address = broken_image(tmp_path, "onx_model_open")
    machine = Machine(image, MODEL, faults="deliver", usb=usb)
    link = DeviceLink(EmulatorTransport(machine))
    hello = hello_at_last(link)
    assert (machine.resets, hello.model_status, hello.fault_waiting) == (3, MODEL_NOT_OPENED, True)
    count, record = last_fault(link)
    assert record is not None
    assert (count, record.exception, record.pc, record.cfsr) == (3, 3, address, 0x10000)
    machine.unplug()
    machine.plug()
    link = DeviceLink(EmulatorTransport(machine))  # power-on: three more
    assert hello_at_last(link).model_status == MODEL_NOT_OPENED
    assert last_fault(link)[0] == 3


@pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed")
def test_a_fault_over_usb_is_told_after_the_restart(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    from onnxino_tools.emulator import EmulatorTransport, Machine

    image, address = broken_image(tmp_path, "onx_operator_words")
    machine = Machine(image, MODEL, faults="deliver", usb=True)
    link = DeviceLink(EmulatorTransport(machine))
    link.infer(SAMPLE.tobytes(), [OUTPUT])
    with pytest.raises(LinkError):
        link.profile()
    link = DeviceLink(EmulatorTransport(machine))
    hello = link.hello()
    assert (hello.fault_waiting, hello.model_name, hello.reset_reasons & 4) == (True, "dense", 4)
    count, record = last_fault(link)
    assert record is not None
    assert (count, record.pc) == (1, address)
