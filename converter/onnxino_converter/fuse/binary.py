"""Add and Mul of quantized tensors, one of which may be constant."""

from __future__ import annotations

from onnxino.ops.add import exchanges_operands
from onnxino.schema.model import AddForm, Exactness
from onnxino_converter.fuse.operands import Operand, Pattern, device_bytes
from onnxino_converter.ir import Graph, Node, Quantization, Value
from onnxino_converter.quantized import AddSpec, Clamp, MulSpec


def fuse_add(pattern: Pattern) -> list[Node]:
    a, b = _both(pattern)
    domain, exactness = pattern.arithmetic([a, b], "any")
    return add_nodes(pattern.graph, pattern.head, a, b, pattern.y, pattern.result, domain, pattern.clamp, exactness)


def fuse_mul(pattern: Pattern) -> list[Node]:
    a, b = _both(pattern)
    domain, exactness = pattern.arithmetic([a, b], "any")
    return mul_nodes(pattern.graph, pattern.head, a, b, pattern.y, pattern.result, domain, pattern.clamp, exactness)


def _both(pattern: Pattern) -> tuple[Operand, Operand]:
    return pattern.activation(pattern.head.input(0)), pattern.activation(pattern.head.input(1))


def device_operand(graph: Graph, operand: Operand, q: Quantization) -> Value:
    """The tensor as an operator's input: constants become device bytes."""
    value = operand.value
    if value.constant is None:
        return value
    return graph.new_constant(f"{value.name}_device", device_bytes(value.constant), q)


def add_nodes(
    graph: Graph,
    node: Node,
    a: Operand,
    b: Operand,
    y: Quantization,
    result: Value,
    domain: int,
    clamp: Clamp,
    exactness: Exactness,
) -> list[Node]:
    qa, qb = a.quantization(node), b.quantization(node)
    if exchanges_operands(a.value.shape, b.value.shape):
        a, b, qa, qb = b, a, qb, qa
    result.quantization = y
    spec = AddSpec(qa, qb, y, AddForm.General, domain, clamp, exactness)
    inputs: list[Value | None] = [device_operand(graph, a, qa), device_operand(graph, b, qb)]
    return [Node("Add", node.name, inputs, [result], spec=spec)]


def mul_nodes(
    graph: Graph,
    node: Node,
    a: Operand,
    b: Operand,
    y: Quantization,
    result: Value,
    domain: int,
    clamp: Clamp,
    exactness: Exactness,
) -> list[Node]:
    qa, qb = a.quantization(node), b.quantization(node)
    result.quantization = y
    inputs: list[Value | None] = [device_operand(graph, a, qa), device_operand(graph, b, qb)]
    return [Node("Mul", node.name, inputs, [result], spec=MulSpec(qa, qb, y, domain, clamp, exactness))]
