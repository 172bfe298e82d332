"""Against ONNX Runtime: zero differing bytes where it computes on integers, one step at most where in float32.

Every model runs on random inputs, and on every real one that fits; each operator is compared on its own inputs. One
line per model says what was counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxino import InferenceSession, load_model
from onnxino.errors import ConvertError
from onnxino_converter import convert
from onnxino_tools.main import main
from onnxino_tools.verify.compare import TOLERANCE, ClassReport, VerifyReport
from onnxino_tools.verify.oracle import Oracle, load
from onnxino_tools.verify.run import random_feeds, verify
from tests.conformance.conftest import ALL, DIGITS, FULL, ORACLE_INPUTS, REAL, REAL_INPUTS, REFUSED, SHARED, real_inputs

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")


def summary(name: str, report: VerifyReport, seconds: float) -> str:
    """One line of the table that `make conformance` shows."""
    parts = [f"{name:37} {report.inputs:4} inputs"]
    for label, c in report.classes.items():
        if c.bytes_compared:
            parts.append(f"{label} {c.bytes_different:,} of {c.bytes_compared:,} bytes differ{_by(c)}")
        if c.floats_compared:
            parts.append(f"{c.floats_compared:,} floats by {c.largest:.1e}, {c.relative:.1e} of the largest")
    outputs = report.backends["numpy"]
    if outputs.bytes_compared:
        parts.append(f"outputs {outputs.bytes_different:,} of {outputs.bytes_compared:,} bytes")
    if outputs.floats_compared:
        parts.append(f"outputs by {outputs.largest:.1e}")
    return " | ".join([*parts, f"{seconds:.1f} s"])


def _by(c: ClassReport) -> str:
    return f", by {c.steps}" if c.steps else ""


CASES = [(name, "random") for name in ALL] + [(name, "real") for name in REAL]


@pytest.mark.parametrize(("model_path", "kind"), CASES, indirect=["model_path"], ids=[f"{n}-{k}" for n, k in CASES])
def test_every_operator_keeps_its_promise(
    model_path: Path,
    kind: str,
    request: pytest.FixtureRequest,
    backend_names: list[str],
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    oxm = convert(model_path, board=None, float=True).model
    model = load_model(oxm)
    name = "digits" if model_path.parent == DIGITS else model_path.stem
    feeds = random_feeds(model, ORACLE_INPUTS, seed=1) if kind == "random" else real_inputs(model, name, request)
    begin = time.monotonic()
    report, _ = verify(load(model_path), oxm, feeds, backend_names)
    line = summary(f"{name} ({kind})", report, time.monotonic() - begin)
    record_property("summary", line)
    if FULL:
        with capsys.disabled():
            print(f"\n{line}")

    broken = [o for o in report.operators if not o.kept]
    assert not broken, json.dumps([vars(o) for o in broken], indent=1)
    assert report.kept
    classes = report.classes
    assert (classes["exact"].bytes_different, classes["table"].bytes_different) == (0, 0)
    assert classes["step"].steps <= 1
    assert classes["float"].relative <= TOLERANCE
    # What is not compared on its own must be a sum of int8 products whose float32 bias is added behind.
    together = [o for o in model.operators if o.name in report.not_located]
    assert len(report.operators) + len(report.not_located) == len(model.operators)
    assert {type(o.kernel).__name__ for o in together} <= {"FullyConnected", "FloatBinary"}
    if all(o.integer for o in report.operators):
        assert all(b.bytes_compared > 0 and b.bytes_different == 0 for b in report.backends.values())


@pytest.fixture
def backend_names(c_backend_missing: str | None) -> list[str]:
    """The backends that compute in this process; the emulator has its own tests."""
    return ["numpy"] if c_backend_missing else ["numpy", "c"]


@pytest.mark.parametrize("model_path", REFUSED, indirect=True)
def test_what_cannot_be_exact_is_refused(model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConvertError, match=REFUSED[model_path.stem]):
        convert(model_path, board=None, float=True)
    assert main(["verify", str(model_path), "--backends", "numpy", "--random", "1"]) == 1
    assert "error: node '" in capsys.readouterr().err


def test_no_shared_model_is_forgotten(shared: Path) -> None:
    found = {path.stem for path in (shared / "models").rglob("*.onnx")}
    assert found == {name for names in SHARED.values() for name in names} | set(REFUSED)


def test_the_trained_waste_sorter_gives_onnxruntimes_bytes_and_classes(shared: Path) -> None:
    path = shared / "models" / "trashnet" / "base_qdq.onnx"
    data = np.load(shared / "datasets" / "trashnet_64.npz")
    images = data["images"][data["split"] == "test"][:REAL_INPUTS]
    pixels = (images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    oracle = Oracle(load(path))
    expected = np.concatenate([oracle.run({"image": pixels[i : i + 1]})[0] for i in range(len(pixels))])
    with InferenceSession(convert(path).model, backend="emulator" if FULL else "numpy") as session:
        found = session.run(None, {"image": pixels})[0]
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.array_equal(found, expected)
