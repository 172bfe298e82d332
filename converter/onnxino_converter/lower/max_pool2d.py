"""MaxPool on quantized tensors."""

from __future__ import annotations

from onnxino.schema.model import MaxPool2D
from onnxino_converter.ir import Node
from onnxino_converter.lower.common import lower_window
from onnxino_converter.quantized import MaxPoolSpec


def lower_max_pool2d(node: Node, spec: MaxPoolSpec) -> MaxPool2D:
    return MaxPool2D(window=lower_window(spec.window))
