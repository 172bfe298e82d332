"""What a fused node computes: one dataclass per operator of the device, independent of memory layout.

`exactness` says how ONNX Runtime computes the same operator (onnxino.schema.model.Exactness). `domain` is 128 where its
arithmetic runs in uint8 (uint8 models, most of QDQ int8 models on x86-64), 0 where in int8. Clamps are device values.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.importer.spatial import Window
from onnxino_converter.ir import Array, Quantization


@dataclass(frozen=True)
class Clamp:
    """Range of the stored int8 result."""

    minimum: int = -128
    maximum: int = 127

    @property
    def full(self) -> bool:
        return self.minimum == -128 and self.maximum == 127


def brief(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


@dataclass(frozen=True, eq=False)
class ConvSpec:
    """weights [M, C/group, kh, kw] int8, zero points subtracted; bias [M] without the input zero point's share."""

    window: Window
    group: int
    weights: NDArray[np.int8] = field(repr=False)
    bias: NDArray[np.int32] = field(repr=False)
    scale: NDArray[np.float32] = field(repr=False)  # requantization, [M] or [1]
    x: Quantization
    y: Quantization | None  # None: a float32 result
    clamp: Clamp
    exactness: Exactness


@dataclass(frozen=True, eq=False)
class DenseSpec:
    """weights [N, K] int8 with their zero points subtracted; bias [N] without the input zero point's share."""

    weights: NDArray[np.int8] = field(repr=False)
    bias: NDArray[np.int32] = field(repr=False)
    scale: NDArray[np.float32] = field(repr=False)
    x: Quantization
    y: Quantization | None  # None: a float32 result
    clamp: Clamp
    exactness: Exactness


@dataclass(frozen=True)
class AddSpec:
    a: Quantization
    b: Quantization
    y: Quantization
    domain: int
    clamp: Clamp
    exactness: Exactness


@dataclass(frozen=True)
class MulSpec:
    a: Quantization
    b: Quantization
    y: Quantization
    domain: int
    clamp: Clamp
    exactness: Exactness


@dataclass(frozen=True)
class MaxPoolSpec:
    window: Window
    exactness: Exactness = Exactness.Exact


@dataclass(frozen=True)
class AveragePoolSpec:
    window: Window
    include_pad: bool
    x: Quantization
    y: Quantization
    domain: int
    exactness: Exactness


@dataclass(frozen=True)
class MeanSpec:
    """Mean over `axes` of the input; the output keeps the others in order (its shape may hold ones for the reduced)."""

    axes: tuple[int, ...]
    x: Quantization
    y: Quantization
    exactness: Exactness
    factor: float = 1.0  # the mean is multiplied by it


@dataclass(frozen=True)
class SoftmaxSpec:
    axis: int
    x: Quantization
    y: Quantization
    exactness: Exactness


@dataclass(frozen=True, eq=False)
class LookupSpec:
    """table[x + 128] for a device value x."""

    table: NDArray[np.int8] = field(repr=False)
    exactness: Exactness = Exactness.Table

    @property
    def identity(self) -> bool:
        return bool(np.array_equal(self.table, np.arange(-128, 128)))


@dataclass(frozen=True)
class ConcatSpec:
    axis: int
    exactness: Exactness


@dataclass(frozen=True)
class TransposeSpec:
    """Output axis i is input axis perm[i]."""

    perm: tuple[int, ...]
    exactness: Exactness = Exactness.Exact


@dataclass(frozen=True)
class ReshapeSpec:
    """The same bytes under another shape: an alias, never an operator of the device."""

    exactness: Exactness = Exactness.Exact
