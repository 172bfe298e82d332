"""Concat of tensors with equal quantization."""

from __future__ import annotations

from onnxino.schema.model import Concat
from onnxino_converter.ir import Node
from onnxino_converter.quantized import ConcatSpec


def lower_concat(node: Node, spec: ConcatSpec) -> Concat:
    return Concat(axis=spec.axis)
