"""Add of quantized tensors: scales and the constant of ONNX Runtime's fused multiply-adds."""

from __future__ import annotations

from onnxino.schema.model import Add
from onnxino_converter.fuse.binary import add_constant
from onnxino_converter.ir import Node
from onnxino_converter.quantized import AddSpec


def lower_add(node: Node, spec: AddSpec) -> Add:
    scale_a, scale_b, constant = add_constant(spec)
    return Add(
        scale_a=float(scale_a),
        scale_b=float(scale_b),
        constant=float(constant),
        domain_offset=spec.domain,
        minimum=spec.clamp.minimum,
        maximum=spec.clamp.maximum,
    )
