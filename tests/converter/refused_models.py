"""Models of operators that no device runs: which node is refused, and what its hint says to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

FLOAT, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
IMAGE = (1, 2, 8, 8)


@dataclass(frozen=True)
class Refused:
    """node, operator: of the one that is refused; found: stands in the message; hint: stands in the hint."""

    build: Callable[[], ModelProto]
    node: str
    operator: str
    hint: str
    found: str = "the operator is not supported; docs/operators.md lists those that are"


def _random(*shape: int) -> Any:
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def _value(name: str, shape: Sequence[int] | None = None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    nodes: list[Any], constants: dict[str, Any], shape: Sequence[int], domains: Sequence[str] = ()
) -> ModelProto:
    imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "net", [_value("x", shape)], [_value("y")], initializers)
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def one(
    kind: str,
    constants: dict[str, Any] | None = None,
    shape: Sequence[int] = IMAGE,
    domain: str = "",
    **attributes: Any,
) -> Callable[[], ModelProto]:
    """x and the constants -> one node -> y."""
    given = constants or {}

    def build() -> ModelProto:
        made = helper.make_node(kind, ["x", *given], ["y"], name="odd", domain=domain, **attributes)
        return _model([made], given, shape, [domain] if domain else [])

    return build


def chain(*kinds: str, constants: dict[str, Any] | None = None, **attributes: Any) -> Callable[[], ModelProto]:
    """The operators one after the other, named by their kind; the constants and attributes are the first one's."""
    given = constants or {}

    def build() -> ModelProto:
        names = ["x", *(f"t{i}" for i in range(1, len(kinds))), "y"]
        nodes = [
            helper.make_node(
                kind,
                [names[i], *(given if i == 0 else [])],
                [names[i + 1]],
                name="odd" if i == 0 else kind,
                **attributes,
            )
            for i, kind in enumerate(kinds)
        ]
        return _model(nodes, given, IMAGE)

    return build


def _branch(kind: str) -> Any:
    return helper.make_graph([helper.make_node(kind, ["x"], [kind])], kind, [], [_value(kind)])


def _if() -> ModelProto:
    branches = {"then_branch": _branch("Relu"), "else_branch": _branch("Neg")}
    node = helper.make_node("If", ["condition"], ["y"], name="odd", **branches)
    return _model([node], {"condition": np.asarray(True)}, IMAGE)


def _loop() -> ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Relu", ["v"], ["w"])],
        "body",
        [_value("i", [], I64), _value("go", [], BOOL), _value("v")],
        [_value("goes", [], BOOL), _value("w")],
    )
    node = helper.make_node("Loop", ["times", "condition", "x"], ["y"], name="odd", body=body)
    return _model([node], {"times": np.int64(3), "condition": np.asarray(True)}, IMAGE)


def _scan() -> ModelProto:
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "v"], ["t"]), helper.make_node("Identity", ["t"], ["o"])],
        "body",
        [_value("s", [8]), _value("v", [8])],
        [_value("t", [8]), _value("o", [8])],
    )
    node = helper.make_node("Scan", ["start", "x"], ["end", "y"], name="odd", body=body, num_scan_inputs=1)
    return _model([node], {"start": np.zeros(8, np.float32)}, (4, 8))


def _dynamic(kind: str) -> Callable[[], ModelProto]:
    """What quantize_dynamic writes around a layer."""

    def build() -> ModelProto:
        weights = np.ones((8, 3), np.int8) if kind == "MatMulInteger" else np.ones((3, 2, 3, 3), np.int8)
        shape = (1, 8) if kind == "MatMulInteger" else IMAGE
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], name="odd"),
            helper.make_node(kind, ["q", "w", "zero"], ["sum"], name="layer"),
            helper.make_node("Cast", ["sum"], ["real"], name="cast", to=FLOAT),
            helper.make_node("Mul", ["real", "scale"], ["y"], name="scaled"),
        ]
        return _model(nodes, {"w": weights}, shape)

    return build


_MODE = "; supported: nearest"
LSTM = {"w": _random(1, 16, 3), "r": _random(1, 16, 4)}
REFUSED: dict[str, Refused] = {
    "dynamic matrix": Refused(_dynamic("MatMulInteger"), "odd", "DynamicQuantizeLinear", "quantize_static("),
    "dynamic convolution": Refused(_dynamic("ConvInteger"), "odd", "DynamicQuantizeLinear", "quantize_static("),
    "QONNX": Refused(
        one("Quant", {"s": np.float32(1), "z": np.float32(0), "b": np.float32(8)}, domain="qonnx.custom_op.general"),
        *("odd", "qonnx.custom_op.general.Quant", "export_onnx_qcdq("),
    ),
    "custom domain": Refused(one("Magic", domain="my.ops"), "odd", "my.ops.Magic", "domain 'my.ops'"),
    "fused by ONNX Runtime": Refused(
        one("FusedConv", {"w": _random(3, 2, 3, 3)}, domain="com.microsoft", activation="Relu"),
        *("odd", "com.microsoft.FusedConv", "the model from before"),
    ),
    "4-bit matrix": Refused(
        one("MatMulNBits", {"w": np.ones((3, 1, 16), np.uint8)}, (1, 32), "com.microsoft", K=32, N=3, block_size=32),
        *("odd", "com.microsoft.MatMulNBits", "weight_type=QuantType.QInt8"),
    ),
    "bilinear": Refused(
        one("Resize", {"r": np.empty(0, np.float32), "s": np.float32([1, 1, 2, 2])}, mode="linear"),
        *("odd", "Resize", "mode='nearest'", f"mode is 'linear'{_MODE}"),
    ),
    "bicubic": Refused(
        one("Resize", {"r": np.empty(0, np.float32), "s": np.float32([1, 1, 2, 2])}, mode="cubic"),
        *("odd", "Resize", "mode='nearest'", f"mode is 'cubic'{_MODE}"),
    ),
    "ConvTranspose": Refused(
        one("ConvTranspose", {"w": _random(2, 3, 2, 2)}, strides=[2, 2]), "odd", "ConvTranspose", "torch.nn.Upsample"
    ),
    "convolution of volumes": Refused(
        one("Conv", {"w": _random(3, 2, 3, 3, 3)}, (1, 2, 8, 8, 8)),
        *("odd", "Conv", "torch.nn.Conv2d", "the input has 5 dimensions [1, 2, 8, 8, 8]; supported: 3 or 4"),
    ),
    "LSTM": Refused(one("LSTM", LSTM, (5, 1, 3), hidden_size=4), "odd", "LSTM", "torch.nn.Conv1d"),
    "GRU": Refused(
        one("GRU", {"w": _random(1, 12, 3), "r": _random(1, 12, 4)}, (5, 1, 3), hidden_size=4),
        *("odd", "GRU", "torch.nn.Conv1d"),
    ),
    "If": Refused(_if, "odd", "If", "onnxsim"),
    "Loop": Refused(_loop, "odd", "Loop", "onnxsim"),
    "Scan": Refused(_scan, "odd", "Scan", "onnxsim"),
    "sequence": Refused(chain("SequenceConstruct", "ConcatFromSequence"), "odd", "SequenceConstruct", "torch.split"),
    "comparison": Refused(one("Greater", {"z": np.float32(0)}), "odd", "Greater", "torch.clamp"),
    "Einsum": Refused(one("Einsum", equation="abcd->ab"), "odd", "Einsum", "torch.matmul"),
    "LRN": Refused(one("LRN", size=3), "odd", "LRN", "express it by operators that are supported"),
    "misspelt": Refused(one("MaxPoool"), "odd", "MaxPoool", "did you mean MaxPool?"),
    "float16": Refused(
        chain("Cast", "Relu", to=TensorProto.FLOAT16),
        *("odd", "Cast", "model.float()", "it casts float32 to float16 at run time; supported: int8 and uint8"),
    ),
}


def _opset(version: int) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        model = one("Relu")()
        model.opset_import[0].version = version
        return model

    return build


def _input(kind: int = FLOAT, shape: Sequence[int | str] = IMAGE) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        model = one("Relu")()
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, shape))
        return model

    return build


# what is refused before any node: the message, and what its hint says
WHOLE: dict[str, tuple[Callable[[], ModelProto], str, str]] = {
    "opset too old": (_opset(7), "the model uses opset 7; supported: 10 to 25", "convert_version(onnx.load("),
    "opset too new": (_opset(99), "the model uses opset 99; supported: 10 to 25", "opset_version=17"),
    "height unknown": (
        _input(shape=("N", 2, "h", 8)),
        "dimension 2 ('h') is not fixed",
        "--input_name x --input_shape 1,2,64,8",
    ),
    "height and width unknown": (
        _input(shape=("N", 2, "h", "")),
        "graph input 'x': dimensions 2 ('h'), 3 ('') are not fixed",
        "--input_shape 1,2,64,64 ",
    ),
    "texts": (_input(TensorProto.STRING), "graph input 'x' is of type string; supported: float32", "float32 inputs"),
    "half floats": (_input(TensorProto.FLOAT16), "graph input 'x' is of type float16", "float32 inputs"),
    "eight dimensions": (_input(shape=(1,) * 8), "graph input 'x' has 8 dimensions; supported: 1 to 6", "Reshape"),
}
