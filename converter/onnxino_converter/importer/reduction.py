"""Reductions: ReduceMean, ReduceSum, ReduceMax, ReduceMin, ArgMax, ArgMin, GlobalMaxPool, LogSoftmax."""

from __future__ import annotations

import numpy as np

from onnxino_converter.importer.context import FLOAT, Context, RawNode, axis_of
from onnxino_converter.ir import Shape, Value

INT64 = np.dtype(np.int64)


def reduce(context: Context, raw: RawNode) -> None:
    """Over any axes, given as attribute (until opset 17, ReduceSum until 12) or as input."""
    x = raw.input(0)
    if x.dtype != FLOAT and str(x.dtype) not in ("int8", "uint8"):
        raise raw.refuse(f"the input is of type {x.dtype}", "float32")
    if "axes" in raw.attributes:
        axes = raw.ints("axes")
    else:
        given = raw.optional_constant(1, "axes")
        axes = [] if given is None else [int(v) for v in given.ravel()]
        if not axes and raw.int("noop_with_empty_axes", 0):
            context.define(raw, x)
            return
    chosen = _chosen(raw, x, axes)
    if not chosen:
        context.define(raw, x)
        return
    context.emit(raw, [x], _reduced(raw, x, chosen), axes=chosen)


def _chosen(raw: RawNode, x: Value, axes: list[int]) -> tuple[int, ...]:
    rank = len(x.shape)
    return tuple(sorted({axis_of(raw, a, rank) for a in axes}) if axes else range(rank))


def _reduced(raw: RawNode, x: Value, axes: tuple[int, ...]) -> Shape:
    keep = bool(raw.int("keepdims", 1))
    return tuple(1 if i in axes else d for i, d in enumerate(x.shape) if keep or i not in axes)


def arg(context: Context, raw: RawNode) -> None:
    """ArgMax and ArgMin: int64 indices."""
    x = raw.input(0)
    if x.dtype != FLOAT and str(x.dtype) not in ("int8", "uint8"):
        raise raw.refuse(f"the input is of type {x.dtype}", "float32, int8, uint8")
    axis = axis_of(raw, raw.int("axis", 0), len(x.shape))
    smallest, last = raw.op == "ArgMin", bool(raw.int("select_last_index", 0))
    shape = _reduced(raw, x, (axis,))
    context.emit(raw, [x], shape, INT64, op="ArgMax", axis=axis, smallest=smallest, last=last)
