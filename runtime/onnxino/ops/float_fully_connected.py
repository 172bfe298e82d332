"""FloatFullyConnected: rows of K float32 values times a matrix of N x K weights, summed in the order of K."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks, _ordered
from onnxino.schema.model import FloatFullyConnected, Tensor


def check(kernel: FloatFullyConnected, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless input, weights (N * K), bias (N) and output have sizes rows * K and rows * N."""
    _ordered.float_tensors(inputs, outputs)
    units = len(kernel.bias)
    _checks.require(units >= 1, "bias is empty")
    count = _ordered.count_weights(kernel.weights)
    _checks.require(
        count >= units and count % units == 0, f"weights have {count} values, expected a multiple of {units} (bias)"
    )
    _ordered.check_weights(kernel.weights, kernel.weight_scale, units, count)
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
    _checks.require_limits(kernel.minimum, kernel.maximum)


def run(
    kernel: FloatFullyConnected, arrays: list[NDArray[np.float32]], outputs: list[Tensor]
) -> list[NDArray[np.float32]]:
    """[B, *input] viewed as [B * rows, K] -> [B * rows, N] viewed as [B, *output]."""
    units = len(kernel.bias)
    weights = _ordered.weights_of(kernel.weights, kernel.weight_scale, units)
    rows = arrays[0].reshape(-1, weights.shape[1])
    result = np.empty((len(rows), units), np.float32)
    step = max(1, _ordered.CHUNK_BYTES // (4 * units))
    for start in range(0, len(rows), step):
        columns = np.ascontiguousarray(rows[start : start + step].T)
        result[start : start + step] = _ordered.dense(kernel.bias, weights, columns).T
    _ordered.finish(result, kernel.minimum, kernel.maximum)
    return [result.reshape(len(arrays[0]), *shape_of(outputs[0]))]


def scratch(kernel: FloatFullyConnected, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatFullyConnected, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: each value is read for every unit."""
    return None


def macs(kernel: FloatFullyConnected, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """One for each weight and row."""
    return math.prod(shape_of(outputs[0])) // len(kernel.bias) * _ordered.count_weights(kernel.weights)
