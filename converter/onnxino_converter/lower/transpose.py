"""Transposes that could not be folded away."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import Transpose
from onnxino_converter.ir import Node
from onnxino_converter.quantized import TransposeSpec


def lower_transpose(node: Node, spec: TransposeSpec) -> Transpose:
    return Transpose(perm=np.asarray(spec.perm, np.uint8))
