"""Compute ahead what does not depend on inputs: QuantizeLinear of float weights, Transpose and Reshape of constants.

Example: Transpose(constant) -> constant; QuantizeLinear(float constant) -> int8 constant.
"""

from __future__ import annotations

import numpy as np

from onnxino_converter.arithmetic import quantize_array
from onnxino_converter.floats import TakeSpec
from onnxino_converter.ir import Array, Graph, Node, Value


def fold_constants(graph: Graph) -> bool:
    mapping: dict[Value, Value] = {}

    def rule(node: Node) -> list[Node] | None:
        node.inputs = [mapping.get(value, value) if value is not None else None for value in node.inputs]
        if not node.inputs or node.inputs[0] is None or node.inputs[0].constant is None:
            return None
        array = _evaluate(node, node.inputs[0].constant)
        if array is None:
            return None
        output = node.output
        mapping[output] = Value(output.name, output.shape, output.dtype, array, output.quantization)
        return []

    changed = graph.rewrite(rule)
    graph.replace(mapping)
    return changed


def _evaluate(node: Node, x: Array) -> Array | None:
    if node.op == "Reshape":
        return x.reshape(node.output.shape)
    if node.op == "Transpose":
        perm = node.spec.perm if node.spec is not None else node.attributes["perm"]
        return np.ascontiguousarray(x.transpose(perm))
    if node.op == "Take":
        if isinstance(node.spec, TakeSpec):
            return np.take(x, node.spec.indices, node.spec.axis)
        return np.take(x, node.attributes["indices"], node.attributes["axis"])
    if node.op == "QuantizeLinear":
        return quantize_array(x, node.attributes["scale"], node.attributes["zero_point"], node.attributes["axis"])
    return None
