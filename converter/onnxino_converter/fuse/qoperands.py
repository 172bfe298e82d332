"""Operands of QOperator nodes: tensor, scale and zero point are inputs of the node."""

from __future__ import annotations

import numpy as np

from onnxino_converter.fuse.operands import Operand, per_tensor
from onnxino_converter.ir import Array, Node, Quantization, Value
from onnxino_converter.refusal import refusal

_8BIT = ("int8", "uint8")


def _parameters(
    node: Node, scale: Value | None, zero_point: Value | None, dtype: np.dtype[np.generic]
) -> tuple[Array, Array]:
    where = node.describe()
    if scale is None or scale.constant is None:
        raise refusal(where, f"the scale '{scale.name if scale else ''}' is computed at run time", "constant scales")
    scales = scale.constant.ravel()
    if scales.dtype != np.float32 or not np.all(np.isfinite(scales)) or not np.all(scales > 0) or not scales.size:
        raise refusal(where, f"the scale '{scale.name}' is {scales[:4]}", "finite float32 scales above 0")
    if zero_point is None:
        return scales, np.zeros(scales.size, dtype)
    if zero_point.constant is None:
        raise refusal(where, f"the zero point '{zero_point.name}' is computed at run time", "constant zero points")
    zero = zero_point.constant.ravel()
    if zero.size == 1 and scales.size > 1:
        zero = np.full(scales.size, zero[0])
    if zero.size != scales.size:
        raise refusal(where, f"there are {scales.size} scales and {zero.size} zero points")
    return scales, zero


def qoperand(node: Node, first: int) -> Operand:
    """Inputs first, first + 1, first + 2: tensor, scale, zero point."""
    value = node.input(first)
    if str(value.dtype) not in _8BIT:
        raise refusal(node.describe(), f"'{value.name}' is of type {value.dtype}", "int8 and uint8")
    scale, zero = _parameters(node, node.optional(first + 1), node.optional(first + 2), value.dtype)
    if zero.dtype != value.dtype:
        raise refusal(node.describe(), f"'{value.name}' is {value.dtype}, its zero point {zero.dtype}", "one type")
    return Operand(value, scale, zero)


def qresult(node: Node, scale_index: int) -> Quantization:
    """The output's parameters: inputs scale_index, scale_index + 1."""
    x = node.input(2).dtype if node.op == "QLinearConcat" else node.input(0).dtype
    scale, zero = _parameters(node, node.optional(scale_index), node.optional(scale_index + 1), x)
    if str(zero.dtype) not in _8BIT:
        raise refusal(node.describe(), f"the output is of type {zero.dtype}", "int8 and uint8")
    return per_tensor(node, scale, zero, f"'{node.output.name}'")
