"""Split weights that do not fit int8 after their zero point was subtracted (uint8 weights) into int8 ones, exactly.

Conv(x, w) -> Conv(Take(x, channels 0 0 1 1 2 2 ...), w1 w2 interleaved) where w = w1 + w2: the int32 sums are the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.floats import TakeSpec
from onnxino_converter.ir import Array, Graph, Node, Value
from onnxino_converter.quantized import ConvSpec, DenseSpec


def narrow_weights(graph: Graph) -> bool:
    def rule(node: Node) -> list[Node] | None:
        if not isinstance(node.spec, ConvSpec | DenseSpec) or node.spec.weights.dtype == np.int8:
            return None
        parts = split(node.spec.weights)
        x = node.input(0)
        axis = 1 if isinstance(node.spec, ConvSpec) else len(x.shape) - 1
        indices = tuple(int(i) for i in np.repeat(np.arange(x.shape[axis]), len(parts)))
        shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
        repeated = graph.new_value(f"{x.name}_repeated", shape, x.dtype, x.quantization)
        inputs: list[Value | None] = [repeated, *node.inputs[1:]]
        return [
            Node("Take", node.name, [x], [repeated], spec=TakeSpec(axis, indices)),
            Node(node.op, node.name, inputs, node.outputs, spec=replace(node.spec, weights=_interleaved(parts))),
        ]

    return graph.rewrite(rule)


def split(weights: Array) -> list[NDArray[np.int8]]:
    """int8 arrays with this sum."""
    parts: list[NDArray[np.int8]] = []
    rest = weights.astype(np.int32)
    while np.any(rest) or not parts:
        part = np.clip(rest, -128, 127)
        parts.append(part.astype(np.int8))
        rest = rest - part
    return parts


def _interleaved(parts: list[NDArray[np.int8]]) -> NDArray[np.int8]:
    """[M, C, ...] each -> [M, C * parts, ...]."""
    m, c, *window = parts[0].shape
    return np.ascontiguousarray(np.stack(parts, axis=2).reshape(m, c * len(parts), *window))
