"""Random graphs: ONNX Runtime, NumPy and C agree by the rules of `onnxino verify`.

ONNXINO_FUZZ_GRAPHS says how many (default 200, and always the same ones; given, new ones each time). A failure shrinks
to a small graph, which is saved with its inputs where the message says.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import ModelProto, NodeProto, numpy_helper

from onnxino import InferenceSession, load_model
from onnxino.schema.model import Exactness
from onnxino_converter import convert
from onnxino_tools.verify.compare import OperatorReport, different
from onnxino_tools.verify.oracle import Oracle
from onnxino_tools.verify.run import verify
from tests.converter.onnx_net import Net, Q
from tests.fuzz.graphs import graphs

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")

COUNT = os.environ.get("ONNXINO_FUZZ_GRAPHS")
FOLDER = Path(tempfile.gettempdir()) / "onnxino-fuzz"
ROWS = 4
MERGED = re.compile("(DoubleQDQRemoved_)+scale")  # initializers of pairs that were merged
SETTINGS = settings(
    max_examples=int(COUNT or 200),
    derandomize=COUNT is None,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def save(model: ModelProto, feeds: dict[str, Any]) -> str:
    """Keeps a failing graph; a smaller one that is found later overwrites it. Says where."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "failing.onnx"
    path.write_bytes(model.SerializeToString())
    np.savez(FOLDER / "failing.npz", **feeds)
    return f"saved: {path} with its inputs in failing.npz"


def runs_in_onnxruntime(model: ModelProto, feeds: dict[str, Any]) -> bool:
    """Not all that is drawn does: some of its own rewritings fail when it loads or runs the model, and some pairs that
    it merges get scales with which its kernels overflow."""
    try:
        oracle = Oracle(model)
        oracle.run({name: array[:1] for name, array in feeds.items()})
    except Exception:  # ONNX Runtime's own exceptions have no common base
        return False
    constants = {t.name: numpy_helper.to_array(t) for t in oracle.rewritten.graph.initializer}
    merged = {name: array for name, array in constants.items() if MERGED.match(name)}
    broken_kernels = [node for node in oracle.rewritten.graph.node if overflows(node, merged, constants)]
    return all(array.all() for array in merged.values()) and not broken_kernels


def overflows(node: NodeProto, merged: dict[str, Any], constants: dict[str, Any]) -> bool:
    """Whether an integer kernel writes a scale of a merged pair that is too small for it; the generator takes care of
    the scales that it drew itself."""
    place = {"QLinearSoftmax": 3, "QLinearAveragePool": 3, "QLinearAdd": 6, "QLinearMul": 6}.get(node.op_type)
    if place is None or node.input[place] not in merged:
        return False
    scale = float(merged[node.input[place]].item())
    if node.op_type == "QLinearSoftmax":
        return scale * 280 < 1
    reach = [255 * float(constants[node.input[i]].item()) for i in ((1,) if place == 3 else (1, 4))]
    return (float(np.prod(reach)) if node.op_type == "QLinearMul" else sum(reach)) > scale * 2.0**30


def broken(operator: OperatorReport) -> bool:
    """Whether an operator breaks what ONNX Runtime's arithmetic or its own mark promises."""
    return not operator.kept or (operator.exactness in ("Exact", "Table") and operator.bytes_different > 0)


def differences(model: ModelProto, feeds: dict[str, Any], backends: list[str]) -> list[str]:
    """What is wrong with a model; [] when everything agrees."""
    oxm = convert(model, name="random", board=None, float=True).model
    report, _ = verify(model, oxm, feeds, backends)
    wrong = [
        f"{o.name} ({o.kernel}, {o.exactness}, {o.onnxruntime}): {o.bytes_different} of {o.bytes_compared} bytes "
        f"differ, by {o.steps} at most"
        for o in report.operators
        if broken(o)
    ]
    wrong += [f"output {name} is not made of the last tensor as in ONNX" for name in report.wrong_outputs]
    wrong += [f"output {name} could not be compared" for name in report.outputs_not_compared]
    with InferenceSession(oxm) as reference:
        inputs = reference.to_device(feeds)
        expected = reference.backend.run(inputs)
    for name in set(backends) - {"numpy"}:
        with InferenceSession(oxm, backend=name) as session:
            found = session.backend.run(inputs)
        for ours, theirs in zip(found, expected, strict=True):
            if (apart := different(ours, theirs)).any():
                wrong.append(f"{name} differs from NumPy in {np.count_nonzero(apart)} of {ours.size} elements")
    agreed = all(o.bytes_different == 0 and o.largest == 0 for o in report.operators)
    loose = {o.name for o in load_model(oxm).operators if o.exactness not in (Exactness.Exact, Exactness.Table)}
    count = report.backends["numpy"].bytes_different
    if agreed and loose.isdisjoint(report.not_located) and count:
        wrong.append(f"{count} output bytes differ though no operator does")
    return wrong


def test_random_graphs(c_backend_missing: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    backends = ["numpy"] if c_backend_missing else ["numpy", "c"]
    counts: Counter[str] = Counter()

    @SETTINGS
    @given(graphs())
    def check(net: Net) -> None:
        model, feeds = net.model(), net.random_feeds(ROWS, net.count)
        if not runs_in_onnxruntime(model, feeds):
            counts["refused by ONNX Runtime"] += 1
            return
        counts["compared"] += 1
        counts.update(f"{net.style} {'u8' if net.unsigned else 's8'}" for _ in (0,))
        try:
            wrong = differences(model, feeds, backends)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}; {save(model, feeds)}") from error
        assert not wrong, f"{'; '.join(wrong)}; {save(model, feeds)}"

    check()
    with capsys.disabled():
        print("\nrandom graphs:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    assert counts["compared"] >= 0.9 * SETTINGS.max_examples


class _HalvesUp:
    """NumPy, but halves are rounded up."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def rint(x: Any, out: Any = None) -> Any:
        return np.floor(x + np.float32(0.5), out=out)


def _tie(kind: str) -> Net:
    """One operator whose results lie on ties."""
    net = Net(unsigned=True, ports="quantized")
    shape = (2, 9, 9)
    x, y = net.input(shape, Q(0.25)), Q(0.5)
    if kind == "conv2d":
        weights = net.dq_const(np.ones((2, 2, 1, 1), np.int8), 1.0)
        net.output(net.quantize(net.op("Conv", [net.dq(x), weights], kernel_shape=[1, 1]), y))
    elif kind == "average_pool2d":
        net.output(net.quantize(net.op("AveragePool", [net.dq(x)], kernel_shape=[1, 2]), y))
    else:
        other = net.input(shape, Q(0.25 if kind == "add" else 1 / 16))
        net.output(net.quantize(net.op(kind.capitalize(), [net.dq(x), net.dq(other)]), y))
    return net


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("add", "onnxino.ops.add"),
        ("mul", "onnxino.ops.mul"),
        ("conv2d", "onnxino.numerics"),
        ("average_pool2d", "onnxino.ops.average_pool2d"),
    ],
)
def test_the_comparison_sees_another_rounding(kind: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves to the even neighbour are what ONNX Runtime does; rounded up, they are found."""
    net = _tie(kind)
    model, feeds = net.model(), net.random_feeds(ROWS)
    assert differences(model, feeds, ["numpy"]) == []
    monkeypatch.setattr(f"{module}.np", _HalvesUp())
    assert any("bytes differ, by 1" in line for line in differences(model, feeds, ["numpy"]))


def test_the_comparison_sees_a_backend_that_differs(
    c_backend_missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    net = _tie("add")
    model, feeds = net.model(), net.random_feeds(ROWS)
    assert differences(model, feeds, ["numpy", "c"]) == []
    monkeypatch.setattr("onnxino.ops.add.np", _HalvesUp())
    assert any("c differs from NumPy" in line for line in differences(model, feeds, ["numpy", "c"]))
