"""Convolutions with one input channel per group to DepthwiseConv2D: weights [kernel row][kernel column][channel]."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import DepthwiseConv2D, WeightLayout
from onnxino_converter.ir import Node
from onnxino_converter.lower.common import fold_zero_point, lower_requantization, lower_window, pack
from onnxino_converter.quantized import ConvSpec


def lower_depthwise_conv2d(node: Node, spec: ConvSpec) -> DepthwiseConv2D:
    """Weights arrive as [M, 1, kh, kw], M = channels * multiplier."""
    zero_point = spec.x.device_zero_point
    return DepthwiseConv2D(
        window=lower_window(spec.window),
        multiplier=spec.weights.shape[0] // node.input(0).shape[3],
        input_zero_point=zero_point,
        weights=pack(np.transpose(spec.weights[:, 0], (1, 2, 0)), WeightLayout.HWC),
        bias=fold_zero_point(spec.bias, spec.weights, zero_point),
        requantization=lower_requantization(spec.scale, spec.y, spec.clamp),
    )
