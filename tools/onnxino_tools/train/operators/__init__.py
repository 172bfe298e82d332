"""ONNX operators in PyTorch: each makes, from a node, the function that computes it."""

from __future__ import annotations

from onnxino_tools.train.operators.elementwise import ELEMENTWISE
from onnxino_tools.train.operators.layers import LAYERS
from onnxino_tools.train.operators.movement import MOVEMENT
from onnxino_tools.train.operators.node import Node, Run, Step, Tensors
from onnxino_tools.train.operators.pooling import POOLING

OPERATORS = {**ELEMENTWISE, **LAYERS, **MOVEMENT, **POOLING}

__all__ = ["OPERATORS", "Node", "Run", "Step", "Tensors"]
