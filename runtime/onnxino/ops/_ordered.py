"""Float32 sums in the written order: one term after the other, in vectors over everything that is independent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.ops import _checks
from onnxino.schema.model import ElementType, Tensor, WeightLayout, Weights

Floats = NDArray[np.float32]

CHUNK_BYTES = 1 << 17  # of one accumulator: it and the products stay in the cache from term to term
FEW = 256  # sums; for fewer of them a loop over the terms costs more than a table of all partial sums


def check_weights(weights: Weights, scale: Floats | None, outputs: int, expected: int) -> None:
    """`expected` finite weights in the layout OHWI: float32, or int8 with one scale or one for each output channel."""
    _checks.require(
        weights.layout == WeightLayout.OHWI,
        f"weights have layout {weights.layout.name}, expected {WeightLayout.OHWI.name}",
    )
    if weights.type == ElementType.Float32:
        _checks.require(scale is None, "weight_scale is given for Float32 weights")
        _checks.require_length("weights", weights.data, 4 * expected)
        _checks.require(bool(np.all(np.isfinite(weights.data.view(np.float32)))), "weights hold an infinity or NaN")
        return
    _checks.require(
        weights.type == ElementType.Int8,
        f"weights are {weights.type.name}, expected {ElementType.Float32.name} or {ElementType.Int8.name}",
    )
    found = 0 if scale is None else len(scale)
    _checks.require(
        scale is not None and found in (1, outputs),
        f"weight_scale has {found} values, expected 1 or {outputs} (output channels)",
    )
    assert scale is not None
    with np.errstate(over="ignore"):
        usable = np.isfinite(scale * np.float32(128)) & (scale > 0)
    _checks.require(bool(np.all(usable)), "weight_scale holds a value that is not above 0, or too large")
    _checks.require_length("weights", weights.data, expected)


def count_weights(weights: Weights) -> int:
    """How many weights there are, whatever their type."""
    return len(weights.data) // (4 if weights.type == ElementType.Float32 else 1)


def weights_of(weights: Weights, scale: Floats | None, outputs: int) -> Floats:
    """[outputs, weights of one]: as stored, or f32(q) * scale."""
    if scale is None:
        return weights.data.view(np.float32).reshape(outputs, -1)
    return weights.data.view(np.int8).reshape(outputs, -1).astype(np.float32) * scale.reshape(-1, 1)


@np.errstate(all="ignore")  # infinity and NaN are results like any other
def finish(total: Floats, minimum: float, maximum: float) -> None:
    """min(max(total + 0.0, minimum), maximum) in place; NaN stays. No zero is negative, so both zeros are one."""
    total += np.float32(0)
    if minimum > -np.inf:
        np.maximum(total, np.float32(minimum) + np.float32(0), out=total)
    if maximum < np.inf:
        np.minimum(total, np.float32(maximum) + np.float32(0), out=total)


@np.errstate(all="ignore")  # infinity and NaN are results like any other
def add_products(total: Floats, a: NDArray[Any], b: NDArray[Any]) -> None:
    """total += a[k] * b[k] for each k in order; a, b: [K, ...], where a[k] * b[k] broadcasts to total's shape."""
    if total.size < FEW and total.size * len(a) < CHUNK_BYTES:
        terms = np.empty((len(a) + 1, *total.shape), np.float32)
        terms[0] = total
        np.multiply(a, b, out=terms[1:])
        np.add.accumulate(terms, axis=0, out=terms)  # unlike reduce, adds nothing pairwise
        total[...] = terms[-1]
        return
    product = np.empty_like(total)
    for x, y in zip(a, b, strict=True):
        np.multiply(x, y, out=product)
        total += product


def dense(bias: Floats, weights: Floats, columns: Floats) -> Floats:
    """bias [M], weights [M, K], columns [K, P] -> [M, P]: bias + the sum over K in order."""
    total = np.empty((len(bias), columns.shape[1]), np.float32)
    total[...] = bias[:, None]
    if total.shape[1] >= total.shape[0]:
        add_products(total, np.ascontiguousarray(weights.T)[:, :, None], columns[:, None, :])
        return total
    total = np.ascontiguousarray(total.T)  # the longer axis is the inner loop
    add_products(total, columns[:, :, None], np.ascontiguousarray(weights.T)[:, None, :])
    return total.T


@np.errstate(all="ignore")  # infinity and NaN are results like any other
def sums(terms: Floats) -> Floats:
    """[K, P] -> [P]: the sum over K in order, beginning with the first term."""
    if terms.shape[1] < FEW:
        return np.add.accumulate(terms, axis=0)[-1]
    total = terms[0].copy()
    for term in terms[1:]:
        total += term
    return total


def float_tensors(inputs: list[Tensor], outputs: list[Tensor], count: int = 1) -> None:
    """`count` inputs and one output, all of them float32."""
    _checks.require_tensors(inputs, outputs, count, ElementType.Float32, ElementType.Float32)
