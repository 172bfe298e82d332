"""Softmax between DQ and Q, and QLinearSoftmax: over one axis, or (before opset 13) over all axes from one on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import quantize, softmax_factor, softmax_table
from onnxino_converter.fuse.operands import Pattern
from onnxino_converter.fuse.tables import requantization
from onnxino_converter.ir import Graph, Node, Quantization, Value
from onnxino_converter.quantized import LookupSpec, ReshapeSpec, SoftmaxSpec


def fuse_softmax(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x = pattern.activation(node.input(0))
    result, after = clamp_after(pattern)
    domain, exactness = pattern.arithmetic([x], "any")
    xq = x.quantization(node)
    return [*softmax_nodes(pattern.graph, node, x.value, xq, pattern.y, result, domain, exactness), *after]


def softmax_nodes(
    graph: Graph,
    node: Node,
    x: Value,
    xq: Quantization,
    yq: Quantization,
    result: Value,
    domain: int,
    exactness: Exactness,
) -> list[Node]:
    """The fused node, between two Reshapes where the old definition flattens."""
    result.quantization = yq
    axis: int = node.attributes["axis"]
    flat_axes = x.shape[axis:] if node.attributes["flatten"] else x.shape[axis : axis + 1]
    length = int(np.prod(flat_axes, dtype=np.int64))
    factor = softmax_factor(yq.scale, whole=exactness == Exactness.Exact)
    overflows = float(softmax_table(xq.scale, length)[255]) * factor > float(np.finfo(np.float32).max)
    if length == 1:
        return [_of_one(node, x, yq, result, domain, exactness, factor, overflows)]
    if factor == 0:  # less than one step for the whole probability
        return [Node("Lookup", node.name, [x], [result], spec=LookupSpec(_constant(yq.device_zero_point), exactness))]
    if overflows:  # ONNX Runtime loses the largest values; lower_softmax lowers the table, so that ours are right
        exactness = Exactness.Step
    if not node.attributes["flatten"] or axis == len(x.shape) - 1:
        spec = SoftmaxSpec(axis, xq, yq, exactness)
        return [Node("Softmax", node.name, [x], [result], spec=spec)]
    outer = int(np.prod(x.shape[:axis], dtype=np.int64))
    flat = graph.new_value(f"{x.name}_flat", (outer, x.elements // outer), x.dtype, xq)
    made = graph.new_value(f"{result.name}_flat", flat.shape, result.dtype, yq)
    return [
        Node("Reshape", node.name, [x], [flat], spec=ReshapeSpec()),
        Node("Softmax", node.name, [flat], [made], spec=SoftmaxSpec(1, xq, yq, exactness)),
        Node("Reshape", node.name, [made], [result], spec=ReshapeSpec()),
    ]


def _of_one(
    node: Node,
    x: Value,
    yq: Quantization,
    result: Value,
    domain: int,
    exactness: Exactness,
    factor: float,
    overflows: bool,
) -> Node:
    """Softmax of single elements: 1, by ONNX Runtime's integer kernel floor(1 / y_scale) steps. Where that overflows,
    uint8 gives the zero point, and int8 the lowest integer plus the zero point: below 0 it overflows once more."""
    if exactness == Exactness.Exact and overflows:
        value = yq.device_zero_point if domain == 128 else 127 if yq.device_zero_point < 0 else -128
    elif exactness == Exactness.Exact:
        value = min(int(factor) + yq.device_zero_point, 127)
    else:
        value = int(quantize(np.ones(1, np.float32), yq)[0])
    return Node("Lookup", node.name, [x], [result], spec=LookupSpec(_constant(value), exactness))


def _constant(value: int) -> NDArray[np.int8]:
    return np.full(256, value, np.int8)


def clamp_after(pattern: Pattern) -> tuple[Value, list[Node]]:
    """For kernels without a clamp of their own: where they write, and the Lookup that clamps afterwards (if needed)."""
    clamp = pattern.clamp
    if clamp.full:
        return pattern.result, []
    unclamped = pattern.graph.new_value(
        f"{pattern.head.output.name}_quantized", pattern.result.shape, pattern.result.dtype
    )
    pattern.result.quantization = pattern.y
    spec = requantization(pattern.y, pattern.y)
    table = np.clip(spec.table, clamp.minimum, clamp.maximum).astype(np.int8)
    node = Node(
        "Lookup", pattern.activations[0].name, [unclamped], [pattern.result], spec=type(spec)(table, spec.exactness)
    )
    return unclamped, [node]
