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


def _log(v: float) -> float:
    if v > 0:
        return math.log(v)
    return -math.inf if v == 0 else math.nan


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
    "Exp": lambda x, _: _each(lambda v: math.exp(v) if v < 700 else math.inf, x),
    "Log": lambda x, _: _each(_log, x),
    "Sqrt": lambda x, _: np.sqrt(x),
    "Reciprocal": lambda x, _: F32(1) / x,
    "Erf": lambda x, _: _each(math.erf, x),
    "Selu": lambda x, a: np.where(
        x > 0, F32(a["gamma"]) * x, F32(a["gamma"]) * (F32(a["alpha"]) * _each(math.expm1, np.minimum(x, F32(0))))
    ),
    "Softplus": lambda x, _: _each(lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(v))), x),
    "Softsign": lambda x, _: x / (F32(1) + np.abs(x)),
    "Gelu": lambda x, _: _each(lambda v: 0.5 * v * (1.0 + math.erf(v * math.sqrt(0.5))), x),
    "Floor": lambda x, _: np.floor(x),
    "Ceil": lambda x, _: np.ceil(x),
    "Round": lambda x, _: np.rint(x),
    "Sign": lambda x, _: np.sign(x),
}

BINARY: dict[str, Callable[[Floats, Floats], Floats]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Min": np.minimum,
    "Max": np.maximum,
    "PRelu": lambda a, b: np.where(a >= 0, a, a * b),
    "Pow": lambda a, b: np.asarray(np.power(a.astype(np.float64), b)).astype(F32),
}


# How far ONNX Runtime 1.31.1's float32 functions are from the real ones, in units of 2^-23: of the value, and of 1. The
# others round as ours do.
ERRORS = {
    **dict.fromkeys(("Tanh", "Exp", "Log", "Erf", "Pow"), (2.0, 0.0)),
    **dict.fromkeys(("Sigmoid", "Elu", "Selu", "Softplus", "Gelu"), (2.0, 1.0)),
}


def certain(real: Floats, functions: set[str], y: Quantization) -> bool:
    """Whether no value lies so close to the middle between two steps that ONNX Runtime may round to the other one."""
    errors = [ERRORS[name] for name in functions if name in ERRORS]
    if not errors:
        return True
    values = real.astype(np.float64)
    with np.errstate(all="ignore"):
        steps, zero = values / y.scale, y.device_zero_point
        reach = (sum(e[0] for e in errors) * np.abs(values) + sum(e[1] for e in errors)) * 2.0**-23 / y.scale
        close = np.abs(np.abs(steps - np.floor(steps)) - 0.5) <= reach
    inside = (steps > -128.5 - zero + reach) & (steps < 127.5 - zero - reach)
    return not np.any(close & inside)


def fuse_table(pattern: Pattern) -> list[Node] | None:
    """A Lookup for the whole expression, or None when it is no function of a single quantized tensor."""
    expression = _Expression(pattern)
    with np.errstate(all="ignore"):
        result = expression.evaluate(pattern.quantize.input(0))
    source = expression.source
    if result is None or source is None or source.value.shape != pattern.result.shape:
        return None
    pattern.result.quantization = pattern.y
    result = np.broadcast_to(result, (256,))
    exactness = Exactness.Table if certain(result, expression.functions, pattern.y) else Exactness.Step
    spec = LookupSpec(quantize(result, pattern.y), exactness)
    return [Node("Lookup", pattern.head.name, [source.value], [pattern.result], spec=spec)]


def requantization(x: Quantization, y: Quantization) -> LookupSpec:
    """The table from one quantization to another: Q(DQ(x))."""
    return LookupSpec(quantize(dequantize(all_device_values(), x), y))


class _Expression:
    """Evaluates floats for the 256 device values of the one tensor that they depend on."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.source: Operand | None = None
        self.functions: set[str] = set()  # operators met

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
        self.functions.add(node.op)
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
        if operand is None:
            return None
        if operand.constant is not None:
            if operand.constant.size != 1 or operand.scale.size != 1:
                return None
            real = (operand.constant.astype(np.int64) - operand.zero_point).astype(F32) * operand.scale
            return real.reshape(())
        if self.source is not None and operand.value is not self.source.value:
            return None
        self.source = operand
        return dequantize(all_device_values(), operand.quantization(node))
