"""FloatUnary: a function of each float32 value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino import float_math as fm
from onnxino.float_math import HALF, ONE, ZERO, Float
from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import ElementType, FloatUnary, Tensor, UnaryFunction

SIXTH = np.float32(1.0) / np.float32(6.0)
ROOT_HALF = np.float32(0.70710678)


def check(kernel: FloatUnary, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless both tensors are float32 of one shape and alpha and beta are numbers."""
    _checks.require_tensors(inputs, outputs, 1, ElementType.Float32, ElementType.Float32)
    _checks.require_shape(outputs[0], shape_of(inputs[0]))
    _checks.require_number("alpha", kernel.alpha)
    _checks.require_number("beta", kernel.beta)
    if kernel.function == UnaryFunction.Clamp:
        _checks.require_limits(kernel.alpha, kernel.beta)


def run(kernel: FloatUnary, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[Float]:
    """float32 [B, *shape] -> float32 [B, *shape]."""
    with np.errstate(all="ignore"):
        return [FUNCTIONS[kernel.function](arrays[0], np.float32(kernel.alpha), np.float32(kernel.beta))]


def _sigmoid(x: Float) -> Float:
    e = fm.exp(-np.abs(x))
    return np.where(x >= ZERO, ONE / (ONE + e), e / (ONE + e))


def _hard_sigmoid(x: Float, alpha: np.float32, beta: np.float32) -> Float:
    return fm.clamp(alpha * x + beta, ZERO, ONE)


def _sign(x: Float) -> Float:
    return np.where(x > ZERO, ONE, np.where(x < ZERO, -ONE, x + ZERO))


FUNCTIONS: dict[UnaryFunction, Callable[[Float, np.float32, np.float32], Float]] = {
    UnaryFunction.Clamp: fm.clamp,
    UnaryFunction.Sigmoid: lambda x, alpha, beta: _sigmoid(x),
    UnaryFunction.Tanh: lambda x, alpha, beta: fm.tanh(x),
    UnaryFunction.Exp: lambda x, alpha, beta: fm.exp(x),
    UnaryFunction.Log: lambda x, alpha, beta: fm.log(x),
    UnaryFunction.Sqrt: lambda x, alpha, beta: fm.sqrt(x),
    UnaryFunction.Abs: lambda x, alpha, beta: np.abs(x),
    UnaryFunction.Neg: lambda x, alpha, beta: -x,
    UnaryFunction.Reciprocal: lambda x, alpha, beta: ONE / x,
    UnaryFunction.Erf: lambda x, alpha, beta: fm.erf(x),
    UnaryFunction.Elu: lambda x, alpha, beta: np.where(x >= ZERO, x, alpha * (fm.exp(x) - ONE)),
    UnaryFunction.Selu: lambda x, alpha, beta: np.where(x > ZERO, beta * x, beta * (alpha * (fm.exp(x) - ONE))),
    UnaryFunction.LeakyRelu: lambda x, alpha, beta: np.where(x >= ZERO, x, alpha * x),
    UnaryFunction.HardSigmoid: _hard_sigmoid,
    UnaryFunction.HardSwish: lambda x, alpha, beta: x * _hard_sigmoid(x, SIXTH, HALF),
    UnaryFunction.Softplus: lambda x, alpha, beta: fm.clamp(x, ZERO, np.inf) + fm.log(ONE + fm.exp(-np.abs(x))),
    UnaryFunction.Softsign: lambda x, alpha, beta: x / (ONE + np.abs(x)),
    UnaryFunction.Gelu: lambda x, alpha, beta: HALF * x * (ONE + fm.erf(x * ROOT_HALF)),
    UnaryFunction.Floor: lambda x, alpha, beta: fm.floor(x),
    UnaryFunction.Ceil: lambda x, alpha, beta: fm.ceil(x),
    UnaryFunction.Round: lambda x, alpha, beta: fm.round_even(x),
    UnaryFunction.Sign: lambda x, alpha, beta: _sign(x),
}


def scratch(kernel: FloatUnary, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatUnary, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """In place."""
    return 0


def macs(kernel: FloatUnary, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """By convention none: MACs count convolutions and dense layers."""
    return 0
