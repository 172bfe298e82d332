"""The backend behind InferenceSession for devices: the emulator, and whatever sits behind a transport."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from onnxino.backends import device, open_backend
from onnxino.errors import InputError, LinkError, MissingExtraError, OnnxinoError
from onnxino.model import load_model
from onnxino_tools import transport
from tests.firmware.models import HIDDEN, INPUT, OUTPUT, dense_model, expected_output
from tests.link.fake_device import FakeDevice

MODEL = dense_model()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """Stands behind every port; it adds one to each byte, so model input and output must be of one size."""
    fake = FakeDevice(INPUT)
    monkeypatch.setattr(transport, "open_transport", lambda port: fake)
    return fake


def _samples(count: int) -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.random.default_rng(count).integers(-128, 128, (count, 1, INPUT)).astype(np.int8)


def test_the_emulator_runs_a_batch() -> None:
    pytest.importorskip("unicorn")
    backend = open_backend("emulator", load_model(MODEL), MODEL)
    samples = _samples(3)
    (output,) = backend.run([samples])
    assert output.shape == (3, 1, OUTPUT)
    assert output.dtype == np.int8
    assert [row.tobytes() for row in output] == [expected_output(MODEL, sample[0]) for sample in samples]
    assert backend.cycles is not None
    assert backend.cycles.shape == (3,)
    assert backend.cycles.min() > INPUT * HIDDEN
    with pytest.raises(OnnxinoError, match="no intermediate tensors"):
        backend.run_all([samples])
    backend.close()


def test_a_device_gets_the_model_when_it_has_another(fake: FakeDevice) -> None:
    model = load_model(MODEL)
    for loads in (1, 1):  # the second time the model is there
        open_backend("COM7", model, MODEL).close()
        assert [command.name for command in fake.executed].count("LOAD_BEGIN") == loads
    assert fake.flash[: len(MODEL)] == MODEL
    other = dense_model(seed=8)
    open_backend("COM7", load_model(other), other).close()
    assert fake.flash[: len(other)] == other
    assert fake.closed


def test_the_port_is_freed_when_the_device_does_not_answer(fake: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxino_tools.link as link

    fake.silent = True
    monkeypatch.setattr(link.DeviceLink.__init__, "__defaults__", (0.01, 1))
    with pytest.raises(LinkError, match="does not answer"):
        open_backend("COM7", load_model(MODEL), MODEL)
    assert fake.closed


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "0 inputs were given, the model has 1"),
        ([np.zeros((2, 1, INPUT), np.uint8)], r"input 't0' is uint8 \[2, 1, 1500\], expected int8 \[2, 1, 1500\]"),
        ([np.zeros((2, INPUT), np.int8)], r"is int8 \[2, 1500\], expected int8 \[2, 1, 1500\]"),
    ],
)
def test_inputs_that_do_not_fit(fake: FakeDevice, inputs: list[Any], message: str) -> None:
    backend = open_backend("COM7", load_model(MODEL), MODEL)
    with pytest.raises(InputError, match=message):
        backend.run(inputs)


def test_a_missing_emulator_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(device, "find_spec", lambda name: None if name == "unicorn" else find(name))
    with pytest.raises(MissingExtraError) as error:
        open_backend("emulator", load_model(MODEL), MODEL)
    assert error.value.hint == "pip install 'onnxino[emulator]'"


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(LinkError, match="needs the package onnxino_tools"):
        open_backend("COM7", load_model(MODEL), MODEL)


def test_a_port_that_does_not_exist() -> None:
    with pytest.raises(LinkError, match="no serial port /dev/onnxino-none"):
        open_backend("/dev/onnxino-none", load_model(MODEL), MODEL)
