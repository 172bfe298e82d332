"""flash() and evaluate() from Python: callbacks, results, errors, and not a word printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxino.errors import InputError
from onnxino_tools.api import Options, evaluate, flash
from onnxino_tools.examples import example

pytest.importorskip("unicorn")


def test_evaluate(tiny: Path, tiny_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps: list[tuple[int, int]] = []
    result = evaluate(
        tiny,
        tiny_data,
        port="emulator",
        split="even",
        options=Options(check_every=2, repeat=2),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert result.ok
    assert repr(result) == "Evaluation(model='tiny', images=6 of 6, correct=6, bytes_different=0, ok=True)"
    assert (result.images, result.correct, result.layers_compared, result.repeats) == (6, 6, 3, 6)
    assert steps == [(i + 1, 6) for i in range(6)]
    assert capfd.readouterr() == ("", "")


def test_evaluate_converts(capfd: pytest.CaptureFixture[str]) -> None:
    onnx, data = example("digits", "digits_int8.onnx"), example("digits", "digits_test.npz")
    assert evaluate(onnx, data, port="emulator", limit=5).images == 5
    assert capfd.readouterr() == ("", "")


def test_flash(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from onnxino_tools.flasher.emulated import EmulatedPorts

    steps: list[str] = []
    with EmulatedPorts() as ports:
        result = flash(None, tiny, ports=ports, progress=lambda step, done, total: steps.append(step))
    assert result.hello is not None
    assert result.hello.model_name == "tiny"
    assert list(dict.fromkeys(steps)) == ["connect", "compare", "write", "verify", "start"]
    assert capfd.readouterr() == ("", "")


def test_flash_the_emulator_by_its_name(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = flash(None, tiny, port="emulator")
    assert (result.image, result.model, result.port) == ("written", "written", "emulator")
    assert capfd.readouterr() == ("", "")


def test_errors_are_raised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        flash(tmp_path / "none.bin")
    with pytest.raises(InputError, match="there is no model"):
        evaluate(tmp_path / "none.oxm", tmp_path)
