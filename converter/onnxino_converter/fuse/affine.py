"""Add, Sub, Mul and Div of a quantized tensor with float constants, as a depthwise 1x1 convolution.

ONNX Runtime computes these in float32. y = x * m[c] + b[c] becomes an int32 sum with one requantization scale for each
channel; the bias has steps of at most 1/127 of the input's, so the result is within one step (Exactness.Step).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, collapse
from onnxino_converter.fuse.operands import Operand, Pattern
from onnxino_converter.importer.spatial import Window
from onnxino_converter.ir import Array, Node, Quantization, Value
from onnxino_converter.quantized import ConvSpec, ReshapeSpec
from onnxino_converter.refusal import refusal

WINDOW = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))
FINE = 127  # weight where only a bias matters: the bias then has steps of x_scale / 127
COARSEST = 32  # input steps in result steps: the bias is then within an eighth of one
LIMIT = 1 << 16  # channels, when each element becomes one


def affine_nodes(pattern: Pattern) -> list[Node] | None:
    """The nodes, or None when the operands are not one quantized tensor and one float constant."""
    node = pattern.head
    found = _operand_and_constant(pattern)
    if found is None:
        return None
    x, constant = found
    q_scale = float(x.scale[0])
    if node.op in ("Add", "Sub") and q_scale > COARSEST * pattern.y.scale:
        raise refusal(node.describe(), "the input's steps are too coarse for the constant")
    if np.broadcast_shapes(x.value.shape, constant.shape) != x.value.shape:
        return None
    if not np.all(np.isfinite(constant)):
        raise refusal(node.describe(), "a constant is not finite", "finite constants")
    q = x.quantization(node)
    channels = _channels(x.value, constant)
    with np.errstate(all="ignore"):  # what is not finite is refused
        spec = _spec(pattern, q, channels)
    pattern.result.quantization = pattern.y
    if channels.size == x.value.shape[1] and len(x.value.shape) == 4 and _per_channel(constant, x.value):
        return [Node("Conv", node.name, [x.value], [pattern.result], spec=spec)]
    graph, shape = pattern.graph, (1, channels.size, x.value.elements // channels.size, 1)
    viewed = graph.new_value(f"{x.value.name}_elements", shape, x.value.dtype, q)
    made = graph.new_value(f"{pattern.result.name}_elements", shape, pattern.result.dtype, pattern.y)
    return [
        Node("Reshape", node.name, [x.value], [viewed], spec=ReshapeSpec()),
        Node("Conv", node.name, [viewed], [made], spec=spec),
        Node("Reshape", node.name, [made], [pattern.result], spec=ReshapeSpec()),
    ]


def _operand_and_constant(pattern: Pattern) -> tuple[Operand, Array] | None:
    a, b = pattern.head.input(0), pattern.head.input(1)
    pairs = ((a, b),) if pattern.head.op in ("Sub", "Div") else ((a, b), (b, a))
    for real, constant in pairs:
        operand = pattern.operand(real)
        if operand is not None and operand.constant is None and constant.constant is not None:
            return operand, constant.constant
    return None


def _per_channel(constant: Array, x: Value) -> bool:
    """Whether the constant varies along axis 1 only."""
    shape = (1,) * (len(x.shape) - constant.ndim) + constant.shape
    return all(size == 1 for i, size in enumerate(shape) if i != 1)


def _channels(x: Value, constant: Array) -> NDArray[np.float32]:
    """One constant per channel of axis 1, or one per element."""
    if len(x.shape) == 4 and _per_channel(constant, x):
        return np.broadcast_to(constant.ravel(), (x.shape[1],)).astype(F32)
    return np.broadcast_to(constant, x.shape).ravel().astype(F32)


def _spec(pattern: Pattern, q: Quantization, channels: NDArray[np.float32]) -> ConvSpec:
    node, count = pattern.head, channels.size
    if count > LIMIT:
        raise refusal(node.describe(), f"the float constant differs for {count} elements", f"at most {LIMIT}")
    if node.op in ("Mul", "Div"):
        factor = channels if node.op == "Mul" else F32(1) / channels
        weights = np.sign(factor).astype(np.int8)
        bias = np.zeros(count, np.int32)
        scale = F32(q.scale) * np.where(factor == 0, F32(1), np.abs(factor)) / F32(pattern.y.scale)
    else:
        signed = channels if node.op == "Add" else -channels
        weights = np.full(count, FINE, np.int8)
        steps = np.rint(signed.astype(np.float64) * FINE / q.scale)
        if np.any(np.abs(steps) >= 2**31):
            raise refusal(node.describe(), "a constant is too large for the input's scale")
        bias = steps.astype(np.int32)
        scale = np.asarray([F32(q.scale) / F32(FINE) / F32(pattern.y.scale)], F32)
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise refusal(node.describe(), "a constant is too large or too small for the scales")
    shaped = weights.reshape(count, 1, 1, 1)
    return ConvSpec(WINDOW, count, shaped, bias, collapse(scale), q, pattern.y, pattern.clamp, Exactness.Step)
