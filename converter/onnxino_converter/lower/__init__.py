"""From fused nodes to the kernels of the model file: one file per kernel, named as its twins in onnxino/ops."""

from __future__ import annotations

from onnxino_converter.lower.table import Lowered, lower_node

__all__ = ["Lowered", "lower_node"]
