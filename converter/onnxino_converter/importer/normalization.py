"""BatchNormalization, LayerNormalization and InstanceNormalization as element-wise operators and means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxino_converter.importer.context import FLOAT, Context, RawNode, axis_of
from onnxino_converter.ir import Array, Node, Value


def batch_normalization(context: Context, raw: RawNode) -> None:
    """y = (x - mean) * (scale / sqrt(variance + epsilon)) + shift, as a Mul and an Add with constants per channel."""
    x = raw.input(0)
    if raw.int("training_mode", 0):
        raise raw.refuse("training_mode is set", "inference", "export the model in evaluation mode: model.eval()")
    names = ("scale", "bias", "mean", "variance")
    scale, shift, mean, variance = (raw.constant(i + 1, n).astype(np.float64) for i, n in enumerate(names))
    factor = scale / np.sqrt(variance + raw.float("epsilon", 1e-5))
    if len(x.shape) < 2 or factor.size != x.shape[1]:
        raise raw.refuse(f"{factor.size} values for an input of shape {list(x.shape)}", "one for each channel")
    along = (1, -1, *(1,) * (len(x.shape) - 2))
    chain = _Chain(context, raw)
    product = chain.node("Mul", [x, chain.constant(factor.reshape(along))], x.shape, affine=True)
    shifted = chain.constant((shift - mean * factor).reshape(along))
    context.emit(raw, [product, shifted], x.shape, op="Add", affine=True)


def layer_normalization(context: Context, raw: RawNode) -> None:
    """Over the axes from `axis` on; scale and bias have their shape. Further outputs: mean and 1 / deviation."""
    x = raw.input(0)
    axis = axis_of(raw, raw.int("axis", -1), len(x.shape))
    bias = raw.optional_constant(2, "the bias")
    statistics = _normalize(context, raw, tuple(range(axis, len(x.shape))), raw.constant(1, "the scale"), bias)
    for index, (op, value) in enumerate(zip(("Identity", "Reciprocal"), statistics, strict=True), start=1):
        if len(raw.outputs) > index and raw.outputs[index]:
            made = value
            if op == "Reciprocal":
                made = Value(raw.outputs[index], value.shape, FLOAT)
                context.nodes.append(Node(op, raw.name, [value], [made]))
            made.name = raw.outputs[index]
            context.define(raw, made, index)


def instance_normalization(context: Context, raw: RawNode) -> None:
    """Over the axes behind the channels."""
    x = raw.input(0)
    along = (-1, *(1,) * (len(x.shape) - 2))
    scale, bias = raw.constant(1, "the scale").reshape(along), raw.constant(2, "the bias").reshape(along)
    _normalize(context, raw, tuple(range(2, len(x.shape))), scale, bias)


def _normalize(
    context: Context, raw: RawNode, axes: tuple[int, ...], scale: Array, bias: Array | None
) -> tuple[Value, Value]:
    """Emits the nodes; mean and deviation."""
    x = raw.input(0)
    chain = _Chain(context, raw)
    small = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    mean = chain.node("ReduceMean", [x], small, axes=axes)
    centered = chain.node("Sub", [x, mean], x.shape)
    square = chain.node("Mul", [centered, centered], x.shape)
    variance = chain.node("ReduceMean", [square], small, axes=axes)
    epsilon = chain.constant(np.asarray(raw.float("epsilon", 1e-5)))
    deviation = chain.node("Sqrt", [chain.node("Add", [variance, epsilon], small)], small)
    y = chain.node("Div", [centered, deviation], x.shape)
    if bias is None:
        context.emit(raw, [y, chain.constant(scale)], x.shape, op="Mul")
        return mean, deviation
    product = chain.node("Mul", [y, chain.constant(scale)], x.shape)
    context.emit(raw, [product, chain.constant(bias)], x.shape, op="Add")
    return mean, deviation


@dataclass
class _Chain:
    """The nodes that stand for one ONNX node."""

    context: Context
    raw: RawNode
    count: int = 0

    def _name(self) -> str:
        self.count += 1
        return f"{self.raw.outputs[0]}_{self.count}"

    def node(self, op: str, inputs: list[Value | None], shape: tuple[int, ...], **attributes: Any) -> Value:
        value = Value(self._name(), shape, FLOAT)
        # for passes/mark_pairs.py they are one reader
        self.context.nodes.append(Node(op, self.raw.name, inputs, [value], {**attributes, "origin": id(self.raw)}))
        return value

    def constant(self, array: Array) -> Value:
        made = array.astype(np.float32)
        return Value(self._name(), made.shape, made.dtype, made)
