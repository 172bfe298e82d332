"""Add and Mul of quantized tensors, one of which may be constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.ops.add import exchanges_operands
from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, all_device_values, fma
from onnxino_converter.fuse.affine import affine_nodes
from onnxino_converter.fuse.operands import Operand, Pattern, device_bytes
from onnxino_converter.ir import Graph, Node, Quantization, Value
from onnxino_converter.quantized import AddSpec, Clamp, LookupSpec, MulSpec
from onnxino_converter.refusal import refusal


def fuse_add(pattern: Pattern) -> list[Node]:
    affine = affine_nodes(pattern)
    if affine is not None:
        return affine
    a, b = _both(pattern)
    domain, exactness = pattern.arithmetic([a, b], "any")
    y, result = pattern.y, pattern.result
    pattern.check_reach(255 * (float(a.scale[0]) + float(b.scale[0])) / y.scale, exactness)
    return add_nodes(pattern.graph, pattern.head, a, b, y, result, domain, pattern.clamp, exactness)


def fuse_mul(pattern: Pattern) -> list[Node]:
    affine = affine_nodes(pattern)
    if affine is not None:
        return affine
    a, b = _both(pattern)
    domain, exactness = pattern.arithmetic([a, b], "any")
    y, result = pattern.y, pattern.result
    return mul_nodes(pattern.graph, pattern.head, a, b, y, result, domain, pattern.clamp, exactness)


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
    spec = AddSpec(qa, qb, y, domain, clamp, exactness)
    _check_scales(node, "input scale / output scale", *add_constant(spec)[:2])
    if not np.isfinite(add_constant(spec)[2]):
        _check_scales(node, "the zero points * input scale / output scale", add_constant(spec)[2])
    scalar = _scalar(b)
    if scalar is not None and a.value.shape == result.shape:
        table = _add_table(spec, scalar)
        return [Node("Lookup", node.name, [a.value], [result], spec=LookupSpec(table, exactness))]
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
    if _scalar(a) is not None:
        a, b = b, a
    qa, qb = a.quantization(node), b.quantization(node)
    result.quantization = y
    spec = MulSpec(qa, qb, y, domain, clamp, exactness)
    _check_scales(node, "the product of the input scales / output scale", mul_scale(spec))
    scalar = _scalar(b)
    if scalar is not None and a.value.shape == result.shape:
        table = _mul_table(spec, scalar)
        return [Node("Lookup", node.name, [a.value], [result], spec=LookupSpec(table, exactness))]
    inputs: list[Value | None] = [device_operand(graph, a, qa), device_operand(graph, b, qb)]
    return [Node("Mul", node.name, inputs, [result], spec=spec)]


def _check_scales(node: Node, what: str, *scales: np.float32) -> None:
    """The device's factors must be finite float32 above 0; ONNX Runtime computes with 0 or infinity."""
    bad = [scale for scale in scales if not np.isfinite(scale) or scale <= 0]
    if bad:
        raise refusal(
            node.describe(),
            f"{what} is {bad[0]}",
            "a finite float32 above 0",
            "quantize again: a scale is extremely large or small",
        )


def _scalar(operand: Operand) -> int | None:
    """The device value of a constant with one element."""
    if operand.constant is None or operand.constant.size != 1:
        return None
    return int(device_bytes(operand.constant).ravel()[0])


def add_constant(spec: AddSpec) -> tuple[np.float32, np.float32, np.float32]:
    """scale_a, scale_b and constant = zy - fma(scale_a, za, scale_b * zb), zero points in the domain."""
    with np.errstate(all="ignore"):
        scale_a, scale_b = F32(spec.a.scale) / F32(spec.y.scale), F32(spec.b.scale) / F32(spec.y.scale)
        za, zb, zy = (F32(q.device_zero_point + spec.domain) for q in (spec.a, spec.b, spec.y))
        return scale_a, scale_b, F32(zy - fma(scale_a, za, scale_b * zb))


def mul_scale(spec: MulSpec) -> np.float32:
    with np.errstate(all="ignore"):
        return F32(F32(spec.a.scale) * F32(spec.b.scale) / F32(spec.y.scale))


def _add_table(spec: AddSpec, scalar: int) -> NDArray[np.int8]:
    """rint(fma(a, scale_a, fma(b, scale_b, constant))) for all a."""
    scale_a, scale_b, constant = add_constant(spec)
    a = (all_device_values().astype(np.int32) + spec.domain).astype(F32)
    shift = fma(F32(scalar + spec.domain), scale_b, constant)
    return _stored(fma(a, scale_a, shift), spec.domain, spec.clamp)


def _mul_table(spec: MulSpec, scalar: int) -> NDArray[np.int8]:
    """rint(f32((a - za) * (b - zb)) * scale + f32(zy)) for all a."""
    a = all_device_values().astype(np.int32) - spec.a.device_zero_point
    product = (a * (scalar - spec.b.device_zero_point)).astype(F32)
    return _stored(product * mul_scale(spec) + F32(spec.y.device_zero_point + spec.domain), spec.domain, spec.clamp)


def _stored(values: NDArray[np.float32], domain: int, clamp: Clamp) -> NDArray[np.int8]:
    whole = np.rint(np.clip(values, -(2.0**20), 2.0**20)).astype(np.int32) - domain
    return np.clip(whole, clamp.minimum, clamp.maximum).astype(np.int8)
