"""Dense layers to FullyConnected, with weights [output][input]."""

from __future__ import annotations

from onnxino.schema.model import FullyConnected, WeightLayout
from onnxino_converter.ir import Node
from onnxino_converter.lower.common import fold_zero_point, lower_requantization, pack
from onnxino_converter.quantized import DenseSpec


def lower_fully_connected(node: Node, spec: DenseSpec) -> FullyConnected:
    return FullyConnected(
        weights=pack(spec.weights, WeightLayout.OHWI),
        bias=fold_zero_point(spec.bias, spec.weights, spec.x.device_zero_point),
        requantization=lower_requantization(spec.scale, spec.y, spec.clamp),
    )
