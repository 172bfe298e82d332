"""Softmax: the table of exponentials that ONNX Runtime makes for the input scale and the row length."""

from __future__ import annotations

from onnxino.schema.model import Exactness, Softmax
from onnxino_converter.arithmetic import softmax_factor, softmax_table
from onnxino_converter.ir import Node
from onnxino_converter.quantized import SoftmaxSpec


def lower_softmax(node: Node, spec: SoftmaxSpec) -> Softmax:
    exact = spec.exactness == Exactness.Exact
    factor = softmax_factor(spec.y.scale, whole=exact)
    return Softmax(
        table=softmax_table(spec.x.scale, node.input(0).shape[-1], 1.0 if exact else factor),
        factor=factor,
        zero_point=spec.y.device_zero_point,
    )
