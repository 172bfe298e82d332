"""The project's own firmware and host program on a line with faults: no wrong answer, none that is lost, and a quick
recovery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxino_tools.emulator import EmulatorTransport, Machine
from onnxino_tools.emulator.link_faults import FaultRule, LinkFaults
from onnxino_tools.link import DeviceLink

pytest.importorskip("unicorn")
ROOT = Path(__file__).resolve().parents[2]
FAULTS = 12


@pytest.fixture(scope="module")
def image() -> bytes:
    path = ROOT / "firmware/boards/nano33ble/prebuilt/onnxino-nano33ble.bin"
    if not path.is_file():
        pytest.skip("the prebuilt firmware is not there")
    return path.read_bytes()


@pytest.fixture(scope="module")
def model() -> bytes:
    from onnxino_converter import convert

    return convert(ROOT / "examples/digits/digits_int8.onnx").model


@pytest.fixture(scope="module")
def inputs() -> list[bytes]:
    return [data.tobytes() for data in np.random.default_rng(0).integers(-128, 128, (10, 784), dtype=np.int8)]


@pytest.fixture(scope="module")
def outputs(image: bytes, model: bytes, inputs: list[bytes]) -> list[bytes]:
    link = DeviceLink(EmulatorTransport(Machine(image, model)))
    return [link.infer(data).output for data in inputs]


@pytest.mark.parametrize(
    ("kind", "direction", "rate"),
    [
        ("drop", "to-device", 4e-4),
        ("drop", "from-device", 5e-3),
        ("flip", "to-device", 4e-4),
        ("flip", "from-device", 5e-3),
        ("duplicate", "to-device", 4e-4),
        ("duplicate", "from-device", 5e-3),
        ("stall", None, 4e-4),
        ("unplug", None, 4e-4),
    ],
)
def test_all_answers_are_right(
    image: bytes, model: bytes, inputs: list[bytes], outputs: list[bytes], kind: str, direction: str | None, rate: float
) -> None:
    faults = LinkFaults([FaultRule(kind, direction, rate=rate)], seed=3)
    machine = Machine(image, model, link_faults=faults)
    link = DeviceLink(EmulatorTransport(machine))
    count = 0
    while faults.total < FAULTS:
        index = count % len(inputs)
        before, start = faults.total, machine.time
        assert link.infer(inputs[index]).output == outputs[index]
        struck = faults.total - before
        assert machine.time - start < 0.1 + 2.0 * struck
        count += 1
    assert machine.warnings == []
    assert machine.startup.failures == (faults.total if kind == "unplug" else 0)
