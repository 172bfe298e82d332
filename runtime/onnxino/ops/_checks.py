"""What the operators' checks share: each rule says what was found and what was expected, and raises ModelError."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxino.errors import ModelError
from onnxino.model import shape_of
from onnxino.schema.model import ElementType, Requantization, Tensor, WeightLayout, Weights


def require(condition: bool, message: str) -> None:
    """Raises ModelError with the message unless the condition holds."""
    if not condition:
        raise ModelError(message)


def require_tensors(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    count: int = 1,
    reads: ElementType = ElementType.Int8,
    writes: ElementType = ElementType.Int8,
) -> None:
    """`count` inputs of type `reads` and one output of type `writes`."""
    require(len(inputs) == count, f"it has {len(inputs)} inputs, expected {count}")
    require(len(outputs) == 1, f"it has {len(outputs)} outputs, expected 1")
    for tensor in inputs:
        require_type(tensor, reads)
    require_type(outputs[0], writes)


def require_type(tensor: Tensor, expected: ElementType) -> None:
    """The tensor's elements must be of this type."""
    require(tensor.type == expected, f"tensor '{tensor.name}' is {tensor.type.name}, expected {expected.name}")


def require_reduced(tensor: Tensor, shape: Sequence[int], axes: Sequence[int]) -> None:
    """The tensor must have this shape with each of the axes of size 1, or without them ([1] where none is left)."""
    ones = [1 if axis in axes else size for axis, size in enumerate(shape)]
    left = [size for axis, size in enumerate(shape) if axis not in axes] or [1]
    found = list(shape_of(tensor))
    require(found in (ones, left), f"tensor '{tensor.name}' has shape {found}, expected {ones} or {left}")


MOVABLE = (ElementType.Int8, ElementType.Int32, ElementType.Float32)


def require_movable(inputs: Sequence[Tensor], outputs: Sequence[Tensor], count: int = 1) -> None:
    """`count` inputs and one output of one type, of those that operators move without looking at the values."""
    kind = inputs[0].type if inputs else ElementType.Unset
    require(
        not inputs or kind in MOVABLE,
        f"tensor '{inputs[0].name if inputs else ''}' is {kind.name}, expected Int8, Int32 or Float32",
    )
    require_tensors(inputs, outputs, count, kind, kind)


def require_sums(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """One int8 input and one output that takes integer sums: int8 or float32."""
    kind = ElementType.Float32 if outputs and outputs[0].type == ElementType.Float32 else ElementType.Int8
    require_tensors(inputs, outputs, 1, writes=kind)


def require_image(tensor: Tensor) -> tuple[int, int, int, int]:
    """Returns N, H, W, C of a tensor that must have 4 dimensions."""
    shape = shape_of(tensor)
    require(len(shape) == 4, f"tensor '{tensor.name}' has shape {list(shape)}, expected 4 dimensions [N, H, W, C]")
    n, h, w, c = shape
    return n, h, w, c


def require_shape(tensor: Tensor, expected: Sequence[int]) -> None:
    """The tensor must have exactly this shape."""
    require(
        shape_of(tensor) == tuple(expected),
        f"tensor '{tensor.name}' has shape {list(shape_of(tensor))}, expected {list(expected)}",
    )


def require_length(what: str, array: np.ndarray[Any, Any], expected: int) -> None:
    """The vector must have exactly so many values."""
    require(len(array) == expected, f"{what} has {len(array)} values, expected {expected}")


def require_positive(what: str, value: float) -> None:
    """A scale: finite and above 0."""
    require(math.isfinite(value) and value > 0, f"{what} is {value}, expected a finite number above 0")


def require_finite(what: str, value: float) -> None:
    """A finite number."""
    require(math.isfinite(value), f"{what} is {value}, expected a finite number")


def require_number(what: str, value: float) -> None:
    """Finite or infinite, but not NaN."""
    require(not math.isnan(value), f"{what} is {value}, expected a number")


def require_limits(minimum: float, maximum: float) -> None:
    """The clamp of a float output: two numbers, possibly infinite, minimum <= maximum."""
    require(minimum <= maximum, f"its clamp begins at {minimum} and ends at {maximum}, expected minimum <= maximum")


def require_range(minimum: int, maximum: int) -> None:
    """The clamp of an output: minimum <= maximum."""
    require(minimum <= maximum, f"its clamp begins at {minimum} and ends at {maximum}, expected minimum <= maximum")


def require_domain(domain_offset: int) -> None:
    """0 (computed in int8) or 128 (in uint8)."""
    require(domain_offset in (0, 128), f"domain_offset is {domain_offset}, expected 0 or 128")


def require_requantization(requantization: Requantization, channels: int) -> None:
    """One scale, or one for each output channel, each finite and above 0; minimum <= maximum."""
    scale = requantization.scale
    require(
        len(scale) in (1, channels),
        f"requantization.scale has {len(scale)} values, expected 1 or {channels} (output channels)",
    )
    require(
        bool(np.all(np.isfinite(scale) & (scale > 0))),
        "requantization.scale holds a value that is not finite and above 0",
    )
    require_range(requantization.minimum, requantization.maximum)


def require_weights(weights: Weights, layout: WeightLayout, expected: int) -> None:
    """int8 weights of this layout, exactly so many."""
    require(weights.type == ElementType.Int8, f"weights are {weights.type.name}, expected {ElementType.Int8.name}")
    require(weights.layout == layout, f"weights have layout {weights.layout.name}, expected {layout.name}")
    require_length("weights", weights.data, expected)
