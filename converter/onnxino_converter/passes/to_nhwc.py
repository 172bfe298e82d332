"""Put Transposes around operators whose kernels want another axis order than ONNX: the values in between are NHWC.

1. Conv, MaxPool, AveragePool: NCHW -> NHWC before, back after.
2. Mean over H and W the same; over any other axes: [first kept, reduced, 1, other kept] before (a Transpose and a
   Reshape), a Reshape after.
3. Softmax over another than the last axis: that axis last before, back after.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxino_converter.floats import FloatSoftmaxSpec
from onnxino_converter.ir import Graph, Node, Shape, Value
from onnxino_converter.quantized import MeanSpec, ReshapeSpec, SoftmaxSpec, TransposeSpec

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)
SPATIAL = ("Conv", "MaxPool", "AveragePool")


def to_nhwc(graph: Graph) -> bool:
    def rule(node: Node) -> list[Node] | None:
        if node.op in SPATIAL:
            return _around(graph, node, TO_NHWC)
        if isinstance(node.spec, MeanSpec):
            if node.spec.axes == (2, 3) and node.output.shape == (*node.input(0).shape[:2], 1, 1):
                node.spec = replace(node.spec, axes=(1, 2))
                return _around(graph, node, TO_NHWC)
            return _mean(graph, node, node.spec)
        if isinstance(node.spec, SoftmaxSpec | FloatSoftmaxSpec) and node.spec.axis != len(node.output.shape) - 1:
            rank, axis = len(node.output.shape), node.spec.axis
            perm = (*(i for i in range(rank) if i != axis), axis)
            node.spec = replace(node.spec, axis=rank - 1)
            return _around(graph, node, perm)
        return None

    return graph.rewrite(rule)


def inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(perm))


def permuted(shape: Shape, perm: tuple[int, ...]) -> Shape:
    return tuple(shape[p] for p in perm)


def transpose_node(graph: Graph, x: Value, perm: tuple[int, ...], name: str) -> Node:
    """A Transpose of x to a new value."""
    y = graph.new_value(f"{x.name}_transposed", permuted(x.shape, perm), x.dtype, x.quantization)
    return Node("Transpose", name, [x], [y], spec=TransposeSpec(perm))


def behind_transpose(graph: Graph, y: Value, perm: tuple[int, ...]) -> Value:
    """A new value x so that y = Transpose(perm)(x). x takes y's name, and knows how its axes lie in the ONNX tensor."""
    back = inverse(perm)
    onnx = y.perm or tuple(range(len(perm)))
    x = Value(y.name, permuted(y.shape, back), y.dtype, None, y.quantization, perm=tuple(onnx[i] for i in back))
    y.name = graph.unique_name(f"{y.name}_transposed")
    return x


def _around(graph: Graph, node: Node, perm: tuple[int, ...]) -> list[Node]:
    before = transpose_node(graph, node.input(0), perm, node.name)
    y = node.output
    inner = behind_transpose(graph, y, inverse(perm))
    after = Node("Transpose", node.name, [inner], [y], spec=TransposeSpec(inverse(perm)))
    return [before, Node(node.op, node.name, [before.output, *node.inputs[1:]], [inner], spec=node.spec), after]


def _mean(graph: Graph, node: Node, spec: MeanSpec) -> list[Node]:
    x, y = node.input(0), node.output
    kept = [i for i in range(len(x.shape)) if i not in spec.axes]
    perm = (*kept[:1], *spec.axes, *kept[1:])
    before = transpose_node(graph, x, perm, node.name)
    first = x.shape[kept[0]] if kept else 1
    reduced = [x.shape[i] for i in spec.axes]
    channels = int(np.prod([x.shape[i] for i in kept[1:]], dtype=np.int64))
    height = reduced[0]
    image = (first, height, int(np.prod(reduced[1:], dtype=np.int64)), channels)
    shaped = graph.new_value(f"{x.name}_image", image, x.dtype, x.quantization)
    mean = graph.new_value(f"{y.name}_image", (first, 1, 1, channels), y.dtype, y.quantization)
    return [
        before,
        Node("Reshape", node.name, [before.output], [shaped], spec=ReshapeSpec()),
        Node("Mean", node.name, [shaped], [mean], spec=replace(spec, axes=(1, 2))),
        Node("Reshape", node.name, [mean], [y], spec=ReshapeSpec()),
    ]
