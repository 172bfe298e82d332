"""Nodes of float islands, and moves of elements of any type, to their kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.schema import model as schema
from onnxino.schema.model import ElementType, WeightLayout, Weights
from onnxino_converter import floats
from onnxino_converter.ir import Array, Node
from onnxino_converter.lower.common import lower_window

F32 = np.float32


def _packed(weights: Array) -> Weights:
    kind = ElementType.Int8 if weights.dtype == np.int8 else ElementType.Float32
    data: NDArray[np.uint8] = np.ascontiguousarray(weights).view(np.uint8).ravel()
    return Weights(layout=WeightLayout.OHWI, type=kind, data=data)


def quantize(node: Node, spec: floats.QuantizeSpec) -> schema.Quantize:
    return schema.Quantize(scale=spec.y.scale, zero_point=spec.y.device_zero_point)


def dequantize(node: Node, spec: floats.DequantizeSpec) -> schema.Dequantize:
    return schema.Dequantize(scale=spec.x.scale, zero_point=spec.x.device_zero_point)


def fake_quantize(node: Node, spec: floats.FakeQuantizeSpec) -> schema.FakeQuantize:
    return schema.FakeQuantize(scale=spec.scale, minimum=spec.minimum, maximum=spec.maximum, axis=spec.axis)


def conv(node: Node, spec: floats.FloatConvSpec) -> schema.FloatConv2D:
    return schema.FloatConv2D(
        window=lower_window(spec.window),
        group=spec.group,
        weights=_packed(np.transpose(spec.weights, (0, 2, 3, 1))),
        weight_scale=spec.weight_scale,
        bias=spec.bias,
        minimum=spec.minimum,
        maximum=spec.maximum,
    )


def dense(node: Node, spec: floats.FloatDenseSpec) -> schema.FloatFullyConnected:
    return schema.FloatFullyConnected(
        weights=_packed(spec.weights),
        weight_scale=spec.weight_scale,
        bias=spec.bias,
        minimum=spec.minimum,
        maximum=spec.maximum,
    )


def matmul(node: Node, spec: floats.FloatMatMulSpec) -> schema.FloatMatMul:
    return schema.FloatMatMul()


def unary(node: Node, spec: floats.FloatUnarySpec) -> schema.FloatUnary:
    return schema.FloatUnary(function=spec.function, alpha=spec.alpha, beta=spec.beta)


def binary(node: Node, spec: floats.FloatBinarySpec) -> schema.FloatBinary:
    return schema.FloatBinary(function=spec.function, minimum=spec.minimum, maximum=spec.maximum)


def max_pool(node: Node, spec: floats.FloatMaxPoolSpec) -> schema.FloatMaxPool2D:
    return schema.FloatMaxPool2D(window=lower_window(spec.window))


def average_pool(node: Node, spec: floats.FloatAveragePoolSpec) -> schema.FloatAveragePool2D:
    return schema.FloatAveragePool2D(window=lower_window(spec.window), count_include_pad=spec.include_pad)


def reduce(node: Node, spec: floats.FloatReduceSpec) -> schema.FloatReduce:
    return schema.FloatReduce(function=spec.function, axes=np.asarray(spec.axes, np.uint8))


def softmax(node: Node, spec: floats.FloatSoftmaxSpec) -> schema.FloatSoftmax:
    return schema.FloatSoftmax(log=spec.log)


def arg_max(node: Node, spec: floats.ArgMaxSpec) -> schema.ArgMax:
    return schema.ArgMax(axis=spec.axis, smallest=spec.smallest, last=spec.last)


def take(node: Node, spec: floats.TakeSpec) -> schema.Take:
    return schema.Take(axis=spec.axis, indices=np.asarray(spec.indices, np.uint32))


def pad(node: Node, spec: floats.PadSpec) -> schema.Pad:
    dtype: Any = F32 if node.output.dtype == F32 else np.int32 if node.output.dtype.itemsize > 1 else np.int8
    value: NDArray[Any] = np.asarray([spec.value]).astype(dtype)
    return schema.Pad(before=np.asarray(spec.before, np.uint32), value=value.view(np.uint8))
