"""Mul of quantized tensors."""

from __future__ import annotations

from onnxino.schema.model import Mul
from onnxino_converter.fuse.binary import mul_scale
from onnxino_converter.ir import Node
from onnxino_converter.quantized import MulSpec


def lower_mul(node: Node, spec: MulSpec) -> Mul:
    return Mul(
        zero_point_a=spec.a.device_zero_point,
        zero_point_b=spec.b.device_zero_point,
        scale=float(mul_scale(spec)),
        zero_point=spec.y.device_zero_point,
        domain_offset=spec.domain,
        minimum=spec.clamp.minimum,
        maximum=spec.clamp.maximum,
    )
