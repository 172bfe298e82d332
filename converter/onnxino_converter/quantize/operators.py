"""What the quantizer knows about operators, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_converter.quantize.clamp import CLAMPS
from onnxino_converter.quantize.graph import FloatGraph, attribute, describe
from onnxino_converter.refusal import refusal

if TYPE_CHECKING:
    from onnx import NodeProto

WEIGHTED = {"Conv", "Gemm", "MatMul"}
# The output holds values of the input: both share scale and zero point, and no arithmetic is left.
MOVES = {
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalMaxPool",
    "MaxPool",
    "Pad",
    "ReduceMax",
    "ReduceMin",
    "Reshape",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
}
BINARY = {"Add", "Sub", "Mul", "Div", "Min", "Max"}
UNARY = {
    "Abs",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Neg",
    "PRelu",
    "Pow",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Tanh",
}
POOLS = {"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"}
OTHERS = {"Concat", "ArgMax"}
KNOWN = WEIGHTED | MOVES | CLAMPS | BINARY | UNARY | POOLS | OTHERS
# Constant operands of these are quantized like activations; other constants are parameters and stay.
CONSTANT_OPERANDS = BINARY | {"Concat"}
# Relu and Clip after these are part of them: only the result after the activation is quantized.
ABSORBING = WEIGHTED | BINARY
# Results in 0..1 whatever comes in: scale 1/256, zero at the type's least value.
FIXED = {"Sigmoid", "Softmax"}

_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "QGemm"}
_DYNAMIC = {"DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "ConvInteger", "MatMulInteger"}


def check_float(graph: FloatGraph) -> None:
    """Raises ConvertError where the model is quantized already."""
    for node in graph.nodes:
        if node.op_type in _DYNAMIC:
            raise refusal(
                describe(node),
                "the model is quantized already, and dynamically: its scales depend on the input",
                "models in float32",
                "give the float model that it was made from: onnxino convert FLOAT.onnx --calibrate DATA.npz",
            )
    for node in graph.nodes:
        if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"):
            raise refusal(
                describe(node),
                "the model is quantized already",
                "models in float32",
                "convert it without --calibrate; or the float model: onnxino convert FLOAT.onnx --calibrate DATA.npz",
            )


def check_inputs(graph: FloatGraph) -> None:
    """Raises ConvertError for an input that is not float32."""
    from onnx import TensorProto

    for port in graph.model.graph.input:
        kind = port.type.tensor_type.elem_type
        if kind != TensorProto.FLOAT:
            found = TensorProto.DataType.Name(kind).lower()
            raise refusal(f"graph input '{port.name}'", f"is of type {found}", "float32", "export the model in float32")


def check_operators(graph: FloatGraph) -> None:
    """Raises ConvertError for an operator on float32 that would be left in float."""
    for node in graph.nodes:
        if is_float(graph, node) and (node.domain not in ("", "ai.onnx") or node.op_type not in KNOWN):
            raise refusal(
                describe(node),
                "this operator cannot be quantized, it would be left in float; docs/quantizing.md lists what can",
                None,
                "change the network; or convert the model as it is, in float32: --float (float=True), not --calibrate",
            )
        if node.op_type == "Resize" and attribute(node, "mode", b"nearest") != b"nearest":
            mode = attribute(node, "mode", b"").decode()
            raise refusal(describe(node), f"Resize in mode {mode} would be left in float", "nearest")
        if node.op_type == "Pad" and attribute(node, "mode", b"constant") == b"constant":
            value = graph.constant(node, 2)
            if value is not None and value.size and float(value.ravel()[0]) != 0.0:
                raise refusal(describe(node), f"it pads with {float(value.ravel()[0])}", "padding with 0")


def is_float(graph: FloatGraph, node: NodeProto) -> bool:
    """Whether it computes with float32 tensors that are not constant."""
    names = (*node.input, *node.output)
    return any(name in graph.floats and name not in graph.constants for name in names)


def weight_axis(graph: FloatGraph, node: NodeProto) -> int | None:
    """The axis of output channels in the weights of a WEIGHTED node; None where there is none (batched MatMul)."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return 1 if graph.rank(node.input[1]) == 2 else None
