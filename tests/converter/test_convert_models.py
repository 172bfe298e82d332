"""Real models, from a file to bytes: they convert, agree with ONNX Runtime, and give the same file everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_net import ort_session, steps

from onnxino import InferenceSession, load_model
from onnxino.schema.model import Exactness
from onnxino_converter import convert

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits/digits_int8.onnx"
SHARED = [
    *(f"mlperf_tiny/{name}.onnx" for name in ("ad", "ic", "kws", "vww")),
    *(f"trashnet/{name}_qdq.onnx" for name in ("base", "struct30", "struct50", "unstruct50", "unstruct80")),
    *(f"exporters/ort_qdq_{name}.onnx" for name in ("s8s8_keepact", "s8s8_pc", "s8s8_pc_sym", "u8s8_pt")),
    "exporters/ort_qop_s8s8_pt.onnx",
]
STEP_SHARE = 0.02  # of the outputs may differ by steps where ONNX Runtime computes operators in float32


def unshared(model: Any) -> Any:
    """No two nodes share an initializer: ONNX Runtime 1.31.1 fails on shared ones with x64quantprecision."""
    tensors = {t.name: t for t in model.graph.initializer}
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        for index, name in enumerate(node.input):
            if name in tensors and name in seen:
                copy = model.graph.initializer.add()
                copy.CopyFrom(tensors[name])
                copy.name = node.input[index] = f"{name}__{number}_{index}"
            seen.add(name)
    return model


def feeds(session: Any, rows: int) -> list[dict[str, Any]]:
    """Random inputs, one by one: some models have a fixed batch of 1."""
    generator = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for _ in range(rows):
        one: dict[str, Any] = {}
        for port in session.get_inputs():
            shape = [d if isinstance(d, int) else 1 for d in port.shape]
            if port.type == "tensor(float)":
                one[port.name] = generator.random(shape, np.float32)
            else:
                low = 0 if "uint8" in port.type else -128
                one[port.name] = generator.integers(low, low + 256, shape).astype(np.uint8 if low == 0 else np.int8)
        made.append(one)
    return made


@pytest.mark.parametrize("name", SHARED)
def test_model_agrees_with_onnx_runtime(shared: Path, name: str) -> None:
    path = shared / "models" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    converted = convert(path)
    loaded = load_model(converted.model)
    exact = all(operator.exactness != Exactness.Step for operator in loaded.operators)
    oracle = ort_session(unshared(onnx.load(path)))
    different = total = 0
    with InferenceSession(converted.model) as session:
        for one in feeds(oracle, 12):
            for wanted, found, port in zip(oracle.run(None, one), session.run(None, one), loaded.outputs, strict=True):
                off = steps(wanted, found, loaded.tensors[port.tensor].scale)
                different, total = different + int((off > 0).sum()), total + off.size
    assert different <= (0 if exact else STEP_SHARE * total), f"{different} of {total} bytes differ"


@pytest.mark.parametrize("name", [n for n in SHARED if n.startswith(("mlperf", "trashnet"))])
def test_no_transpose_is_left(shared: Path, name: str) -> None:
    kernels = [operator["kernel"] for operator in convert(shared / "models" / name).report["operators"]]
    assert "Transpose" not in kernels


def test_digits() -> None:
    converted = convert(DIGITS, labels=list("0123456789"))
    loaded = load_model(converted.model)
    assert [type(operator.kernel).__name__ for operator in loaded.operators] == ["Conv2D"] * 3 + ["FullyConnected"]
    assert {operator.exactness for operator in loaded.operators} == {Exactness.Exact}
    port = loaded.inputs[0]
    assert (port.name, port.shape.tolist(), port.dimension_names) == ("image", [-1, 1, 28, 28], ["batch", "", "", ""])
    assert port.perm is not None
    assert port.perm.tolist() == [0, 2, 3, 1]
    assert loaded.tensors[port.tensor].shape.tolist() == [1, 28, 28, 1]
    assert loaded.metadata is not None
    assert loaded.metadata.class_labels == list("0123456789")
    assert bytes(loaded.provenance.source_sha256) == hashlib.sha256(DIGITS.read_bytes()).digest()


def test_a_path_its_bytes_and_its_proto_give_the_same_network() -> None:
    by_path, by_bytes = convert(DIGITS, name="m"), convert(DIGITS.read_bytes(), name="m")
    assert by_path.model == by_bytes.model
    assert convert(onnx.load(DIGITS), name="m").report == by_path.report


@pytest.mark.parametrize("seed", ["0", "1", "424242"])
def test_the_file_does_not_depend_on_the_hash_seed(seed: str) -> None:
    program = (
        "import hashlib, sys; from onnxino_converter import convert; "
        "c = convert(sys.argv[1], labels=list('0123456789'), preprocessing={'std': [2.0], 'mean': 1, 'scale': 0.5}); "
        "print(*(hashlib.sha256(part).hexdigest() for part in (c.model, c.c_source.encode(), c.c_header.encode())))"
    )
    paths = [str(ROOT / part) for part in ("runtime", "converter")]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(
        [sys.executable, "-c", program, str(DIGITS)], env=environment, capture_output=True, text=True, check=True
    )
    made = convert(DIGITS, labels=list("0123456789"), preprocessing={"scale": 0.5, "mean": 1, "std": [2.0]})
    here = [hashlib.sha256(part).hexdigest() for part in (made.model, made.c_source.encode(), made.c_header.encode())]
    assert run.stdout.split() == here


def test_nothing_of_this_machine_is_in_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "a folder" / "digits.onnx"
    copy.parent.mkdir()
    copy.write_bytes(DIGITS.read_bytes())
    made = convert(copy)
    assert str(tmp_path).encode() not in made.model
    assert "a folder" not in made.c_source + made.c_header
    assert made.model == convert(DIGITS, name="digits").model


def test_report() -> None:
    report = convert(DIGITS).report
    assert set(report) >= {
        *("macs", "parameters", "nonzero", "weight_bytes", "constant_bytes", "arena_bytes", "model_bytes", "operators")
    }
    first = report["operators"][0]
    assert first["macs"] == 14 * 14 * 8 * 25
    assert (first["weight_bytes"], first["constant_bytes"]) == (208, 8 * 4 + 8 * 4)
    assert report["macs"] == sum(operator["macs"] for operator in report["operators"])
    assert report["weight_bytes"] >= report["parameters"] >= report["nonzero"] > 0
    assert all(type(report[key]) is int for key in report if key not in ("operators", "name"))


def test_report_of_a_known_model(shared: Path) -> None:
    report = convert(shared / "models/mlperf_tiny/vww.onnx").report
    assert (report["macs"], report["parameters"]) == (7_489_664, 208_112)
