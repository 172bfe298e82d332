"""FullyConnected: rows of K values times a matrix of N x K weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import dtype_of, shape_of
from onnxino.numerics import accumulator_type, finish, matrix_product
from onnxino.ops import _checks
from onnxino.schema.model import FullyConnected, Tensor, WeightLayout


def check(kernel: FullyConnected, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless input, weights (N * K), bias (N) and output have sizes rows * K and rows * N."""
    _checks.require_sums(inputs, outputs)
    units = len(kernel.bias)
    _checks.require(units >= 1, "bias is empty")
    count = len(kernel.weights.data)
    _checks.require(
        count >= units and count % units == 0, f"weights have {count} values, expected a multiple of {units} (bias)"
    )
    _checks.require_weights(kernel.weights, WeightLayout.OHWI, count)
    depth = count // units
    size, out_size = (math.prod(shape_of(t)) for t in (inputs[0], outputs[0]))
    _checks.require(
        size % depth == 0, f"the input has {size} values, expected a multiple of {depth} (weights per unit)"
    )
    rows = size // depth
    _checks.require(
        out_size == rows * units,
        f"the output has {out_size} values, expected {rows * units} ({rows} rows of {units} units)",
    )
    _checks.require_requantization(kernel.requantization, units)


def run(kernel: FullyConnected, arrays: list[NDArray[np.int8]], outputs: list[Tensor]) -> list[NDArray[Any]]:
    """[B, *input] viewed as [B * rows, K] -> [B * rows, N] viewed as [B, *output]."""
    units = len(kernel.bias)
    weights = kernel.weights.data.view(np.int8).reshape(units, -1)
    dtype = accumulator_type(weights, kernel.bias)
    matrix = np.ascontiguousarray(weights.T, dtype)
    rows = arrays[0].reshape(-1, weights.shape[1]).astype(dtype)
    products = matrix_product(rows, matrix)
    values = finish(products, kernel.bias, kernel.requantization, dtype_of(outputs[0]))
    return [values.reshape(len(arrays[0]), *shape_of(outputs[0]))]


def scratch(kernel: FullyConnected, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FullyConnected, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: each value is read for every unit."""
    return None


def macs(kernel: FullyConnected, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """One for each weight and row."""
    return math.prod(shape_of(outputs[0])) // len(kernel.bias) * len(kernel.weights.data)
