"""Element-wise operators on two broadcast inputs: shapes, aliasing, and a table where elements outnumber pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of
from onnxino.ops import _checks
from onnxino.schema.model import ElementType, Tensor

PAIRS = 1 << 16  # of two int8 values

Formula = Callable[[NDArray[np.int8], NDArray[np.int8]], NDArray[np.int8]]


def check(inputs: list[Tensor], outputs: list[Tensor], element: ElementType = ElementType.Int8) -> None:
    """Two inputs whose shapes broadcast, by NumPy's rules, to the output's; all three of type `element`."""
    _checks.require_tensors(inputs, outputs, 2, element, element)
    a, b = (shape_of(t) for t in inputs)
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    fits = all(x == y or 1 in (x, y) for x, y in pairs)
    _checks.require(fits, f"the inputs have shapes {list(a)} and {list(b)}, which do not broadcast")
    _checks.require_shape(outputs[0], [max(p) for p in pairs])


def align(a: NDArray[Any], b: NDArray[Any], output: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """[B, *shape of a] and [B, *shape of b] with dimensions of 1 after B, as many as make NumPy's rules right."""
    rank = len(output.shape)
    first, second = (x.reshape(x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]) for x in (a, b))
    return first, second


def run(formula: Formula, a: NDArray[np.int8], b: NDArray[np.int8], output: Tensor) -> NDArray[np.int8]:
    """Applies the formula to [B, *shape of a] and [B, *shape of b]; the result is [B, *shape of output]."""
    a, b = align(a, b, output)
    if a.size + b.size < PAIRS:
        return formula(*np.broadcast_arrays(a, b))
    first, second = np.broadcast_arrays(np.arange(256, dtype=np.uint8)[:, None], np.arange(256, dtype=np.uint8))
    table = formula(first.view(np.int8), second.view(np.int8)).reshape(-1)
    index = a.view(np.uint8).astype(np.uint16) << np.uint16(8) | b.view(np.uint8)
    return np.take(table, index)


def safe_offset(index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
    """0 (in place) for an input of the output's shape, where neither input is broadcast; else never."""
    shapes = {shape_of(t) for t in (*inputs, *outputs)}
    return 0 if len(shapes) == 1 else None
