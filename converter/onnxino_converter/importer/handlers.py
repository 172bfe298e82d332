"""The table of ONNX operators that the importer reads, by domain and name."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_converter.importer import elementwise, movement, normalization, qlinear, reduction, selection, spatial
from onnxino_converter.importer.context import Context, RawNode

Handler = Callable[[Context, RawNode], None]

ONNX: dict[str, Handler] = {
    "Add": elementwise.binary,
    "AveragePool": spatial.in_two_dimensions(spatial.average_pool, (0,)),
    "Clip": elementwise.clip,
    "Concat": elementwise.concat,
    "Constant": movement.constant,
    "Conv": spatial.in_two_dimensions(spatial.conv, (0, 1)),
    "DequantizeLinear": elementwise.dequantize,
    "Div": elementwise.binary,
    "Dropout": movement.dropout,
    "Flatten": movement.flatten,
    "Gemm": elementwise.gemm,
    "GlobalAveragePool": spatial.in_two_dimensions(spatial.global_average_pool, (0,)),
    "Identity": movement.identity,
    "MatMul": elementwise.matmul,
    "MaxPool": spatial.in_two_dimensions(spatial.max_pool, (0,)),
    "Mul": elementwise.binary,
    "QLinearConv": spatial.in_two_dimensions(qlinear.qlinear_conv, (0, 3)),
    "QLinearMatMul": qlinear.qlinear_matmul,
    "QuantizeLinear": elementwise.quantize,
    "ReduceMean": reduction.reduce,
    "Reshape": movement.reshape,
    "Softmax": elementwise.softmax,
    "Squeeze": movement.squeeze,
    "Sub": elementwise.binary,
    "Transpose": movement.transpose,
    "Unsqueeze": movement.unsqueeze,
    "ArgMax": reduction.arg,
    "ArgMin": reduction.arg,
    "BatchNormalization": normalization.batch_normalization,
    "Cast": elementwise.cast,
    "DepthToSpace": selection.depth_to_space,
    "Expand": selection.expand,
    "Gather": selection.gather,
    "Gelu": elementwise.gelu,
    "GlobalMaxPool": spatial.in_two_dimensions(spatial.global_max_pool, (0,)),
    "InstanceNormalization": normalization.instance_normalization,
    "LayerNormalization": normalization.layer_normalization,
    "LogSoftmax": elementwise.softmax,
    "Max": elementwise.variadic,
    "Mean": elementwise.variadic,
    "Min": elementwise.variadic,
    "PRelu": elementwise.binary,
    "Pad": selection.pad,
    "Pow": elementwise.binary,
    "ReduceMax": reduction.reduce,
    "ReduceMin": reduction.reduce,
    "ReduceSum": reduction.reduce,
    "Resize": selection.resize,
    "Slice": selection.slice_,
    "SpaceToDepth": selection.space_to_depth,
    "Split": selection.split,
    "Sum": elementwise.variadic,
    "Tile": selection.tile,
    "Upsample": selection.resize,
    **dict.fromkeys(elementwise.UNARY, elementwise.unary),
}

MICROSOFT: dict[str, Handler] = {
    "DequantizeLinear": elementwise.dequantize,
    "QGemm": qlinear.qgemm,
    "QLinearAdd": qlinear.qlinear_binary,
    "QLinearAveragePool": qlinear.qlinear_average_pool,
    "QLinearConcat": qlinear.qlinear_concat,
    "QLinearConv": spatial.in_two_dimensions(qlinear.qlinear_conv, (0, 3)),
    "QLinearGlobalAveragePool": qlinear.qlinear_global_average_pool,
    "QLinearLeakyRelu": qlinear.qlinear_unary,
    "QLinearMul": qlinear.qlinear_binary,
    "QLinearSigmoid": qlinear.qlinear_unary,
    "QLinearSoftmax": qlinear.qlinear_softmax,
    "QuantizeLinear": elementwise.quantize,
}

DOMAINS: dict[str, dict[str, Handler]] = {"": ONNX, "ai.onnx": ONNX, "com.microsoft": MICROSOFT}


def supported() -> str:
    """All operators, for messages."""
    return ", ".join(sorted(ONNX)) + "; com.microsoft: " + ", ".join(sorted(MICROSOFT))
