"""Without a C compiler: the project's own firmware, each kind of request counted once per model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def image() -> bytes:
    pytest.importorskip("unicorn")
    path = ROOT / "firmware/boards/nano33ble/prebuilt/onnxino-nano33ble.bin"
    if not path.is_file():
        pytest.skip("the prebuilt firmware is not there")
    return path.read_bytes()


@pytest.fixture(scope="module")
def model() -> bytes:
    from onnxino_converter import convert

    return convert(ROOT / "examples/digits/digits_int8.onnx").model


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxino.compile_cache.find_compiler", lambda: None)


def inputs(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(-128, 128, 784, dtype=np.int8).tobytes()


def test_later_inferences_repeat_the_first_count(image: bytes, model: bytes, no_compiler: None) -> None:
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink

    machine = Machine(image)
    link = DeviceLink(EmulatorTransport(machine))
    link.load_model(model)
    first = link.infer(inputs(0))
    profile = link.profile()
    assert first.cycles > 100_000
    counted = machine.instructions
    for seed in (1, 2, 3):
        result = link.infer(inputs(seed))
        assert result.cycles == first.cycles
        assert result.microseconds == pytest.approx(first.microseconds, rel=2e-3)  # polls between are not counted
        assert link.profile() == profile
    assert machine.instructions == counted  # nothing was counted any more
    assert machine.counting == "off"
    link.load_model(model)
    assert link.infer(inputs(4)).cycles == pytest.approx(first.cycles, rel=0.001)
    assert machine.instructions > counted  # a new model is counted again


def test_it_agrees_with_native_counting(image: bytes, model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink

    native = DeviceLink(EmulatorTransport(Machine(image, model))).infer(inputs(0))
    monkeypatch.setattr("onnxino.compile_cache.find_compiler", lambda: None)
    slow = DeviceLink(EmulatorTransport(Machine(image, model))).infer(inputs(0))
    assert (slow.output, slow.cycles) == (native.output, native.cycles)
    # Two looks at a clock of whole microseconds, which stands elsewhere when the request comes.
    assert slow.microseconds == pytest.approx(native.microseconds, abs=1)


def test_inputs_that_are_sent_ahead_change_no_count(
    image: bytes, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An INPUT_WRITE is answered while the inference runs: that answer is not the inference's."""
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink
    from onnxino_tools.pipeline import Job

    jobs = [Job([inputs(seed)]) for seed in range(5)]
    counted = list(DeviceLink(EmulatorTransport(Machine(image, model))).infer_many(jobs, [10]))
    monkeypatch.setattr("onnxino.compile_cache.find_compiler", lambda: None)
    machine = Machine(image, model)
    repeated = list(DeviceLink(EmulatorTransport(machine)).infer_many(jobs, [10]))
    assert machine.count_note
    assert [result.output for result in repeated] == [result.output for result in counted]
    assert [result.cycles for result in repeated] == [counted[0].cycles] * len(jobs)


def test_an_inference_that_takes_what_came_meanwhile_does_not_idle(
    image: bytes, model: bytes, no_compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that waits for bytes where the firmware is said to be idle would lose that time for each image."""
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink
    from onnxino_tools.pipeline import Job

    machine = Machine(image, model)
    running: list[str] = []
    run = machine.run

    def watched(*argv: object, **options: object) -> str:
        reason = run(*argv, **options)  # type: ignore[arg-type]
        if machine.replay is not None and b"\x02\x21" in machine.replay.waiting:
            running.append(reason)
        return reason

    link = DeviceLink(EmulatorTransport(machine))
    results = list(link.infer_many([Job([inputs(0)])], [10]))  # the first one is counted
    monkeypatch.setattr(machine, "run", watched)
    results += link.infer_many([Job([inputs(seed)]) for seed in range(1, 6)], [10])
    assert len(results) == 6
    assert running
    assert "idle" not in running
