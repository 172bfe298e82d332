"""Convolutions to Conv2D, with weights packed [output channel][kernel row][kernel column][input channel]."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxino.schema.model import Conv2D, WeightLayout
from onnxino_converter.ir import Node
from onnxino_converter.lower import depthwise_conv2d
from onnxino_converter.lower.common import fold_zero_point, lower_requantization, lower_window, pack
from onnxino_converter.quantized import ConvSpec


def lower_conv2d(node: Node, spec: ConvSpec) -> Any:
    """The Conv2D kernel, or DepthwiseConv2D where each group is one input channel."""
    channels = node.input(0).shape[3]
    if spec.group == channels and channels > 1:
        return depthwise_conv2d.lower_depthwise_conv2d(node, spec)
    zero_point = spec.x.device_zero_point
    return Conv2D(
        window=lower_window(spec.window),
        group=spec.group,
        input_zero_point=zero_point,
        weights=pack(np.transpose(spec.weights, (0, 2, 3, 1)), WeightLayout.OHWI),
        bias=fold_zero_point(spec.bias, spec.weights, zero_point),
        requantization=lower_requantization(spec.scale, spec.y, spec.clamp),
    )
