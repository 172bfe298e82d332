"""AveragePool: ONNX Runtime's float formula."""

from __future__ import annotations

from onnxino.schema.model import AveragePool2D
from onnxino_converter.ir import Node
from onnxino_converter.lower.common import lower_window
from onnxino_converter.quantized import AveragePoolSpec


def lower_average_pool2d(node: Node, spec: AveragePoolSpec) -> AveragePool2D:
    return AveragePool2D(
        window=lower_window(spec.window),
        count_include_pad=spec.include_pad,
        input_scale=spec.x.scale,
        output_scale=spec.y.scale,
        input_zero_point=spec.x.device_zero_point,
        output_zero_point=spec.y.device_zero_point,
        domain_offset=spec.domain,
    )
