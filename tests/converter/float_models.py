"""Operators in float32 and in float islands: each case builds a small model for ONNX Runtime and for Onnxino."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

KINDS = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


@dataclass
class Builder:
    """A model under construction. `quantized`: a QuantizeLinear and DequantizeLinear stand before and after."""

    opset: int = 17
    quantized: bool = False
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    feeds: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def const(self, array: Any) -> str:
        name = self.name("c")
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> Any:
        made = [self.name(kind.lower()) for _ in range(outputs)]
        domain = attributes.pop("domain", "")
        self.nodes.append(
            helper.make_node(kind, list(inputs), made, name=f"node_{made[0]}", domain=domain, **attributes)
        )
        return made[0] if outputs == 1 else made

    def input(self, shape: Sequence[int], low: float = -3, high: float = 3, seed: int = 0) -> str:
        name = self.name("x")
        generator = np.random.default_rng(seed + len(self.inputs))
        self.feeds[name] = generator.uniform(low, high, shape).astype(np.float32)
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        return self.pair(name, max(abs(low), abs(high))) if self.quantized else name

    def pair(self, value: str, reach: float = 3.0, dtype: Any = np.int8, axis: int | None = None) -> str:
        """A QuantizeLinear and its DequantizeLinear."""
        limit = 127 if dtype in (np.int8, np.uint8) else 32767
        scale = np.float32(reach / limit)
        attributes = {} if axis is None else {"axis": axis}
        params = [self.const(scale), self.const(dtype(0))]
        return self.op(
            "DequantizeLinear", [self.op("QuantizeLinear", [value, *params], **attributes), *params], **attributes
        )

    def weights(self, shape: Sequence[int], seed: int = 7) -> Any:
        return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)

    def output(self, value: str, kind: str = "float32", reach: float = 3.0) -> None:
        if self.quantized and kind == "float32":
            value = self.pair(value, reach)
        self.outputs.append(helper.make_tensor_value_info(value, KINDS[kind], None))

    def model(self) -> ModelProto:
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        graph = helper.make_graph(self.nodes, "net", self.inputs, self.outputs, self.initializers)
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


Build = Callable[[Builder], None]
CASES: dict[str, Build] = {}


def unary(kind: str, low: float = -3, high: float = 3, reach: float = 3, **attributes: Any) -> Build:
    return lambda b: b.output(b.op(kind, [b.input((2, 3, 5), low, high)], **attributes), reach=reach)


for _kind in (
    "Relu",
    "Sigmoid",
    "Tanh",
    "LeakyRelu",
    "Elu",
    "Selu",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Softsign",
):
    CASES[_kind] = unary(_kind)
for _kind in ("Erf", "Neg", "Abs", "Floor", "Ceil", "Round", "Sign"):
    CASES[_kind] = unary(_kind)
CASES["Exp"] = unary("Exp", reach=20)
CASES["Log"] = unary("Log", 0.1, 3)
CASES["Sqrt"] = unary("Sqrt", 0.1, 3)
CASES["Reciprocal"] = unary("Reciprocal", 0.3, 3)


def case(name: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        CASES[name] = build
        return build

    return add


@case("Gelu")
def _gelu(b: Builder) -> None:
    b.opset = 20
    b.output(b.op("Gelu", [b.input((2, 12))]))


@case("Clip")
def _clip(b: Builder) -> None:
    b.output(b.op("Clip", [b.input((2, 12)), b.const(np.float32(-1)), b.const(np.float32(1.5))]))


def two(kind: str, first: Any = (2, 3, 5), second: Any = (2, 3, 5), low: float = -3, reach: float = 6) -> Build:
    def build(b: Builder) -> None:
        b.output(b.op(kind, [b.input(first, low), b.input(second, 0.5)]), reach=reach)

    return build


for _kind in ("Add", "Sub", "Mul", "Div", "Min", "Max"):
    CASES[f"{_kind} two"] = two(_kind)
    CASES[f"{_kind} broadcast"] = two(_kind, (1, 3, 4, 5), (3, 1, 1))
CASES["Pow two"] = two("Pow", low=0.2)


@case("Pow constant")
def _pow(b: Builder) -> None:
    b.output(b.op("Pow", [b.input((2, 5)), b.const(np.float32(2))]), reach=9)


@case("PRelu")
def _prelu(b: Builder) -> None:
    b.output(b.op("PRelu", [b.input((1, 3, 4, 4)), b.const(b.weights((3, 1, 1)))]))


for _kind in ("Sum", "Mean", "Min", "Max"):

    def _many(b: Builder, kind: str = _kind) -> None:
        b.output(b.op(kind, [b.input((2, 5)), b.input((2, 5)), b.input((5,))]), reach=9)

    CASES[f"{_kind} of three"] = _many


def image(kind: str, shape: Any = (1, 3, 9, 8), **attributes: Any) -> Build:
    return lambda b: b.output(b.op(kind, [b.input(shape)], **attributes))


CASES["MaxPool"] = image("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
CASES["AveragePool"] = image("AveragePool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
CASES["AveragePool counting"] = image("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
CASES["GlobalAveragePool"] = image("GlobalAveragePool")
CASES["GlobalMaxPool"] = image("GlobalMaxPool")
CASES["MaxPool line"] = image("MaxPool", (1, 3, 11), kernel_shape=[3], strides=[2], pads=[1, 0])
CASES["AveragePool line"] = image("AveragePool", (1, 3, 11), kernel_shape=[2], strides=[2])
CASES["GlobalAveragePool line"] = image("GlobalAveragePool", (1, 3, 11))
CASES["GlobalMaxPool line"] = image("GlobalMaxPool", (1, 3, 11))
CASES["ReduceMean keep"] = image("ReduceMean", axes=[2, 3], keepdims=1)
CASES["ReduceMean drop"] = image("ReduceMean", axes=[1, 3], keepdims=0)
CASES["ReduceMax"] = image("ReduceMax", axes=[-1], keepdims=0)
CASES["ReduceMin"] = image("ReduceMin", axes=[1], keepdims=1)
CASES["ReduceMean all"] = image("ReduceMean", keepdims=1)
CASES["Softmax"] = image("Softmax", axis=-1)
CASES["Softmax axis 1"] = image("Softmax", axis=1)
CASES["LogSoftmax"] = image("LogSoftmax", axis=1)
CASES["DepthToSpace"] = image("DepthToSpace", (1, 8, 3, 4), blocksize=2)
CASES["DepthToSpace CRD"] = image("DepthToSpace", (1, 8, 3, 4), blocksize=2, mode="CRD")
CASES["SpaceToDepth"] = image("SpaceToDepth", (1, 2, 4, 6), blocksize=2)
CASES["Transpose"] = image("Transpose", perm=[0, 2, 3, 1])
CASES["Flatten"] = image("Flatten")


@case("ReduceSum")
def _reduce_sum(b: Builder) -> None:
    b.output(b.op("ReduceSum", [b.input((2, 3, 4)), b.const(np.asarray([1], np.int64))], keepdims=0), reach=9)


for _kind in ("ArgMax", "ArgMin"):
    for _keep in (0, 1):

        def _arg(b: Builder, kind: str = _kind, keep: int = _keep) -> None:
            b.output(b.op(kind, [b.input((1, 4, 3, 5))], axis=1, keepdims=keep, select_last_index=keep), "int64")

        CASES[f"{_kind} keepdims {_keep}"] = _arg


@case("ArgMax behind Conv")
def _arg_conv(b: Builder) -> None:
    made = b.op("Conv", [b.input((1, 3, 5, 4)), b.const(b.weights((4, 3, 1, 1)))])
    b.output(b.op("ArgMax", [made], axis=1, keepdims=0), "int64")


def conv(shape: Any, weights: Any, **attributes: Any) -> Build:
    def build(b: Builder) -> None:
        inputs = [b.input(shape), b.const(b.weights(weights)), b.const(b.weights(weights[:1], 3))]
        b.output(b.op("Conv", inputs, **attributes))

    return build


CASES["Conv"] = conv((1, 3, 9, 8), (4, 3, 3, 2), strides=[2, 1], pads=[1, 0, 1, 1])
CASES["Conv depthwise"] = conv((1, 3, 9, 8), (6, 1, 3, 3), group=3, pads=[1, 1, 1, 1])
CASES["Conv line"] = conv((1, 3, 11), (4, 3, 3), strides=[2], pads=[1, 1], dilations=[2])


@case("Conv, Relu")
def _conv_relu(b: Builder) -> None:
    made = b.op("Conv", [b.input((1, 3, 6, 6)), b.const(b.weights((4, 3, 3, 3)))])
    b.output(b.op("Relu", [b.op("HardSwish", [b.op("Relu", [made])])]))


@case("Conv, BatchNormalization")
def _conv_norm(b: Builder) -> None:
    made = b.op("Conv", [b.input((1, 3, 6, 6)), b.const(b.weights((4, 3, 3, 3))), b.const(b.weights((4,)))])
    stats = [b.const(b.weights((4,), s) + (2 if s == 4 else 0)) for s in (1, 2, 3, 4)]
    b.output(b.op("Relu", [b.op("BatchNormalization", [made, *stats])]))


@case("BatchNormalization")
def _norm(b: Builder) -> None:
    stats = [b.const(b.weights((3,), s) + (2 if s == 4 else 0)) for s in (1, 2, 3, 4)]
    b.output(b.op("BatchNormalization", [b.input((1, 3, 4, 5)), *stats]))


@case("LayerNormalization")
def _layer_norm(b: Builder) -> None:
    b.output(b.op("LayerNormalization", [b.input((2, 3, 8)), b.const(b.weights((8,))), b.const(b.weights((8,), 3))]))


@case("LayerNormalization, statistics")
def _layer_statistics(b: Builder) -> None:
    inputs = [b.input((2, 3, 8)), b.const(b.weights((3, 8)))]
    for value in b.op("LayerNormalization", inputs, 3, axis=1):
        b.output(value)


@case("InstanceNormalization")
def _instance_norm(b: Builder) -> None:
    inputs = [b.input((1, 3, 4, 5)), b.const(b.weights((3,))), b.const(b.weights((3,), 3))]
    b.output(b.op("InstanceNormalization", inputs))


@case("Pad, Conv")
def _pad_conv(b: Builder) -> None:
    padded = b.op("Pad", [b.input((1, 3, 6, 6)), b.const(np.asarray([0, 0, 1, 2, 0, 0, 3, 0], np.int64))])
    b.output(b.op("Conv", [padded, b.const(b.weights((4, 3, 3, 3)))]))


for _mode in ("constant", "edge", "reflect"):

    def _pad(b: Builder, mode: str = _mode) -> None:
        pads = b.const(np.asarray([0, 0, 1, 2, 0, 1, 3, 0], np.int64))
        if mode == "reflect":
            pads = b.const(np.asarray([0, 0, 1, 2, 0, 0, 3, 0], np.int64))
        inputs = [b.input((1, 3, 6, 6)), pads, *([b.const(np.float32(0.75))] if mode == "constant" else [])]
        b.output(b.op("Pad", inputs, mode=mode))

    CASES[f"Pad {_mode}"] = _pad


@case("Gemm")
def _gemm(b: Builder) -> None:
    inputs = [b.input((3, 8)), b.const(b.weights((5, 8))), b.const(b.weights((5,)))]
    b.output(b.op("Gemm", inputs, transB=1, alpha=0.5, beta=2.0))


@case("Gemm turned")
def _gemm_turned(b: Builder) -> None:
    b.output(b.op("Gemm", [b.input((8, 3)), b.const(b.weights((8, 5))), b.const(b.weights((3, 1)))], transA=1))


@case("Gemm of activations")
def _gemm_two(b: Builder) -> None:
    b.output(b.op("Gemm", [b.input((3, 8)), b.input((5, 8)), b.const(b.weights((5,)))], transB=1), reach=30)


@case("MatMul, Add")
def _matmul(b: Builder) -> None:
    b.output(b.op("Add", [b.op("MatMul", [b.input((2, 3, 8)), b.const(b.weights((8, 5)))]), b.const(b.weights((5,)))]))


@case("MatMul of activations")
def _matmul_two(b: Builder) -> None:
    b.output(b.op("MatMul", [b.input((2, 3, 8)), b.input((2, 8, 4))]), reach=30)


@case("MatMul constant first")
def _matmul_first(b: Builder) -> None:
    b.output(b.op("MatMul", [b.const(b.weights((5, 8))), b.input((2, 8, 4))]))


@case("Slice")
def _slice(b: Builder) -> None:
    ints = [b.const(np.asarray(v, np.int64)) for v in ([1, -1], [5, -5], [2, 3], [2, -2])]
    b.output(b.op("Slice", [b.input((1, 2, 6, 7)), *ints]))


@case("Split, Concat")
def _split(b: Builder) -> None:
    a, c = b.op("Split", [b.input((1, 6, 4, 4)), b.const(np.asarray([2, 4], np.int64))], 2, axis=1)
    b.output(b.op("Concat", [c, a], axis=1))


@case("Split outputs")
def _split_outputs(b: Builder) -> None:
    for part in b.op("Split", [b.input((1, 6, 4))], 3, axis=1):
        b.output(part)


@case("Gather")
def _gather(b: Builder) -> None:
    b.output(b.op("Gather", [b.input((1, 6, 4)), b.const(np.asarray([[0, -1], [2, 2]], np.int64))], axis=1))


@case("Gather one")
def _gather_one(b: Builder) -> None:
    b.output(b.op("Gather", [b.input((1, 6, 4)), b.const(np.asarray(3, np.int64))], axis=1))


@case("Expand")
def _expand(b: Builder) -> None:
    b.output(b.op("Expand", [b.input((3, 1)), b.const(np.asarray([2, 1, 4], np.int64))]))


@case("Tile")
def _tile(b: Builder) -> None:
    b.output(b.op("Tile", [b.input((1, 3, 2)), b.const(np.asarray([1, 2, 3], np.int64))]))


RESIZE = [
    (coordinates, nearest, sizes)
    for coordinates in ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
    for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    for sizes in ((10, 14), (7, 3))
]
for _coordinates, _nearest, _sizes in RESIZE:

    def _resize(b: Builder, how: Any = (_coordinates, _nearest), sizes: Any = _sizes) -> None:
        inputs = [b.input((1, 2, 5, 7)), "", "", b.const(np.asarray([1, 2, *sizes], np.int64))]
        b.output(b.op("Resize", inputs, coordinate_transformation_mode=how[0], nearest_mode=how[1]))

    CASES[f"Resize {_coordinates} {_nearest} {_sizes}"] = _resize


@case("Resize scales")
def _resize_scales(b: Builder) -> None:
    b.output(b.op("Resize", [b.input((1, 2, 5, 7)), "", b.const(np.asarray([1, 1, 2.6, 0.6], np.float32))]))


@case("Shape arithmetic")
def _shapes(b: Builder) -> None:
    x = b.input((2, 3, 4))
    shape = b.op("Shape", [x])
    rows = b.op("Gather", [shape, b.const(np.asarray([0], np.int64))])
    target = b.op("Concat", [rows, b.const(np.asarray([-1], np.int64))], axis=0)
    b.output(b.op("Reshape", [x, b.op("Cast", [target], to=7)]))


@case("several outputs")
def _several(b: Builder) -> None:
    x, y = b.input((2, 6)), b.input((2, 6))
    b.output(b.op("Sub", [x, y]), reach=6)
    b.output(b.op("Softmax", [x], axis=-1))


@case("16-bit activations")
def _wide(b: Builder) -> None:
    b.opset = 21
    x = b.pair(b.input((1, 3, 6, 6)), 3.0, np.int16)
    scale = b.const(np.float32(0.5 / 127))
    weights = b.op("DequantizeLinear", [b.const(np.rint(b.weights((4, 3, 3, 3)) * 254).astype(np.int8)), scale])
    made = b.op("Conv", [x, weights])
    pooled = b.op("MaxPool", [b.pair(made, 6.0, np.uint16)], kernel_shape=[2, 2])
    b.output(b.op("Flatten", [b.pair(pooled, 6.0, np.uint16)]))


@case("residual of islands")
def _residual(b: Builder) -> None:
    x = b.input((1, 4, 6, 6))
    first = b.op("Conv", [x, b.const(b.weights((4, 4, 3, 3)))], pads=[1, 1, 1, 1])
    gate = b.op("Sigmoid", [b.op("Conv", [b.op("GlobalAveragePool", [first]), b.const(b.weights((4, 4, 1, 1), 9))])])
    scaled = b.op("Mul", [first, gate])
    b.output(b.op("ReduceMean", [b.op("Add", [scaled, x])], axes=[2, 3], keepdims=0))
