"""Element-wise float functions of one quantized tensor, of whatever depth, as one 256-byte table: Q(f(DQ(x)))."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, all_device_values, dequantize, quantize
from onnxino_converter.fuse.operands import Operand, Pattern
from onnxino_converter.ir import Node, Quantization, Value
from onnxino_converter.quantized import LookupSpec

Floats = NDArray[np.float32]


def _each(function: Callable[[float], float], x: Floats) -> Floats:
    """A function of the C library in float64; NumPy's own differ in the last bit between processors."""
    return np.asarray([function(float(v)) for v in np.ravel(x)], np.float64).astype(F32).reshape(np.shape(x))


def _sigmoid(x: Floats, _: dict[str, Any]) -> Floats:
    return _each(lambda v: 1.0 / (1.0 + math.exp(-v)) if v > -700 else 0.0, x)


def _elu(x: Floats, attributes: dict[str, Any]) -> Floats:
    negative = (F32(attributes["alpha"]) * _each(math.expm1, np.minimum(x, F32(0)))).astype(F32)
    return np.where(x >= 0, x, negative)


def _hard_sigmoid(x: Floats, attributes: dict[str, Any]) -> Floats:
    linear = F32(attributes["alpha"]) * x + F32(attributes["beta"])
    return np.clip(linear, F32(0), F32(1))


def _hard_swish(x: Floats, _: dict[str, Any]) -> Floats:
    return x * _hard_sigmoid(x, {"alpha": 1 / 6, "beta": 0.5})


UNARY: dict[str, Callable[[Floats, dict[str, Any]], Floats]] = {
    "Relu": lambda x, _: np.maximum(x, F32(0)),
    "Clip": lambda x, a: np.minimum(np.maximum(x, F32(a["low"])), F32(a["high"])),
    "Sigmoid": _sigmoid,
    "Tanh": lambda x, _: _each(math.tanh, x),
    "LeakyRelu": lambda x, a: np.where(x >= 0, x, F32(a["alpha"]) * x),
    "Elu": _elu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Neg": lambda x, _: -x,
    "Abs": lambda x, _: np.abs(x),
}

BINARY: dict[str, Callable[[Floats, Floats], Floats]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


def fuse_table(pattern: Pattern) -> list[Node] | None:
    """A Lookup for the whole expression, or None when it is no function of a single quantized tensor."""
    expression = _Expression(pattern)
    with np.errstate(all="ignore"):
        result = expression.evaluate(pattern.quantize.input(0))
    source = expression.source
    if result is None or source is None or source.value.shape != pattern.result.shape:
        return None
    pattern.result.quantization = pattern.y
    spec = LookupSpec(quantize(np.broadcast_to(result, (256,)), pattern.y), Exactness.Table)
    return [Node("Lookup", pattern.head.name, [source.value], [pattern.result], spec=spec)]


def requantization(x: Quantization, y: Quantization) -> LookupSpec:
    """The table from one quantization to another: Q(DQ(x))."""
    return LookupSpec(quantize(dequantize(all_device_values(), x), y))


class _Expression:
    """Evaluates floats for the 256 device values of the one tensor that they depend on."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.source: Operand | None = None

    def evaluate(self, value: Value) -> Floats | None:
        """The float for each device value from -128 to 127, a scalar for constants, None where it depends on more."""
        if value.constant is not None:
            scalar = value.constant.size == 1 and value.constant.dtype == F32
            return value.constant.reshape(()) if scalar else None
        node = self.pattern.producers.get(value)
        if node is None:
            return None
        if node.op == "DequantizeLinear":
            return self._leaf(node)
        function = UNARY.get(node.op)
        if function is not None:
            x = self.evaluate(node.input(0))
            return None if x is None else function(x, node.attributes)
        operation = BINARY.get(node.op)
        if operation is None:
            return None
        a, b = self.evaluate(node.input(0)), self.evaluate(node.input(1))
        return None if a is None or b is None else operation(a, b).astype(F32)

    def _leaf(self, node: Node) -> Floats | None:
        operand = self.pattern.operand(node.output)
        assert operand is not None
        if operand.constant is not None:
            if operand.constant.size != 1 or operand.scale.size != 1:
                return None
            real = (operand.constant.astype(np.int64) - operand.zero_point).astype(F32) * operand.scale
            return real.reshape(())
        if self.source is not None and operand.value is not self.source.value:
            return None
        self.source = operand
        return dequantize(all_device_values(), operand.quantization(node))
