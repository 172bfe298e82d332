"""Inputs and outputs of the whole model: what is lost or turned at its ends is seen, and so is every bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxino import InferenceSession, load_model
from onnxino.errors import InputError, MissingExtraError, OnnxinoError
from onnxino_converter import convert
from onnxino_tools.verify import oracle, ports
from onnxino_tools.verify.compare import VerifyReport, different, float_difference
from onnxino_tools.verify.run import random_feeds, samples, verify

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")

node = helper.make_node


def net(
    nodes: Sequence[NodeProto],
    inputs: dict[str, list[int]],
    output: list[int] | None = None,
    constants: dict[str, Any] | None = None,
) -> ModelProto:
    """Float32 inputs and one float32 output y."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def conv(*behind: NodeProto, pairs: bool = False) -> ModelProto:
    """A convolution of which c results, on integers if `pairs`, and these nodes up to y."""
    weights = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(np.float32)
    constants: dict[str, Any] = {"w": weights, "s": np.float32(0.05), "z": np.int8(0)}
    if not pairs:
        return net([node("Conv", ["x", "w"], ["c"]), *behind], {"x": [1, 2, 6, 5]}, constants=constants)
    constants["w"] = np.rint(weights * 30).astype(np.int8)
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("DequantizeLinear", ["w", "s", "z"], ["wd"]),
        node("Conv", ["xd", "wd"], ["r"]),
        node("QuantizeLinear", ["r", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["c"]),
    ]
    return net([*nodes, *behind], {"x": [1, 2, 6, 5]}, constants=constants)


def report_of(proto: ModelProto, converted: ModelProto | None = None, count: int = 3) -> VerifyReport:
    """The comparison of `proto` with what the converter made of `converted`."""
    oxm = convert(converted or proto, float=True).model
    return verify(proto, oxm, random_feeds(load_model(oxm), count), ["numpy", "c"])[0]


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("lost", ["Floor", "Neg", "Relu"])
def test_a_node_that_is_lost_behind_the_last_operator(lost: str, pairs: bool) -> None:
    proto = conv(node(lost, ["c"], ["y"]), pairs=pairs)
    without = conv(node("Identity", ["c"], ["y"]), pairs=pairs)
    assert report_of(without).kept
    report = report_of(proto, without)
    assert report.wrong_outputs == ["y"]
    assert not report.kept


@pytest.mark.parametrize("pairs", [False, True])
def test_a_layout_that_is_not_turned_back(pairs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = conv(node("Identity", ["c"], ["y"]), pairs=pairs)
    monkeypatch.setattr("onnxino.session._unpermute", lambda array, shape, _: array.reshape(-1, *shape))
    report = report_of(proto)
    assert all(operator.kept for operator in report.operators)
    assert report.wrong_outputs == ["y"]
    assert not report.kept


@pytest.mark.parametrize("pairs", [False, True])
def test_an_input_that_is_not_turned(pairs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first operator runs alone, it is fed the same wrong values."""
    proto = conv(node("Identity", ["c"], ["y"]), pairs=pairs)
    to_device = InferenceSession.to_device

    def wrong(self: InferenceSession, feeds: Any) -> Any:
        return [np.ascontiguousarray(array[..., ::-1]) for array in to_device(self, feeds)]

    monkeypatch.setattr(InferenceSession, "to_device", wrong)
    monkeypatch.setattr(oracle.Oracle, "locate", lambda _: {})
    monkeypatch.setattr(oracle.Oracle, "float_tensor", lambda *_: None)
    report = report_of(proto)
    assert all(operator.kept for operator in report.operators)
    assert report.wrong_inputs == ["x"]
    assert not report.kept


@pytest.mark.parametrize(
    "behind",
    [
        [node("Reshape", ["c", "flat"], ["y"])],
        [node("Transpose", ["c"], ["y"], perm=[0, 2, 3, 1])],
        [node("Relu", ["c"], ["y"])],
        [node("Clip", ["c", "low", "high"], ["y"])],
        [node("Floor", ["c"], ["f"]), node("Flatten", ["f"], ["y"])],
    ],
)
@pytest.mark.parametrize("pairs", [False, True])
def test_what_stands_behind_the_last_operator_is_no_difference(behind: list[NodeProto], pairs: bool) -> None:
    proto = conv(*behind, pairs=pairs)
    constants = {"flat": np.int64([1, -1]), "low": np.float32(-0.5), "high": np.float32(0.5)}
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    report = report_of(proto)
    assert report.kept, (report.wrong_outputs, report.outputs_not_compared)


def test_a_last_tensor_that_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared as output, with the tolerance of an operator; where even that is impossible, it counts."""
    proto = conv(node("Sigmoid", ["c"], ["y"]))
    add = ports.PortComparison.add
    monkeypatch.setattr(
        ports.PortComparison,
        "add",
        lambda self, values, ours, compared, inside: add(self, values, ours, set(), [{} for _ in inside]),
    )
    assert report_of(proto).kept
    assert report_of(proto, conv(node("Tanh", ["c"], ["y"]))).wrong_outputs == ["y"]
    monkeypatch.setattr("onnxino_tools.verify.parts.Parts.ending", lambda *_: None)
    report = report_of(proto)
    assert (report.outputs_not_compared, report.kept) == (["y"], False)


@pytest.mark.parametrize(
    ("proto", "shapes"),
    [
        (net([node("Relu", ["a"], ["y"])], {"a": [3, 4]}, [3, 4]), {"a": (3, 4)}),
        (net([node("Add", ["a", "b"], ["y"])], {"a": [2, 4], "b": [1, 4]}, [2, 4]), {"a": (2, 4), "b": (1, 4)}),
        (net([node("Add", ["a", "b"], ["y"])], {"a": [1, 4], "b": [2, 4]}, [2, 4]), {"a": (1, 4), "b": (2, 4)}),
        (net([node("ReduceMean", ["a"], ["y"], keepdims=0)], {"a": [1, 4]}, []), {"a": (1, 4)}),
    ],
)
def test_first_dimensions(proto: ModelProto, shapes: dict[str, tuple[int, ...]]) -> None:
    """Fixed above 1, different for each input, and outputs without any."""
    model = load_model(convert(proto, float=True).model)
    feeds = random_feeds(model, 20)
    assert {name: array.shape for name, array in samples(model, feeds)[-1].items()} == shapes
    report = report_of(proto, count=20)
    assert report.kept
    assert report.inputs == 20


def test_inputs_of_different_numbers() -> None:
    model = load_model(convert(net([node("Add", ["a", "b"], ["y"])], {"a": [2, 4], "b": [1, 4]}), float=True).model)
    with pytest.raises(InputError, match=r"different numbers of samples: \{'a': 2, 'b': 4\}"):
        samples(model, {"a": np.zeros((4, 4), np.float32), "b": np.zeros((4, 4), np.float32)})


def test_every_bit_counts_but_those_of_nan() -> None:
    values = np.float32([[0.0, 1.0, np.nan, np.inf, 0.0, np.nan]])
    others = np.float32([[-0.0, 1.0, -np.nan, -np.inf, np.nan, 0.0]])
    assert different(values, others).tolist() == [[True, False, False, True, True, True]]
    assert different(np.int8([1, 2]), np.int8([1, 3])).tolist() == [False, True]


@pytest.mark.parametrize("value", [-0.0, np.float32(1.0000001), np.nan])
def test_a_backend_that_differs_from_numpy_in_a_bit(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that changes the difference to ONNX Runtime: the reference is what it must equal."""
    proto = net([node("Relu", ["x"], ["y"])], {"x": [1, 4]})
    run = InferenceSession.run

    def changed(self: InferenceSession, *arguments: Any, **options: Any) -> Any:
        found: Any = run(self, *arguments, **options)
        if "on c" in repr(self):
            found[0][0, 0] = value
        return found

    monkeypatch.setattr(InferenceSession, "run", changed)
    oxm = convert(proto, float=True).model
    feeds = {"x": np.float32([[-1, 2, 3, 4]])}
    report, _ = verify(proto, oxm, feeds, ["numpy", "c"])
    assert (report.backends["numpy"].reference_different, report.backends["c"].reference_different) == (0, 1)
    assert not report.kept


def test_nan_where_onnxruntime_has_a_number_is_infinitely_far() -> None:
    ours, theirs = np.float32([np.nan, np.nan, 1.0]), np.float32([2.0, np.nan, np.nan])
    assert float_difference(ours, theirs)[0].tolist() == [np.inf, 0.0, np.inf]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime"), MissingExtraError),
        (ModuleNotFoundError("No module named 'flatbuffers'", name="flatbuffers"), OnnxinoError),
        (ImportError("libstdc++.so.6: cannot open"), OnnxinoError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_why_onnxruntime_cannot_be_imported(
    error: BaseException, expected: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> Any:
        raise error

    monkeypatch.setattr(oracle.importlib, "import_module", fail)
    with pytest.raises(expected) as caught:
        oracle.import_onnxruntime()
    if expected is OnnxinoError:
        assert "onnxruntime is installed, but cannot be imported" in str(caught.value)
        assert not isinstance(caught.value, MissingExtraError)


def test_an_interrupt_while_onnxruntime_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native modules raise an ImportError with the interrupt as its cause."""

    def fail(_: str) -> Any:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    monkeypatch.setattr(oracle.importlib, "import_module", fail)
    with pytest.raises(KeyboardInterrupt):
        oracle.import_onnxruntime()
