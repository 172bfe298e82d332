"""Shorten chains of Transposes and Reshapes, by looking where each element ends up.

1. a chain with two or more Transposes that moves nothing in the end -> Reshape (an alias: no bytes move)
2. a chain with two or more Transposes                               -> Reshape, one Transpose, Reshape
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.quantized import ReshapeSpec, TransposeSpec

Order = NDArray[np.int64]


def merge_movement(graph: Graph) -> bool:
    producers = graph.producers()

    def rule(node: Node) -> list[Node] | None:
        if not isinstance(node.spec, TransposeSpec):
            return None
        chain = movement_chain(node, producers)
        if sum(isinstance(link.spec, TransposeSpec) for link in chain) < 2:
            return None
        order = element_order(chain)
        if np.array_equal(order, np.arange(order.size)):
            return [Node("Reshape", node.name, [chain[0].input(0)], node.outputs, spec=ReshapeSpec())]
        return _as_one_transpose(graph, node, chain[0].input(0), order)

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def movement_chain(node: Node, producers: dict[Value, Node]) -> list[Node]:
    """The Transposes and Reshapes that end in `node`, first one first."""
    chain = [node]
    while True:
        source = producers.get(chain[0].input(0))
        if source is None or not isinstance(source.spec, TransposeSpec | ReshapeSpec):
            return chain
        chain.insert(0, source)


def element_order(chain: list[Node]) -> Order:
    """For each element at the end of the chain, its flat index at the beginning."""
    first = chain[0].input(0)
    order: Order = np.arange(first.elements, dtype=np.int64).reshape(first.shape)
    for link in chain:
        order = (
            order.transpose(link.spec.perm)
            if isinstance(link.spec, TransposeSpec)
            else order.reshape(link.output.shape)
        )
    return order.ravel()


def _as_one_transpose(graph: Graph, node: Node, x: Value, order: Order) -> list[Node] | None:
    loops = _loops(order)
    if loops is None:
        return None
    strides = [stride for _, stride in loops]
    by_stride = sorted(range(len(loops)), key=lambda i: -strides[i])
    perm = tuple(by_stride.index(i) for i in range(len(loops)))
    if len(perm) > 6:
        return None
    source_shape = tuple(loops[i][0] for i in by_stride)
    y = node.output
    viewed = graph.new_value(f"{x.name}_view", source_shape, x.dtype, x.quantization)
    turned = graph.new_value(f"{y.name}_view", tuple(size for size, _ in loops), y.dtype, y.quantization)
    return [
        Node("Reshape", node.name, [x], [viewed], spec=ReshapeSpec()),
        Node("Transpose", node.name, [viewed], [turned], spec=TransposeSpec(perm)),
        Node("Reshape", node.name, [turned], [y], spec=ReshapeSpec()),
    ]


def _loops(order: Order) -> list[tuple[int, int]] | None:
    """The order as nested loops, outermost first: (length, stride); None when it is none."""
    loops: list[tuple[int, int]] = []
    rest = order
    while rest.size > 1:
        stride = int(rest[1] - rest[0])
        steps = np.diff(rest)
        breaks = np.flatnonzero(steps != stride)
        length = int(breaks[0]) + 1 if breaks.size else int(rest.size)
        if stride <= 0 or rest.size % length:
            return None
        loops.insert(0, (length, stride))
        rest = rest.reshape(-1, length)[:, 0]
    rebuilt = np.zeros(1, np.int64)
    for length, stride in loops:
        rebuilt = (rebuilt[:, None] + stride * np.arange(length)).ravel()
    return loops if np.array_equal(rebuilt, order) else None
