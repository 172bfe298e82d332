"""Move Transposes towards the outputs, past operators that any order of axes suits, so that they meet and cancel.

1. Lookup(T(x))                  -> T(Lookup(x))
2. Softmax(T(x)), last axis kept -> T(Softmax(x))
3. Add, Mul, Concat of T(x), T(y), ... with one perm -> T(operator(x, y, ...)); constants and tensors of which only
   1-sized axes move are transposed back
4. Take, Pad, FakeQuantize, reductions and ArgMax of T(x) -> T(operator(x)) along the axis where it was
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxino_converter.floats import ArgMaxSpec, FakeQuantizeSpec, FloatReduceSpec, PadSpec, TakeSpec
from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.passes.to_nhwc import behind_transpose, inverse, permuted
from onnxino_converter.quantized import ConcatSpec, ReshapeSpec, TransposeSpec

Perm = tuple[int, ...]
PASSABLE = (
    "Lookup",
    "Softmax",
    "Add",
    "Mul",
    "Concat",
    "FloatSoftmax",
    "Quantize",
    "Dequantize",
    "FloatUnary",
    "FloatBinary",
)
ALONG_AXES = (FakeQuantizeSpec, TakeSpec, PadSpec, FloatReduceSpec, ArgMaxSpec)


def push_transposes(graph: Graph) -> bool:
    producers = graph.producers()

    def rule(node: Node) -> list[Node] | None:
        if isinstance(node.spec, ALONG_AXES):
            source = producers.get(node.input(0))
            if source is None or not isinstance(source.spec, TransposeSpec):
                return None
            made = _pushed_along(graph, node, source)
            producers.update({one.output: one for one in made})
            return made
        perm = _common_perm(node, producers) if node.op in PASSABLE else None
        if perm is None or (node.op in ("Softmax", "FloatSoftmax") and perm[-1] != len(perm) - 1):
            return None
        nodes = _pushed(graph, node, perm, producers)
        for made in nodes:
            producers[made.output] = made
        return nodes

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _common_perm(node: Node, producers: dict[Value, Node]) -> Perm | None:
    """The permutation of all transposed inputs, where every other input can be transposed back for nothing."""
    perms: set[Perm] = set()
    others: list[Value] = []
    for value in node.present:
        source = producers.get(value)
        if source is not None and isinstance(source.spec, TransposeSpec):
            perms.add(source.spec.perm)
        else:
            others.append(value)
    if len(perms) != 1:
        return None
    perm = perms.pop()
    if any(len(value.shape) > len(perm) for value in node.present) or len(node.output.shape) != len(perm):
        return None
    free = all(
        value.constant is not None or moves_nothing(_padded(value, len(perm)), inverse(perm)) for value in others
    )
    return perm if free else None


def _padded(value: Value, rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(value.shape)) + value.shape


def moves_nothing(shape: tuple[int, ...], perm: Perm) -> bool:
    """Whether a Transpose leaves the bytes in their order: only 1-sized axes move."""
    order = [p for p in perm if shape[p] != 1]
    return order == sorted(order)


def _pushed(graph: Graph, node: Node, perm: Perm, producers: dict[Value, Node]) -> list[Node]:
    nodes: list[Node] = []
    inputs: list[Value | None] = []
    for value in node.present:
        source = producers.get(value)
        if source is not None and isinstance(source.spec, TransposeSpec):
            inputs.append(source.input(0))
        else:
            inputs.append(_back(graph, value, perm, nodes))
    inner = behind_transpose(graph, node.output, perm)
    spec = ConcatSpec(perm[node.spec.axis], node.spec.exactness) if isinstance(node.spec, ConcatSpec) else node.spec
    nodes.append(Node(node.op, node.name, inputs, [inner], spec=spec))
    nodes.append(Node("Transpose", node.name, [inner], [node.output], spec=TransposeSpec(perm)))
    return nodes


def _pushed_along(graph: Graph, node: Node, source: Node) -> list[Node]:
    """T(x) -> operator becomes operator(x) -> T; where the operator drops axes, T lacks them too."""
    perm: Perm = source.spec.perm
    spec = _along(node.spec, perm)
    x, y = source.input(0), node.output
    kept = tuple(i for i in range(len(perm)) if i not in _dropped(node))
    left = [perm[i] for i in kept]
    after = tuple(sorted(left).index(p) for p in left)
    inner = behind_transpose(graph, y, after)
    made = Node(node.op, node.name, [x], [inner], node.attributes, spec)
    return [made, Node("Transpose", node.name, [inner], [y], spec=TransposeSpec(after))]


def _dropped(node: Node) -> tuple[int, ...]:
    """Axes of the input that the output lacks."""
    if len(node.output.shape) == len(node.input(0).shape):
        return ()
    return node.spec.axes if isinstance(node.spec, FloatReduceSpec) else (node.spec.axis,)


def _along(spec: Any, perm: Perm) -> Any:
    """The spec for the input before the Transpose."""
    if isinstance(spec, FloatReduceSpec):
        return replace(spec, axes=tuple(sorted(perm[a] for a in spec.axes)))
    if isinstance(spec, PadSpec):
        return replace(spec, before=tuple(spec.before[i] for i in inverse(perm)))
    return replace(spec, axis=perm[spec.axis])


def _back(graph: Graph, value: Value, perm: Perm, nodes: list[Node]) -> Value:
    """The tensor before the Transpose that it never had."""
    shape = _padded(value, len(perm))
    back = inverse(perm)
    if value.constant is not None:
        array = np.ascontiguousarray(value.constant.reshape(shape).transpose(back))
        return graph.new_constant(f"{value.name}_transposed", array, value.quantization)
    made = graph.new_value(f"{value.name}_transposed", permuted(shape, back), value.dtype, value.quantization)
    nodes.append(Node("Reshape", "", [value], [made], spec=ReshapeSpec()))
    return made
