"""The verification itself: it sees a single wrong bias, names where it is, and says how ONNX Runtime was asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxino import load_model
from onnxino.errors import OnnxinoError
from onnxino.schema.codec import encode
from onnxino.schema.model import Conv2D, ElementType, FloatConv2D, FloatFullyConnected, Tensor
from onnxino_converter import convert
from onnxino_tools.main import main
from onnxino_tools.verify.compare import BackendReport, OperatorReport, VerifyReport
from onnxino_tools.verify.oracle import Oracle, host_saturates, load
from onnxino_tools.verify.parts import to_onnx
from onnxino_tools.verify.run import random_feeds, verify

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits_int8.onnx"


def test_a_kept_promise_is_reported_operator_by_operator() -> None:
    oxm = convert(DIGITS).model
    report, saved = verify(load(DIGITS), oxm, random_feeds(load_model(oxm), 3), ["numpy", "c"])
    assert report.kept
    assert report.inputs == 3
    assert set(report.backends) == {"numpy", "c"}
    assert all(b.bytes_compared == 30 and b.bytes_different == 0 for b in report.backends.values())
    assert [o.integer for o in report.operators] == [True] * len(load_model(oxm).operators)
    names = {key.split("/")[0] for key in saved}
    assert names == {"onnxruntime", "numpy", "c"}


def test_one_wrong_bias_is_found_where_it_is() -> None:
    model = load_model(convert(DIGITS).model)
    wrong = [op for op in model.operators if isinstance(op.kernel, Conv2D)][1]
    assert isinstance(wrong.kernel, Conv2D)
    wrong.kernel.bias = wrong.kernel.bias + np.int32(2000)
    report, _ = verify(load(DIGITS), encode(model), random_feeds(model, 2), ["numpy"])
    assert not report.kept
    assert [o.name for o in report.operators if not o.kept] == [wrong.name]
    assert report.backends["numpy"].bytes_different > 0


def test_the_command_prints_json_and_exits_with_0(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save = tmp_path / "verified.npz"
    assert main(["verify", str(DIGITS), "--random", "2", "--backends", "numpy", "--json", "--save", str(save)]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["backends"]["numpy"]["bytes_compared"] == 20
    assert seen["backends"]["numpy"]["bytes_different"] == 0
    assert seen["kept"] is True
    exact = seen["classes"].pop("exact")
    assert exact["operators"] == len(seen["operators"])
    assert (exact["bytes_compared"] > 0, exact["bytes_different"], exact["largest_step"]) == (True, 0, 0)
    assert [c["operators"] for c in seen["classes"].values()] == [0, 0, 0]
    assert {(o["class"], o["compared_alone"]) for o in seen["operators"]} == {("exact", False)}
    with np.load(save) as arrays:
        outputs = [key for key in arrays.files if key.startswith(("numpy/", "onnxruntime/"))]
        assert len(outputs) == 2
        assert np.array_equal(arrays[outputs[0]], arrays[outputs[1]])


def test_the_command_explains_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(DIGITS), "--random", "1", "--backends", "numpy"]) == 0
    text = capsys.readouterr().out
    assert "1 random input (seed 0), against ONNX Runtime" in text
    assert re.search(r"class +operators +values +different +by at most\n  exact +\d+ +[\d,]+ bytes +0 +0\n", text)
    assert "exact:  ONNX Runtime computes on integers: every byte must be the same" in text
    assert "step:" not in text
    assert re.search(r"numpy +10 +0 +0 +0", text)
    assert "every promise kept" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--random", "2", "--data", "x.npz"], 2, "cannot be given together"),
        (["--backends", ","], 2, "--backends names none"),
        (["--random", "0"], 2, "--random"),
        (["--data", "nowhere.npz"], 1, "nowhere.npz"),
    ],
)
def test_wrong_arguments(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(DIGITS), *arguments]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.onnx", "there is no model 'no.onnx'\nhint: give the path of an .onnx file"),
        ("a.oxm", "'a.oxm' is converted already\nhint: verify takes the .onnx file that it was made from"),
    ],
)
def test_other_models(name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", name]) == 1
    assert message in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told_first(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Before even the model is read: it is not there."""
    (tmp_path / "file").touch()
    assert main(["verify", str(tmp_path / "no.onnx"), "--save", str(tmp_path / "file" / "s.npz")]) == 1
    assert "s.npz' cannot be written: " in capsys.readouterr().err


def test_a_file_that_is_no_onnx_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model at all")
    assert main(["verify", str(path)]) == 1
    assert "error:" in capsys.readouterr().err


def _shared_zero_points() -> ModelProto:
    """Two dense layers that share a zero point: ONNX Runtime 1.31.1 fails on that with the precision option."""
    rng = np.random.default_rng(0)
    constants = {
        "xs": np.float32(0.02), "xz": np.int8(3), "ws": np.float32(0.01), "wz": np.int8(0), "ys": np.float32(0.05),
        "w1": rng.integers(-128, 128, (8, 8), np.int8), "w2": rng.integers(-128, 128, (8, 8), np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["x1"]),
        helper.make_node("DequantizeLinear", ["w1", "ws", "wz"], ["w1f"]),
        helper.make_node("MatMul", ["x1", "w1f"], ["y1"]),
        helper.make_node("QuantizeLinear", ["y1", "ys", "xz"], ["y1q"]),
        helper.make_node("DequantizeLinear", ["y1q", "ys", "xz"], ["x2"]),
        helper.make_node("DequantizeLinear", ["w2", "ws", "wz"], ["w2f"]),
        helper.make_node("MatMul", ["x2", "w2f"], ["y2"]),
        helper.make_node("QuantizeLinear", ["y2", "ys", "xz"], ["y2q"]),
        helper.make_node("DequantizeLinear", ["y2q", "ys", "xz"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "shared",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_models_that_onnxruntime_cannot_open_with_the_precision_option_are_compared_all_the_same() -> None:
    proto = _shared_zero_points()
    oracle = Oracle(proto)
    expected = "1, initializers unshared" if host_saturates() else "not needed"
    assert oracle.precision in ("1", expected)
    oxm = convert(proto).model
    report, _ = verify(proto, oxm, random_feeds(load_model(oxm), 4), ["numpy"])
    assert report.kept
    assert report.backends["numpy"].bytes_different == 0


def test_a_model_that_onnxruntime_refuses_gets_its_reason() -> None:
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["x"], ["y"])],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    with pytest.raises(OnnxinoError, match=r"ONNX Runtime refuses this model: .*NoSuchOperator"):
        Oracle(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))


def _float_model(path: Path) -> Path:
    """Conv, Sigmoid, Gemm in float32."""
    generator = np.random.default_rng(0)
    arrays = {"w": generator.normal(size=(4, 2, 3, 3)), "b": generator.normal(size=(5, 64))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("Gemm", ["f", "b"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


def test_a_float_model_is_compared_by_its_largest_difference(tmp_path: Path) -> None:
    path = _float_model(tmp_path / "float.onnx")
    oxm = convert(path, float=True).model
    report, _ = verify(load(path), oxm, random_feeds(load_model(oxm), 3), ["numpy", "c"])
    assert report.kept
    for backend in report.backends.values():
        assert (backend.bytes_compared, backend.floats_compared, backend.reference_different) == (0, 15, 0)
        assert 0 < backend.largest < 1e-5
    assert sum(operator.floats_compared for operator in report.operators) > 0


def test_a_wrong_float_bias_is_found(tmp_path: Path) -> None:
    path = _float_model(tmp_path / "float.onnx")
    model = load_model(convert(path, float=True).model)
    wrong = model.operators[-1]
    assert isinstance(wrong.kernel, FloatFullyConnected)
    wrong.kernel.bias = wrong.kernel.bias + np.float32(0.1)
    report, _ = verify(load(path), encode(model), random_feeds(model, 2), ["numpy"])
    assert not report.kept
    assert [operator.name for operator in report.operators if not operator.kept] == [wrong.name]
    assert report.backends["numpy"].largest == pytest.approx(0.1, rel=1e-3)


def test_a_transpose_that_onnx_runtime_moves_is_no_difference() -> None:
    """It computes the QLinearAdd before the model's own Transpose, on a tensor with other axes."""
    constants = [numpy_helper.from_array(np.float32(0.02), "s"), numpy_helper.from_array(np.uint8(128), "z")]
    parameters = ["s", "z"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *parameters], ["q"]),
        helper.make_node("Transpose", ["q"], ["t"], perm=[0, 3, 2, 1]),
        helper.make_node(
            "QLinearAdd", ["t", *parameters, "t", *parameters, *parameters], ["a"], domain="com.microsoft"
        ),
        helper.make_node("DequantizeLinear", ["a", *parameters], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in (("x", [1, 2, 2, 1]), ("y", None)))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants), opset_imports=imports, ir_version=8)
    feeds = {"x": np.random.default_rng(0).uniform(-2, 2, (4, 2, 2, 1)).astype(np.float32)}
    report, _ = verify(model, convert(model, name="turned").model, feeds, ["numpy"])
    assert report.kept
    assert [o.bytes_different for o in report.operators] == [0]
    assert report.backends["numpy"].bytes_different == 0


def _blocked_model() -> ModelProto:
    """Two float32 Convs with as many channels as ONNX Runtime needs to lay them out in blocks."""
    generator = np.random.default_rng(0)
    arrays = {"w": generator.normal(size=(16, 3, 3, 3)), "v": generator.normal(size=(16, 16, 3, 3))}
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"])]
    nodes.append(helper.make_node("Conv", ["r", "v"], ["y"]))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 3, 6, 6]), ("y", None)))
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "blocked", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_operators_that_onnxruntime_lays_out_in_blocks_are_compared_alone() -> None:
    proto = _blocked_model()
    oxm = convert(proto, board=None, float=True, name="blocked").model
    report, _ = verify(proto, oxm, random_feeds(load_model(oxm), 18), ["numpy"])
    assert report.kept
    assert report.not_located == []
    assert [(o.onnxruntime, o.alone, o.promise) for o in report.operators] == [
        ("Relu", True, "float"),
        ("Conv", True, "float"),
    ]
    assert report.classes["float"].floats_compared == 18 * 16 * (36 + 16)
    assert 0 < report.classes["float"].relative < 2e-6


def test_a_wrong_bias_is_found_in_an_operator_that_is_compared_alone() -> None:
    proto = _blocked_model()
    model = load_model(convert(proto, board=None, float=True, name="blocked").model)
    wrong = model.operators[0].kernel
    assert isinstance(wrong, FloatConv2D)
    wrong.bias = wrong.bias + np.float32(0.001)
    report, _ = verify(proto, encode(model), random_feeds(model, 2), ["numpy"])
    assert not report.kept
    assert [o.tensor for o in report.operators if not o.kept] == ["r"]  # the one behind is fed the same wrong values


def _int8_dense_behind_a_mean(bias: float = 0.5) -> ModelProto:
    """Like torch's exports: a ReduceMean and int8 dense layer whose result stays float32, with a float bias."""
    generator = np.random.default_rng(0)
    weights = generator.integers(-127, 128, (5, 8)).astype(np.int8)
    constants: dict[str, Any] = {"s": np.float32(0.05), "z": np.int8(-128), "w": weights, "wz": np.int8(0)}
    constants |= {"axes": np.int64([2, 3]), "b": np.full(5, bias, np.float32), "shape": np.int64([1, 8])}
    pair = [helper.make_node(kind, [i, "s", "z"], [o]) for kind, i, o in (
        ("QuantizeLinear", "x", "xq"), ("DequantizeLinear", "xq", "xd"), ("QuantizeLinear", "mean", "mq"),
        ("DequantizeLinear", "mq", "md"), ("QuantizeLinear", "flat", "fq"), ("DequantizeLinear", "fq", "fd"),
    )]  # fmt: skip
    nodes = [
        *pair[:2],
        helper.make_node("ReduceMean", ["xd", "axes"], ["mean"]),
        *pair[2:4],
        helper.make_node("Reshape", ["md", "shape"], ["flat"]),
        *pair[4:],
        helper.make_node("DequantizeLinear", ["w", "s", "wz"], ["wd"]),
        helper.make_node("Gemm", ["fd", "wd", "b"], ["y"], transB=1),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 8, 3, 3]), ("y", [1, 5])))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tail", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_tail_of_int8_and_float_is_compared_on_its_own_inputs() -> None:
    """A mean one step away must not count as the dense layer's difference: 5 % were once allowed for that."""
    proto = _int8_dense_behind_a_mean()
    oxm = convert(proto, name="tail").model
    model = load_model(oxm)
    report, _ = verify(proto, oxm, random_feeds(model, 40), ["numpy"])
    assert report.kept
    assert report.classes["step"].bytes_compared == 40 * 8
    assert report.classes["float"].floats_compared == 40 * 5
    assert report.classes["float"].relative < 1e-6
    assert len(report.operators) + len(report.not_located) == len(model.operators)

    other = convert(_int8_dense_behind_a_mean(bias=0.501), name="tail").model
    report, _ = verify(proto, other, random_feeds(model, 4), ["numpy"])
    assert [o.promise for o in report.operators if not o.kept] == ["float"]


def test_to_onnx_turns_device_arrays_back() -> None:
    tensor = Tensor(name="t", type=ElementType.Int8, shape=np.int32([1, 2, 3, 4]), scale=0.5, zero_point=3)
    tensor.perm = np.uint8([0, 2, 3, 1])
    array = np.arange(24, dtype=np.int8).reshape(1, 1, 2, 3, 4)
    expected = array[0].transpose(0, 3, 1, 2)
    assert np.array_equal(to_onnx(array, tensor, np.dtype(np.int8)), expected)
    assert np.array_equal(to_onnx(array, tensor, np.dtype(np.uint8)), expected.astype(np.uint8) + 128)
    assert np.array_equal(to_onnx(array, tensor, np.dtype(np.float32)), (expected - np.float32(3)) * np.float32(0.5))


def operator_report(**fields: Any) -> OperatorReport:
    given = {"name": "n", "kernel": "Conv2D", "tensor": "t", "exactness": "Exact", "onnxruntime": "Conv"}
    return OperatorReport(**(given | {"integer": False, "bytes_compared": 9} | fields))


@pytest.mark.parametrize(
    ("fields", "promise", "kept"),
    [
        ({"integer": True, "exactness": "Step"}, "exact", True),
        ({"integer": True, "steps": 1}, "exact", False),
        ({"steps": 1}, "exact", False),
        ({"exactness": "Table", "steps": 1}, "table", False),
        ({"exactness": "Step", "steps": 1}, "step", True),
        ({"exactness": "Step", "steps": 2}, "step", False),
        ({"alone": True, "steps": 1}, "step", True),
        ({"exactness": "Float", "bytes_compared": 0, "floats_compared": 9}, "float", True),
        ({"exactness": "Float", "bytes_compared": 0, "floats_compared": 9, "outside": 1}, "float", False),
    ],
)
def test_what_a_class_promises(fields: dict[str, Any], promise: str, kept: bool) -> None:
    one = operator_report(**fields)
    assert (one.promise, one.kept) == (promise, kept)


def test_a_broken_promise_is_named_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = operator_report(integer=True, name="stem", bytes_different=4, steps=2, onnxruntime="QLinearConv")
    backends = {"c": BackendReport(9, 4, 2, reference_different=3, first_different="stem (Conv2D, tensor t)")}
    report = VerifyReport(1, "1", [], backends, [wrong, operator_report()], ["tail"])
    monkeypatch.setattr("onnxino_tools.verify.run.verify", lambda *_, **__: (report, {}))
    assert main(["verify", str(DIGITS)]) == 1
    text = capsys.readouterr().out
    assert re.search(r"exact +2 +18 bytes +4 +2 steps", text)
    assert re.search(r"stem +Conv2D +exact +QLinearConv +4 of 9 +2 steps", text)
    assert "compared together with the operator behind: tail" in text
    assert "c: the first operator that differs from NumPy is stem (Conv2D, tensor t)" in text
    assert text.endswith("NOT KEPT: operator 'stem' (Conv2D, class exact); backend c differs from NumPy\n")
    assert main(["verify", str(DIGITS), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kept"] is False


def test_outputs_that_differ_though_no_operator_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then the conversion of inputs or outputs is wrong, unless ONNX Runtime's own bytes could not be seen."""
    backends = {"numpy": BackendReport(9, 4, 2)}
    report = VerifyReport(1, "1", [], backends, [operator_report(integer=True)], [])
    assert (report.unexplained, report.kept) == (True, False)
    assert VerifyReport(1, "1", [], backends, [operator_report(integer=True)], ["behind"]).kept
    assert VerifyReport(1, "1", [], backends, [operator_report(alone=True)], []).kept
    step = operator_report(exactness="Step", bytes_different=1, steps=1)
    assert VerifyReport(1, "1", [], backends, [step], []).kept
    monkeypatch.setattr("onnxino_tools.verify.run.verify", lambda *_, **__: (report, {}))
    assert main(["verify", str(DIGITS)]) == 1
    assert "NOT KEPT: outputs differ from ONNX Runtime's though no operator does" in capsys.readouterr().out


def test_an_infinite_difference_is_null_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    infinite = float("inf")
    one = operator_report(exactness="Float", floats_compared=2, largest=infinite, relative=infinite, outside=1)
    report = VerifyReport(1, "1", [], {"numpy": BackendReport(floats_compared=2, largest=infinite)}, [one], [])
    monkeypatch.setattr("onnxino_tools.verify.run.verify", lambda *_, **__: (report, {}))
    assert main(["verify", str(DIGITS), "--json"]) == 1
    text = capsys.readouterr().out
    assert "Infinity" not in text
    assert json.loads(text)["classes"]["float"]["largest_relative_difference"] is None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"wrong_outputs": ["y"]}, "output 'y' is not what ONNX Runtime makes of the last operator's result"),
        ({"wrong_inputs": ["x"]}, "input 'x' does not reach the first operator as in ONNX Runtime"),
        ({"outputs_not_compared": ["y"]}, "output 'y' could not be compared"),
        ({"backends": {"c": BackendReport(9, reference_different=1)}}, "backend c differs from NumPy"),
        ({"backends": {"numpy": BackendReport(floats_compared=9, largest=0.5)}}, "outputs differ from ONNX Runtime's"),
    ],
)
def test_what_else_breaks_the_promise(
    fields: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though every operator keeps its own."""
    report = VerifyReport(1, "1", [], operators=[operator_report()], **fields)
    assert not report.kept
    monkeypatch.setattr("onnxino_tools.verify.run.verify", lambda *_, **__: (report, {}))
    assert main(["verify", str(DIGITS)]) == 1
    assert f"NOT KEPT: {text}" in capsys.readouterr().out
