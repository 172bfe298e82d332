"""ONNX's own node tests through onnxino.backend, for every operator that the converter knows, on NumPy and on C.

A case runs as it is; where the device needs an input beforehand (weights, scales, axes), the values of all but
the first input are given as constants. What is skipped must be in the table below.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino.backend import OnnxinoBackend, OnnxinoRep, run_model, run_node, supports_device
from onnxino.errors import ConvertError, InputError
from onnxino_converter.importer.handlers import DOMAINS

NODE_TESTS = Path(__file__).parent / "node_tests.json"

# (pattern of the case's name, pattern of the reason): what a device of this kind cannot or need not do.
EXPECTED_SKIPS = (
    (r".", r"the model uses opset (\d|2[6-9]); supported"),
    (
        r".",
        r"is of type (int16|int32|int64|uint16|uint32|uint64|float16|float64|bfloat16|bool|object|float\w+|u?int[24])",
    ),
    (r".", r"the tensor is empty|its result is empty|is not a tensor|the case holds no tensors"),
    (r"clip|dropout|identity|one_input|noop", r"it is also a graph output, without any operator between"),
    (r"constant", r"it is constant"),
    (r"training|dropout", r"training_mode is set|the mask output is used"),
    (r"pool_3d|pool3d", r"the input has 5 dimensions|the input has \d dimensions"),
    (r"maxpool_with_argmax", r"the Indices output is used"),
    (r"resize|upsample", r"mode is '?(linear|cubic)|keep_aspect_ratio_policy|antialias|coordinate_transformation_mode"),
    (r"u?int8|clip_default", r"it computes on u?int8 without scales"),
    (r"dynamicquantizelinear", r"it casts float32 to uint8 at run time"),
    (r"castlike|cast_", r"it casts"),
    (r"gelu_tanh", r"approximate is"),
    (r"matmul_1d|matmul_4d_1d", r"the inputs have shapes"),
    (r"qlinearmatmul_3D", r"the inputs have shapes"),
    (r"qlinearmatmul", r"supported: finite float32 scales"),
    (r"qlinear", r"the weights less their zero point reach from"),
    (r"quantizelinear", r"quantiz|zero point|scale|axis|block|of type"),
)


@cache
def cases() -> list[Any]:
    """The node tests of the onnx package that use no operator but ours."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    return [c for c in found if all(n.op_type in DOMAINS.get(n.domain, {}) for n in c.model.graph.node)]


def array_of(value: Any) -> Any:
    """A case's value as an array; 4-bit and other odd types come as TensorProto."""
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list | tuple) or value is None:
        raise SkipTest("the case holds no tensors")
    return np.asarray(value)


def run_case(case: Any, backend: str, constants: bool) -> None:
    """Raises SkipTest where it cannot run, AssertionError where a result differs."""
    names = [info.name for info in case.model.graph.input]
    for given, expected in case.data_sets:
        arrays = dict(zip(names, (array_of(value) for value in given), strict=False))
        known = {name: arrays.pop(name) for name in names[1:]} if constants else {}
        with OnnxinoBackend.prepare(case.model, "CPU", backend=backend, constants=known) as prepared:
            found = prepared.run(list(arrays.values()))
        assert len(found) == len(expected)
        for ours, value in zip(found, expected, strict=True):
            theirs = array_of(value)
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            if theirs.dtype.kind == "f":
                np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=case.atol)
            else:
                assert np.array_equal(ours, theirs), f"{(ours != theirs).sum()} of {ours.size} differ"


def outcome(case: Any, backend: str) -> tuple[str, str]:
    """'passed', 'with constants', 'skipped' or 'failed', and why."""
    reason = ""
    for constants in (False, True):
        if constants and len(case.model.graph.input) < 2:
            break
        try:
            run_case(case, backend, constants)
        except SkipTest as skip:
            reason = str(skip)
        except Exception as error:
            return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            return ("with constants" if constants else "passed"), ""
    return "skipped", reason


def test_onnx_node_tests(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = {case.name: outcome(case, backend) for case in cases()}
    counts = Counter(kind for kind, _ in results.values())
    reasons = Counter(_general(reason) for kind, reason in results.values() if kind == "skipped")
    with capsys.disabled():
        passed = counts["passed"] + counts["with constants"]
        print(
            f"\nONNX node tests on {backend}: {passed} passed ({counts['with constants']} of them with parameters as "
            f"constants), {counts['skipped']} skipped, {counts['failed']} failed"
        )
    for reason, count in reasons.most_common():
        print(f"{count:5} skipped: {reason}")
    assert [f"{name}: {why}" for name, (kind, why) in results.items() if kind == "failed"] == []
    unexpected = [
        f"{name}: {why}" for name, (kind, why) in results.items() if kind == "skipped" and not expected_skip(name, why)
    ]
    assert unexpected == []
    assert counts["passed"] + counts["with constants"] >= 300
    by_operator = count_by_operator(results)
    if os.environ.get("ONNXINO_UPDATE"):
        lines = [f"  {json.dumps(name)}: {json.dumps(count)}" for name, count in sorted(by_operator.items())]
        NODE_TESTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    assert by_operator == json.loads(NODE_TESTS.read_text("utf-8")), "set ONNXINO_UPDATE=1 and make generate"


def count_by_operator(results: dict[str, tuple[str, str]]) -> dict[str, list[int]]:
    """Operator -> [passed, all], over the cases of one node; docs/operators.md shows them."""
    counted: dict[str, list[int]] = {}
    for case in cases():
        if len(case.model.graph.node) == 1:
            entry = counted.setdefault(case.model.graph.node[0].op_type, [0, 0])
            entry[0] += results[case.name][0] in ("passed", "with constants")
            entry[1] += 1
    return counted


def expected_skip(name: str, reason: str) -> bool:
    return any(re.search(n, name) and re.search(r, reason) for n, r in EXPECTED_SKIPS)


def _general(reason: str) -> str:
    return re.sub(r"'[^']*'|\[[^\]]*\]|\d+", "_", reason.split(";")[0])


def softmax_model(dtype: int = TensorProto.FLOAT, shape: list[Any] | None = None) -> Any:
    dims = shape or [2, 5]
    ports = [helper.make_tensor_value_info(name, dtype, dims) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "g", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_interface(backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    expected = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    with OnnxinoBackend.prepare(softmax_model(), "CPU:0", backend=backend) as prepared:
        assert isinstance(prepared, OnnxinoRep)
        result = prepared.run([x])
        assert np.array_equal(result["y"], prepared.run(x)[0])  # type: ignore[call-overload]
    np.testing.assert_allclose(result[0], expected, rtol=1e-5)
    np.testing.assert_allclose(run_model(softmax_model(), [x], backend=backend)[0], expected, rtol=1e-5)
    assert OnnxinoBackend.is_compatible(softmax_model())
    assert supports_device("CPU")
    assert not supports_device("CUDA:0")


def test_run_node_takes_weights_as_constants(backend: str) -> None:
    generator = np.random.default_rng(1)
    x, w = (generator.normal(size=s).astype(np.float32) for s in ((1, 3, 6, 6), (4, 3, 3, 3)))
    conv = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    result = run_node(conv, [x, w], backend=backend)[0]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    np.testing.assert_allclose(result, np.einsum("bcijhw,ochw->boij", windows, w), rtol=1e-4, atol=1e-5)
    summed = run_node(helper.make_node("Add", ["a", "b"], ["c"]), [x, x], backend=backend)[0]
    assert np.array_equal(summed, x + x)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (softmax_model(TensorProto.DOUBLE), "is of type float64"),
        (softmax_model(TensorProto.STRING), "is of type string"),
        (softmax_model(shape=[1, "length"]), "dimension 1 .'length'. is not fixed"),
    ],
    ids=["float64", "string", "dynamic"],
)
def test_what_no_device_can_hold(model: Any, reason: str) -> None:
    from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

    with pytest.raises(BackendIsNotSupposedToImplementIt, match=reason):
        OnnxinoBackend.prepare(model)
    assert not OnnxinoBackend.is_compatible(model)


def test_wrong_use() -> None:
    with pytest.raises(InputError, match="device 'CUDA' is unknown"):
        OnnxinoBackend.prepare(softmax_model(), "CUDA")
    with pytest.raises(InputError, match="backend 'board' is unknown"):
        OnnxinoBackend.prepare(softmax_model(), backend="board")
    with pytest.raises(InputError, match="the constant 'z' is no input"):
        OnnxinoBackend.prepare(softmax_model(), constants={"z": np.zeros(1)})
    with OnnxinoBackend.prepare(softmax_model()) as prepared, pytest.raises(InputError, match="2 inputs are given"):
        prepared.run([np.zeros(1), np.zeros(1)])


def test_inputs_by_name_and_models_by_path(tmp_path: Path) -> None:
    import onnx

    x = np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32)
    onnx.save(softmax_model(), str(tmp_path / "net.onnx"))
    expected = run_model(softmax_model(), [x])[0]
    assert np.array_equal(run_model(str(tmp_path / "net.onnx"), {"x": x})[0], expected)
    with OnnxinoBackend.prepare(tmp_path / "net.onnx") as prepared:
        assert np.array_equal(prepared.run({"x": x})[0], expected)
        with pytest.raises(InputError, match="there is no input 'z'"):
            prepared.run({"z": x})
        with pytest.raises(InputError, match="there is no keyword argument 'verbose'"):
            prepared.run([x], verbose=True)
    with pytest.raises(ConvertError, match=r"none\.onnx"):
        OnnxinoBackend.prepare(str(tmp_path / "none.onnx"))
    add = helper.make_node("Sub", ["a", "b"], ["c"])
    assert np.array_equal(run_node(add, {"b": x, "a": x + x})[0], x + x - x)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([np.zeros((1, 3, 6, 6), np.float32)], "the inputs given are x, the Conv node has x, w\n"),
        (np.zeros((1, 3, 6, 6), np.float32), "the inputs given are x, the Conv node has x, w\n"),
        ({"w": np.zeros(1)}, "the inputs given are w, the Conv node has x, w\n"),
        ([], "the inputs given are none, the Conv node has x, w\n"),
        ([np.zeros(1)] * 3, "the inputs given are x, w, .input 2., the Conv node has x, w\n"),
    ],
)
def test_nodes_with_wrong_inputs(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        run_node(helper.make_node("Conv", ["x", "w"], ["y"]), inputs)
    assert caught.value.hint == "give an array for each input, weights too: run_node(node, [x, w])"


def test_misspelled_keywords() -> None:
    x = np.zeros((2, 5), np.float32)
    for call in (
        lambda: OnnxinoBackend.prepare(softmax_model(), bakend="c"),
        lambda: run_model(softmax_model(), [x], bakend="c"),
        lambda: run_node(helper.make_node("Softmax", ["x"], ["y"]), [x], bakend="c"),
        lambda: OnnxinoBackend.is_compatible(softmax_model(), bakend="c"),
    ):
        with pytest.raises(InputError, match="there is no keyword argument 'bakend'") as caught:
            call()
        assert caught.value.hint is not None
        assert caught.value.hint.startswith("the keyword arguments are backend, ")


def test_the_converter_is_imported_late() -> None:
    code = "import sys, onnxino.backend; print('onnxino_converter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    code = "import sys, onnxino; print('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
