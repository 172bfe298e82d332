"""Operators that compute each element for itself, and Softmax."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from onnxino_tools.train.operators.node import Make, Node, Run, Step, Tensors, at, need


def _unary(function: Callable[[Tensor], Tensor]) -> Make:
    def make(_: Node) -> Step:
        return lambda inputs, run: function(need(inputs[0]))

    return make


def _many(function: Callable[[Tensor, Tensor], Tensor]) -> Make:
    """Of two or more operands with ONNX's (NumPy's) broadcasting, from the left to the right."""

    def make(node: Node) -> Step:
        if node.opset < 7 and node.get("broadcast", 0) and node.get("axis") is not None:
            raise node.refusal("it broadcasts along an axis of its own, as before opset 7", "opset 7 and later")
        return lambda inputs, run: reduce(function, [need(tensor) for tensor in inputs])

    return make


def _divide(a: Tensor, b: Tensor) -> Tensor:
    # Shapes are computed in integers, where ONNX divides towards zero.
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _mean(node: Node) -> Step:
    add = _many(torch.add)(node)
    count = len(node.proto.input)

    def step(inputs: Tensors, run: Run) -> Tensor:
        total = add(inputs, run)
        assert isinstance(total, Tensor)
        return total / count

    return step


def _clip(node: Node) -> Step:
    low, high = node.get("min"), node.get("max")

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, least, most = need(inputs[0]), at(inputs, 1), at(inputs, 2)
        least = value.new_tensor(low) if least is None and low is not None else least
        most = value.new_tensor(high) if most is None and high is not None else most
        return value if least is None and most is None else torch.clamp(value, least, most)

    return step


def _leaky_relu(node: Node) -> Step:
    slope = node.get("alpha", 0.01)
    return lambda inputs, run: functional.leaky_relu(need(inputs[0]), slope)


def _p_relu(_: Node) -> Step:
    def step(inputs: Tensors, run: Run) -> Tensor:
        value, slope = need(inputs[0]), need(inputs[1])
        return torch.where(value >= 0, value, value * slope)

    return step


def _hard_sigmoid(node: Node) -> Step:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    return lambda inputs, run: torch.clamp(need(inputs[0]) * alpha + beta, 0.0, 1.0)


def _hard_swish(_: Node) -> Step:
    return lambda inputs, run: functional.hardswish(need(inputs[0]))


def _elu(node: Node) -> Step:
    alpha = node.get("alpha", 1.0)
    return lambda inputs, run: functional.elu(need(inputs[0]), alpha)


def _gelu(node: Node) -> Step:
    form = node.get("approximate", "none")
    return lambda inputs, run: functional.gelu(need(inputs[0]), approximate=form)


def softmax_axis(node: Node) -> int:
    """The axis of Softmax and LogSoftmax."""
    return int(node.get("axis", -1 if node.opset >= 13 else 1))


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Make:
    def make(node: Node) -> Step:
        axis = softmax_axis(node)

        def step(inputs: Tensors, run: Run) -> Tensor:
            value = need(inputs[0])
            if node.opset >= 13:
                return function(value, axis)
            # Before opset 13: over all axes from this one on.
            return function(value.flatten(axis % value.dim()), -1).reshape(value.shape)

        return step

    return make


def _cast(node: Node) -> Step:
    from onnx import TensorProto

    kinds = {
        TensorProto.FLOAT: torch.float32,
        TensorProto.INT64: torch.int64,
        TensorProto.INT32: torch.int32,
        TensorProto.BOOL: torch.bool,
    }
    target = node.get("to")
    if target not in kinds:
        raise node.refusal(f"it casts to {TensorProto.DataType.Name(target)}", "float32, int64, int32 and bool")
    return lambda inputs, run: need(inputs[0]).to(kinds[target])


ELEMENTWISE: dict[str, Make] = {
    "Abs": _unary(torch.abs),
    "Add": _many(torch.add),
    "Cast": _cast,
    "Clip": _clip,
    "Div": _many(_divide),
    "Elu": _elu,
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Log": _unary(torch.log),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Max": _many(torch.maximum),
    "Mean": _mean,
    "Min": _many(torch.minimum),
    "Mul": _many(torch.mul),
    "Neg": _unary(torch.neg),
    "PRelu": _p_relu,
    "Pow": _many(torch.pow),
    "Reciprocal": _unary(torch.reciprocal),
    "Relu": _unary(torch.relu),
    "Sigmoid": _unary(torch.sigmoid),
    "Softmax": _softmax(torch.softmax),
    "Softplus": _unary(functional.softplus),
    "Sqrt": _unary(torch.sqrt),
    "Sub": _many(torch.sub),
    "Sum": _many(torch.add),
    "Tanh": _unary(torch.tanh),
}
