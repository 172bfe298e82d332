"""What a node of a float island computes, and of operators on elements of any type: one dataclass per kernel.

Values of these nodes are float32 (int32 after ArgMax) unless a field holds a Quantization. Axes and windows are those
of the value's own shape; passes/to_nhwc.py brings images to NHWC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import BinaryFunction, Exactness, ReduceFunction, UnaryFunction
from onnxino_converter.importer.spatial import Window
from onnxino_converter.ir import Array, Quantization

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class QuantizeSpec:
    y: Quantization
    exactness: Exactness = Exactness.Step


@dataclass(frozen=True)
class DequantizeSpec:
    x: Quantization
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True, eq=False)
class FakeQuantizeSpec:
    """Onto the grid of a 16-bit or per-channel quantization and back; limits are the type's less the zero point."""

    scale: Floats = field(repr=False)
    minimum: Floats = field(repr=False)
    maximum: Floats = field(repr=False)
    axis: int
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True, eq=False)
class FloatConvSpec:
    """weights [M, C/group, kh, kw], float32 or int8 with weight_scale [M] or [1]; bias [M]."""

    window: Window
    group: int
    weights: Array = field(repr=False)
    weight_scale: Floats | None = field(repr=False)
    bias: Floats = field(repr=False)
    minimum: float = -inf
    maximum: float = inf
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True, eq=False)
class FloatDenseSpec:
    """weights [N, K], float32 or int8 with weight_scale [N] or [1]; bias [N]."""

    weights: Array = field(repr=False)
    weight_scale: Floats | None = field(repr=False)
    bias: Floats = field(repr=False)
    minimum: float = -inf
    maximum: float = inf
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatMatMulSpec:
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatUnarySpec:
    function: UnaryFunction
    alpha: float = 0.0
    beta: float = 0.0
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatBinarySpec:
    function: BinaryFunction
    minimum: float = -inf
    maximum: float = inf
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatMaxPoolSpec:
    window: Window
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatAveragePoolSpec:
    window: Window
    include_pad: bool
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatReduceSpec:
    """Over `axes` (ascending); the output keeps the others in order, and may hold ones for the reduced."""

    function: ReduceFunction
    axes: tuple[int, ...]
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class FloatSoftmaxSpec:
    axis: int
    log: bool
    exactness: Exactness = Exactness.Float


@dataclass(frozen=True)
class ArgMaxSpec:
    """Of int8 or float32 values; the output has the axis with size 1, or not at all."""

    axis: int
    smallest: bool
    last: bool
    exactness: Exactness = Exactness.Exact


@dataclass(frozen=True)
class TakeSpec:
    axis: int
    indices: tuple[int, ...]
    exactness: Exactness = Exactness.Exact


@dataclass(frozen=True)
class PadSpec:
    """`before` elements along each axis; `value` is an int8 device value or a float."""

    before: tuple[int, ...]
    value: Any
    exactness: Exactness = Exactness.Exact
