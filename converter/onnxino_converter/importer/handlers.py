"""The table of ONNX operators that the importer reads, by domain and name."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_converter.importer import elementwise, movement, normalization, qlinear, reduction, selection, spatial
from onnxino_converter.importer.context import Context, RawNode
from onnxino_converter.importer.one_dimensional import lifted

Handler = Callable[[Context, RawNode], None]

ONNX: dict[str, Handler] = {
    "Add": elementwise.binary,
    "AveragePool": lifted(spatial.average_pool),
    "Clip": elementwise.clip,
    "Concat": elementwise.concat,
    "Constant": movement.constant,
    "Conv": lifted(spatial.conv),
    "DequantizeLinear": elementwise.dequantize,
    "Div": elementwise.binary,
    "Dropout": movement.dropout,
    "Flatten": movement.flatten,
    "Gemm": elementwise.gemm,
    "GlobalAveragePool": lifted(spatial.global_average_pool),
    "Identity": movement.identity,
    "MatMul": elementwise.matmul,
    "MaxPool": lifted(spatial.max_pool),
    "Mul": elementwise.binary,
    "QLinearConv": lifted(qlinear.qlinear_conv),
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
    "GlobalMaxPool": lifted(spatial.global_max_pool),
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
    "QLinearAveragePool": lifted(qlinear.qlinear_average_pool),
    "QLinearConcat": qlinear.qlinear_concat,
    "QLinearConv": lifted(qlinear.qlinear_conv),
    "QLinearGlobalAveragePool": lifted(qlinear.qlinear_global_average_pool),
    "QLinearLeakyRelu": qlinear.qlinear_unary,
    "QLinearMul": qlinear.qlinear_binary,
    "QLinearSigmoid": qlinear.qlinear_unary,
    "QLinearSoftmax": qlinear.qlinear_softmax,
    "QuantizeLinear": elementwise.quantize,
}

DOMAINS: dict[str, dict[str, Handler]] = {"": ONNX, "ai.onnx": ONNX, "com.microsoft": MICROSOFT}
