"""FloatMatMul: the matrix product of two activations in float32, summed in the order of K."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks, _ordered, _pairwise
from onnxino.schema.model import FloatMatMul, Tensor


def check(kernel: FloatMatMul, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Raises ModelError unless [..., M, K] x [..., K, N] is [..., M, N]; the leading dimensions broadcast."""
    _ordered.float_tensors(inputs, outputs, 2)
    a, b = (list(shape_of(t)) for t in inputs)
    shapes = f"the inputs have shapes {a} and {b}"
    _checks.require(len(a) >= 2 and len(b) >= 2, f"{shapes}, expected 2 dimensions or more")
    _checks.require(a[-1] == b[-2], f"{shapes}, expected as many columns in the first as rows in the second")
    try:
        leading = np.broadcast_shapes(tuple(a[:-2]), tuple(b[:-2]))
    except ValueError:
        _checks.require(False, f"{shapes}, whose leading dimensions do not broadcast")
        raise
    _checks.require_shape(outputs[0], (*leading, a[-2], b[-1]))


def run(kernel: FloatMatMul, arrays: list[NDArray[np.float32]], outputs: list[Tensor]) -> list[NDArray[np.float32]]:
    """[B, ..., M, K], [B, ..., K, N] -> [B, ..., M, N]."""
    a, b = _pairwise.align(arrays[0], arrays[1], outputs[0])
    result = np.zeros((len(a), *shape_of(outputs[0])), np.float32)
    step = max(1, _ordered.CHUNK_BYTES * len(result) // result.nbytes)
    for start in range(0, len(result), step):
        columns = np.moveaxis(a[start : start + step], -1, 0)[..., None]  # [K, B, ..., M, 1]
        rows = np.moveaxis(b[start : start + step], -2, 0)[..., None, :]  # [K, B, ..., 1, N]
        _ordered.add_products(result[start : start + step], columns, rows)
    return [result]


def scratch(kernel: FloatMatMul, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """None is needed."""
    return 0


def safe_offset(kernel: FloatMatMul, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """The output may not overlap the input: each value is read for several outputs."""
    return None


def macs(kernel: FloatMatMul, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """One for each product."""
    return math.prod(shape_of(outputs[0])) * shape_of(inputs[0])[-1]
