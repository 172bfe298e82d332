"""Mul of quantized tensors."""

from __future__ import annotations

from onnxino.schema.model import Mul
from onnxino_converter.arithmetic import F32
from onnxino_converter.ir import Node
from onnxino_converter.quantized import MulSpec


def lower_mul(node: Node, spec: MulSpec) -> Mul:
    return Mul(
        zero_point_a=spec.a.device_zero_point,
        zero_point_b=spec.b.device_zero_point,
        scale=float(F32(spec.a.scale) * F32(spec.b.scale) / F32(spec.y.scale)),
        zero_point=spec.y.device_zero_point,
        domain_offset=spec.domain,
        minimum=spec.clamp.minimum,
        maximum=spec.clamp.maximum,
    )
