"""The table from fused specs to kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnxino.schema.model import Exactness
from onnxino_converter import floats, quantized
from onnxino_converter.ir import Node
from onnxino_converter.lower import floats as float_kernels
from onnxino_converter.lower.add import lower_add
from onnxino_converter.lower.average_pool2d import lower_average_pool2d
from onnxino_converter.lower.concat import lower_concat
from onnxino_converter.lower.conv2d import lower_conv2d
from onnxino_converter.lower.fully_connected import lower_fully_connected
from onnxino_converter.lower.lookup import lower_lookup
from onnxino_converter.lower.max_pool2d import lower_max_pool2d
from onnxino_converter.lower.mean2d import lower_mean2d
from onnxino_converter.lower.mul import lower_mul
from onnxino_converter.lower.softmax import lower_softmax
from onnxino_converter.lower.transpose import lower_transpose

LOWERINGS: dict[type, Callable[[Node, Any], Any]] = {
    quantized.ConvSpec: lower_conv2d,
    quantized.DenseSpec: lower_fully_connected,
    quantized.AddSpec: lower_add,
    quantized.MulSpec: lower_mul,
    quantized.MaxPoolSpec: lower_max_pool2d,
    quantized.AveragePoolSpec: lower_average_pool2d,
    quantized.MeanSpec: lower_mean2d,
    quantized.SoftmaxSpec: lower_softmax,
    quantized.LookupSpec: lower_lookup,
    quantized.ConcatSpec: lower_concat,
    quantized.TransposeSpec: lower_transpose,
    floats.QuantizeSpec: float_kernels.quantize,
    floats.DequantizeSpec: float_kernels.dequantize,
    floats.FakeQuantizeSpec: float_kernels.fake_quantize,
    floats.FloatConvSpec: float_kernels.conv,
    floats.FloatDenseSpec: float_kernels.dense,
    floats.FloatMatMulSpec: float_kernels.matmul,
    floats.FloatUnarySpec: float_kernels.unary,
    floats.FloatBinarySpec: float_kernels.binary,
    floats.FloatMaxPoolSpec: float_kernels.max_pool,
    floats.FloatAveragePoolSpec: float_kernels.average_pool,
    floats.FloatReduceSpec: float_kernels.reduce,
    floats.FloatSoftmaxSpec: float_kernels.softmax,
    floats.ArgMaxSpec: float_kernels.arg_max,
    floats.TakeSpec: float_kernels.take,
    floats.PadSpec: float_kernels.pad,
}


@dataclass
class Lowered:
    """A kernel with what the writer needs to know beside it."""

    node: Node
    kernel: Any
    exactness: Exactness


def lower_node(node: Node) -> Lowered:
    """The kernel of a fused node. Raises KeyError for a Reshape: those are aliases, not operators."""
    return Lowered(node, LOWERINGS[type(node.spec)](node, node.spec), node.spec.exactness)
