"""Sums that cancel at scales far apart, where ONNX Runtime computes in float32: each operator stays within a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.converter.onnx_net import Net, Q, Tensor
from tests.fuzz.test_fuzz_graphs import differences, runs_in_onnxruntime

MODELS = 6
Operator = Callable[[Net, Tensor, Tensor, np.random.Generator], str]


def _weights(net: Net, numbers: np.random.Generator, *shape: int) -> str:
    """Small integers, so that sums are often exactly zero."""
    return net.dq_const(numbers.integers(-3, 4, shape).astype(np.int8), 10 ** numbers.uniform(-2, 2))


def _pool(kind: str, **attributes: Any) -> Operator:
    return lambda net, x, other, numbers: net.op(kind, [net.dq(x)], **attributes)


OPERATORS: dict[str, tuple[tuple[int, ...], Operator]] = {
    "Add": ((3, 4, 4), lambda net, x, other, _: net.op("Add", [net.dq(x), net.dq(other)])),
    "Conv": (
        (3, 4, 4),
        lambda net, x, _, n: net.op("Conv", [net.dq(x), _weights(net, n, 4, 3, 1, 1)], kernel_shape=[1, 1]),
    ),
    "Gemm": ((8,), lambda net, x, _, n: net.op("Gemm", [net.dq(x), _weights(net, n, 8, 5)])),
    "MatMul": ((8,), lambda net, x, _, n: net.op("MatMul", [net.dq(x), _weights(net, n, 8, 5)])),
    "GlobalAveragePool": ((3, 4, 4), _pool("GlobalAveragePool")),
    "AveragePool": ((3, 4, 4), _pool("AveragePool", kernel_shape=[2, 2])),
    "ReduceMean": ((3, 4, 4), _pool("ReduceMean", axes=[2, 3], keepdims=1)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_within_a_step(name: str) -> None:
    shape, operator = OPERATORS[name]
    compared = 0
    for seed in range(MODELS):
        numbers = np.random.default_rng(seed)
        net = Net()
        scale = float(np.float32(10 ** numbers.uniform(0, 4)))
        x, other = (net.input(shape, Q(scale, int(numbers.integers(-5, 5)))) for _ in range(2))
        result = operator(net, x, other, numbers)
        net.output(net.quantize(result, Q(float(np.float32(10 ** numbers.uniform(-6, 0))), 3)))
        net.output(net.quantize(net.op("Sigmoid", [net.dq(x)]), Q(1 / 256, -128)))  # x is read twice: float32 there
        steps = {name: numbers.integers(-3, 4, (8, *shape)) for name in net.feeds}
        feeds = {name: (steps[name] * np.float32(scale)).astype(np.float32) for name in net.feeds}
        model = net.model()
        if runs_in_onnxruntime(model, feeds):
            compared += 1
            assert differences(model, feeds, ["numpy"]) == []
    assert compared > MODELS // 2
