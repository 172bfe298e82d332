"""Add of quantized tensors: scales and the constant of ONNX Runtime's fused multiply-adds."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import Add
from onnxino_converter.arithmetic import F32, fma
from onnxino_converter.ir import Node
from onnxino_converter.quantized import AddSpec


def lower_add(node: Node, spec: AddSpec) -> Add:
    """constant = zy - fma(scale_a, za, scale_b * zb) with zero points in the domain of the arithmetic."""
    scale_a, scale_b = F32(spec.a.scale) / F32(spec.y.scale), F32(spec.b.scale) / F32(spec.y.scale)
    za, zb, zy = (F32(q.device_zero_point + spec.domain) for q in (spec.a, spec.b, spec.y))
    constant = np.subtract(zy, fma(scale_a, za, scale_b * zb), dtype=F32)
    return Add(
        form=spec.form,
        scale_a=float(scale_a),
        scale_b=float(scale_b),
        constant=float(constant),
        domain_offset=spec.domain,
        minimum=spec.clamp.minimum,
        maximum=spec.clamp.maximum,
    )
