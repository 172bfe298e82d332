"""Let float kernels do what follows them: a clamp, and the bias of a convolution or dense layer that has none.

1. Add(FloatConv(x), b[c]), Add(FloatDense(x), b[n]) -> the same with bias b
2. Clamp(FloatConv | FloatDense | FloatBinary)       -> the same with limits
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxino.schema.model import BinaryFunction, UnaryFunction
from onnxino_converter.floats import FloatBinarySpec, FloatConvSpec, FloatDenseSpec, FloatUnarySpec
from onnxino_converter.ir import Array, Graph, Node, Value


def fuse_float(graph: Graph) -> bool:
    changed = False
    while _once(graph):
        changed = True
    return changed


def _once(graph: Graph) -> bool:
    producers, users, outputs = graph.producers(), graph.users(), graph.output_values()

    def private(value: Value) -> Node | None:
        """The node that makes a value which one other node reads."""
        return producers.get(value) if len(users.get(value, [])) == 1 and value not in outputs else None

    def rule(node: Node) -> list[Node] | None:
        spec = node.spec
        if isinstance(spec, FloatUnarySpec) and spec.function == UnaryFunction.Clamp:
            source = private(node.input(0))
            made = None if source is None else _clamped(source.spec, spec.alpha, spec.beta)
        elif isinstance(spec, FloatBinarySpec) and spec.function == BinaryFunction.Add:
            source, bias = _sum(node, private)
            made = None if source is None else _biased(source, node, bias, spec)
        else:
            return None
        if source is None or made is None:
            return None
        fused = Node(source.op, source.name, source.inputs, node.outputs, source.attributes, made)
        producers[node.output] = fused
        return [fused]

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _clamped(spec: Any, low: float, high: float) -> Any:
    if not isinstance(spec, FloatConvSpec | FloatDenseSpec | FloatBinarySpec):
        return None
    least = min(max(spec.minimum, low), high)
    return replace(spec, minimum=least, maximum=min(max(spec.maximum, low), high))


def _sum(node: Node, private: Any) -> tuple[Node | None, Array | None]:
    for product, bias in ((node.input(0), node.input(1)), (node.input(1), node.input(0))):
        if bias.constant is not None and product.shape == node.output.shape:
            return private(product), bias.constant
    return None, None


def _biased(source: Node, node: Node, bias: Array | None, added: FloatBinarySpec) -> Any:
    spec = source.spec
    if bias is None or not isinstance(spec, FloatConvSpec | FloatDenseSpec):
        return None
    if np.any(spec.bias != 0) or np.isfinite(spec.minimum) or np.isfinite(spec.maximum):
        return None
    rank = len(node.output.shape)
    axis = 1 if isinstance(spec, FloatConvSpec) else rank - 1
    shape = (1,) * (rank - bias.ndim) + bias.shape
    if any(size != 1 for i, size in enumerate(shape) if i != axis):
        return None
    full = np.broadcast_to(bias.ravel(), spec.bias.shape).astype(np.float32)
    return replace(spec, bias=full, minimum=added.minimum, maximum=added.maximum)
