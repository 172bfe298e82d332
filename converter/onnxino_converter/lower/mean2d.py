"""Means over the whole image: requantization with x_scale / (y_scale * f32(pixels))."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import Mean2D
from onnxino_converter.arithmetic import F32
from onnxino_converter.fuse.conv import check_scale
from onnxino_converter.ir import Node
from onnxino_converter.lower.common import lower_requantization
from onnxino_converter.quantized import Clamp, MeanSpec


def lower_mean2d(node: Node, spec: MeanSpec) -> Mean2D:
    _, height, width, _ = node.input(0).shape
    scale = np.asarray([F32(spec.x.scale) * F32(spec.factor) / (F32(spec.y.scale) * F32(height * width))], F32)
    check_scale(node, scale)
    return Mean2D(
        input_zero_point=spec.x.device_zero_point, requantization=lower_requantization(scale, spec.y, Clamp())
    )
