"""Float islands: operators that no integer kernel or table can do, as float32 nodes between Dequantize and Quantize."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxino.schema.model import BinaryFunction, ReduceFunction, UnaryFunction
from onnxino_converter import floats
from onnxino_converter.arithmetic import F32
from onnxino_converter.fuse.operands import Operand, activation_bounds, held, operand_of
from onnxino_converter.ir import Array, Graph, Node, Quantization, Value
from onnxino_converter.quantized import ConcatSpec, ReshapeSpec, TransposeSpec
from onnxino_converter.refusal import refusal

FLOAT = np.dtype(np.float32)


@dataclass
class Islands:
    """The graph while its islands are lowered, one node after the other."""

    graph: Graph
    producers: dict[Value, Node]
    users: dict[Value, list[Node]]
    constants: dict[Value, Value] = field(default_factory=dict[Value, Value])

    def operand(self, value: Value) -> Operand | None:
        """The quantized tensor behind a float value, or None."""
        node = self.producers.get(value)
        return operand_of(node) if node is not None and node.op == "DequantizeLinear" else None

    def constant(self, value: Value) -> Array | None:
        """Elements of a float value that is known: a constant, or one behind a DequantizeLinear."""
        if value.constant is not None:
            return value.constant.astype(F32)
        operand = self.operand(value)
        if operand is None or operand.constant is None:
            return None
        return dequantized(operand)

    def read(self, value: Value) -> Value:
        """The value as an input of a float node: known elements become a float32 constant of the model."""
        array = self.constant(value)
        if array is None:
            return value
        if value not in self.constants:
            shaped = array.reshape(value.shape or (1,))
            self.constants[value] = self.graph.new_constant(f"{value.name}_float", shaped)
        return self.constants[value]

    def new(self, like: Value, what: str) -> Value:
        """A float value of the same shape."""
        return self.graph.new_value(f"{like.name}_{what}", like.shape, FLOAT)


def dequantized(operand: Operand) -> Array:
    """Real values of a quantized constant: f32(q - zero_point) * scale."""
    array = operand.value.constant
    assert array is not None
    shape = [1] * array.ndim
    if operand.axis >= 0:
        shape[operand.axis] = operand.scale.size
    elif operand.scale.size == 1:
        shape = []
    whole = array.astype(np.int64) - operand.zero_point.astype(np.int64).reshape(shape)
    return whole.astype(F32) * operand.scale.reshape(shape)


Lowering = Callable[[Islands, Node], list[Node]]


def _one(node: Node, spec: Any, inputs: list[Value], op: str | None = None) -> list[Node]:
    listed: list[Value | None] = list(inputs)
    return [Node(op or node.op, node.name, listed, node.outputs, spec=spec)]


def _unary(function: UnaryFunction, alpha: str = "", beta: str = "") -> Lowering:
    def lower(islands: Islands, node: Node) -> list[Node]:
        a = float(F32(node.attributes[alpha])) if alpha else 0.0
        b = float(F32(node.attributes[beta])) if beta else 0.0
        return _one(node, floats.FloatUnarySpec(function, a, b), [islands.read(node.input(0))], "FloatUnary")

    return lower


def _clamp(islands: Islands, node: Node) -> list[Node]:
    low, high = (float(F32(bound)) for bound in activation_bounds(node))
    spec = floats.FloatUnarySpec(UnaryFunction.Clamp, min(low, high), high)
    return _one(node, spec, [islands.read(node.input(0))], "FloatUnary")


def _binary(function: BinaryFunction) -> Lowering:
    def lower(islands: Islands, node: Node) -> list[Node]:
        inputs = [islands.read(node.input(0)), islands.read(node.input(1))]
        return _one(node, floats.FloatBinarySpec(function), inputs, "FloatBinary")

    return lower


def _reduce(function: ReduceFunction) -> Lowering:
    def lower(islands: Islands, node: Node) -> list[Node]:
        spec = floats.FloatReduceSpec(function, tuple(node.attributes["axes"]))
        return _one(node, spec, [islands.read(node.input(0))], "FloatReduce")

    return lower


def _global_average(islands: Islands, node: Node) -> list[Node]:
    spec = floats.FloatReduceSpec(ReduceFunction.Mean, (2, 3))
    return _one(node, spec, [islands.read(node.input(0))], "FloatReduce")


def _average_pool(islands: Islands, node: Node) -> list[Node]:
    spec = floats.FloatAveragePoolSpec(node.attributes["window"], node.attributes["include_pad"])
    return _one(node, spec, [islands.read(node.input(0))])


def _max_pool(islands: Islands, node: Node) -> list[Node]:
    return _one(node, floats.FloatMaxPoolSpec(node.attributes["window"]), [islands.read(node.input(0))])


def _softmax(islands: Islands, node: Node) -> list[Node]:
    x, axis = islands.read(node.input(0)), int(node.attributes["axis"])
    log = node.op == "LogSoftmax"
    if not node.attributes["flatten"] or axis == len(x.shape) - 1:
        return _one(node, floats.FloatSoftmaxSpec(axis, log), [x], "FloatSoftmax")
    outer = int(np.prod(x.shape[:axis], dtype=np.int64))
    flat = islands.graph.new_value(f"{x.name}_flat", (outer, x.elements // outer), FLOAT)
    made = islands.graph.new_value(f"{node.output.name}_flat", flat.shape, FLOAT)
    return [
        Node("Reshape", node.name, [x], [flat], spec=ReshapeSpec()),
        Node("FloatSoftmax", node.name, [flat], [made], spec=floats.FloatSoftmaxSpec(1, log)),
        Node("Reshape", node.name, [made], node.outputs, spec=ReshapeSpec()),
    ]


def _concat(islands: Islands, node: Node) -> list[Node]:
    inputs = [islands.read(value) for value in node.present]
    return _one(node, ConcatSpec(node.attributes["axis"], floats.DequantizeSpec.exactness), inputs)


def _moving(make: Callable[[Node], Any]) -> Lowering:
    def lower(islands: Islands, node: Node) -> list[Node]:
        return _one(node, make(node), [islands.read(node.input(0))])

    return lower


def moving_spec(node: Node) -> Any:
    """The spec of an operator that moves elements of any type, or None."""
    a = node.attributes
    if node.op == "Reshape":
        return ReshapeSpec()
    if node.op == "Transpose":
        return TransposeSpec(tuple(a["perm"]))
    if node.op == "Take":
        return floats.TakeSpec(a["axis"], a["indices"])
    if node.op == "Pad":
        return floats.PadSpec(a["before"], a["value"])
    if node.op == "ArgMax":
        return floats.ArgMaxSpec(a["axis"], a["smallest"], a["last"])
    return None


# ------------------------------------------------------------------------------------------------- Q and DQ


def _dequantize(islands: Islands, node: Node) -> list[Node]:
    """A tensor that the device holds as int8; 16-bit and per-channel ones never leave float32 (see _quantize)."""
    operand = operand_of(node)
    x = operand.value
    if held(operand.scale, operand.zero_point):
        q = Quantization(float(operand.scale[0]), int(operand.zero_point[0]), operand.zero_point.dtype == np.uint8)
        if x.quantization is None:
            x.quantization = q
        return _one(node, floats.DequantizeSpec(q), [x], "Dequantize")
    source = islands.producers.get(x)
    if source is None or source.op != "FakeQuantize":
        if source is not None or x.dtype.itemsize > 1:
            raise refusal(
                node.describe(),
                f"it reads '{x.name}' of type {x.dtype}, which no QuantizeLinear with the same parameters makes",
                "16-bit and per-channel tensors between a QuantizeLinear and a DequantizeLinear",
            )
        raise refusal(node.describe(), f"'{x.name}' is quantized per channel", "graph inputs quantized per tensor")
    made = source.attributes
    if any(not np.array_equal(made[k], node.attributes[k]) for k in ("scale", "zero_point")):
        raise refusal(
            node.describe(),
            f"its scale and zero point differ from those of the QuantizeLinear that makes '{x.name}'",
            "one quantization for each 16-bit or per-channel tensor",
        )
    return _one(node, ReshapeSpec(), [x], "Reshape")


def _quantize(islands: Islands, node: Node) -> list[Node]:
    scale, zero = node.attributes["scale"], node.attributes["zero_point"]
    x = islands.read(node.input(0))
    if held(scale, zero):
        q = Quantization(float(scale[0]), int(zero[0]), zero.dtype == np.uint8)
        node.output.quantization = q
        return _one(node, floats.QuantizeSpec(q), [x], "Quantize")
    if node.output in islands.graph.output_values():
        raise refusal(
            f"graph output '{node.output.name}'",
            f"it is of type {zero.dtype} with {np.unique(scale).size} scales",
            "8-bit outputs quantized per tensor, float32 outputs behind a DequantizeLinear",
            "add a DequantizeLinear, or quantize activations per tensor to 8 bits (QuantType.QInt8)",
        )
    if any(user.op != "DequantizeLinear" for user in islands.users.get(node.output, [])):
        reader = next(u for u in islands.users[node.output] if u.op != "DequantizeLinear")
        raise refusal(
            reader.describe(), f"it reads '{node.output.name}' of type {zero.dtype}", "8-bit tensors, DequantizeLinear"
        )
    if zero.dtype == np.int32:
        raise refusal(node.describe(), "it quantizes to 32 bits", "8 and 16 bits")
    limits, whole = np.iinfo(zero.dtype), zero.astype(np.int64)
    low, high = (limits.min - whole).astype(F32), (limits.max - whole).astype(F32)
    axis = max(0, node.attributes["axis"])
    node.output.dtype = FLOAT
    made = _one(node, floats.FakeQuantizeSpec(scale, low, high, axis), [x], "FakeQuantize")
    made[0].attributes = node.attributes
    return made


UNARY = UnaryFunction
LOWERINGS: dict[str, Lowering] = {
    "Relu": _clamp,
    "Clip": _clamp,
    "Sigmoid": _unary(UNARY.Sigmoid),
    "Tanh": _unary(UNARY.Tanh),
    "Exp": _unary(UNARY.Exp),
    "Log": _unary(UNARY.Log),
    "Sqrt": _unary(UNARY.Sqrt),
    "Abs": _unary(UNARY.Abs),
    "Neg": _unary(UNARY.Neg),
    "Reciprocal": _unary(UNARY.Reciprocal),
    "Erf": _unary(UNARY.Erf),
    "Elu": _unary(UNARY.Elu, "alpha"),
    "Selu": _unary(UNARY.Selu, "alpha", "gamma"),
    "LeakyRelu": _unary(UNARY.LeakyRelu, "alpha"),
    "HardSigmoid": _unary(UNARY.HardSigmoid, "alpha", "beta"),
    "HardSwish": _unary(UNARY.HardSwish),
    "Softplus": _unary(UNARY.Softplus),
    "Softsign": _unary(UNARY.Softsign),
    "Gelu": _unary(UNARY.Gelu),
    "Floor": _unary(UNARY.Floor),
    "Ceil": _unary(UNARY.Ceil),
    "Round": _unary(UNARY.Round),
    "Sign": _unary(UNARY.Sign),
    **{function.name: _binary(function) for function in BinaryFunction},
    "ReduceMean": _reduce(ReduceFunction.Mean),
    "ReduceSum": _reduce(ReduceFunction.Sum),
    "ReduceMax": _reduce(ReduceFunction.Max),
    "ReduceMin": _reduce(ReduceFunction.Min),
    "GlobalAveragePool": _global_average,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Concat": _concat,
    **dict.fromkeys(("Reshape", "Transpose", "Take", "Pad", "ArgMax"), _moving(moving_spec)),
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
}
