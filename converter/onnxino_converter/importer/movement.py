"""Operators that move or rename elements: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Identity, Dropout."""

from __future__ import annotations

import math

import numpy as np

from onnxino_converter.importer.context import Context, RawNode, axis_of
from onnxino_converter.ir import Shape, Value


def identity(context: Context, raw: RawNode) -> None:
    context.define(raw, raw.input(0))


def dropout(context: Context, raw: RawNode) -> None:
    training = raw.optional(2)
    if training is not None and (training.constant is None or bool(training.constant.any())):
        raise raw.refuse("training_mode is set", "inference", "export the model in evaluation mode: model.eval()")
    if len(raw.outputs) > 1 and raw.outputs[1]:
        raise raw.refuse("the mask output is used", "Dropout as identity")
    context.define(raw, raw.input(0))


def constant(context: Context, raw: RawNode) -> None:
    attributes = raw.attributes
    if "value" in attributes:
        array = attributes["value"]
    elif "value_float" in attributes or "value_floats" in attributes:
        array = np.asarray(attributes.get("value_float", attributes.get("value_floats")), np.float32)
    elif "value_int" in attributes or "value_ints" in attributes:
        array = np.asarray(attributes.get("value_int", attributes.get("value_ints")), np.int64)
    else:
        raise raw.refuse(f"the value is given as {sorted(attributes)}", "value, value_float(s), value_int(s)")
    context.define(raw, Value(raw.outputs[0], array.shape, array.dtype, array))


def reshape(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    target = [int(v) for v in raw.constant(1, "the shape").ravel()]
    if not raw.int("allowzero", 0):
        if any(v == 0 and i >= len(x.shape) for i, v in enumerate(target)):
            raise raw.refuse(f"shape {target} copies a dimension that the input {list(x.shape)} does not have")
        target = [x.shape[i] if v == 0 else v for i, v in enumerate(target)]
    move(context, raw, _solve(raw, x, target))


def _solve(raw: RawNode, x: Value, target: list[int]) -> Shape:
    """The target shape with its -1 computed. A fixed batch in the target of a model with symbolic batch must be 1."""
    if target.count(-1) > 1 or any(v < -1 or v == 0 for v in target):
        raise raw.refuse(f"shape {target} is not valid")
    if -1 in target:
        rest = math.prod(v for v in target if v != -1)
        if x.elements % rest:
            raise raw.refuse(f"{list(x.shape)} cannot be reshaped to {target}")
        target = [x.elements // rest if v == -1 else v for v in target]
    if math.prod(target) != x.elements:
        raise raw.refuse(f"{list(x.shape)} cannot be reshaped to {target}", None, "the batch is converted as 1")
    return tuple(target)


def flatten(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    axis = raw.int("axis", 1)
    rank = len(x.shape)
    if not -rank <= axis <= rank:
        raise raw.refuse(f"axis {axis} does not exist in a tensor of {rank} dimensions")
    axis = axis if axis >= 0 else axis + rank
    outer = math.prod(x.shape[:axis])
    move(context, raw, (outer, x.elements // outer))


def squeeze(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    axes = _axes(raw)
    rank = len(x.shape)
    chosen = [axis_of(raw, a, rank) for a in axes] if axes is not None else [i for i, d in enumerate(x.shape) if d == 1]
    if any(x.shape[a] != 1 for a in chosen):
        raise raw.refuse(f"axes {chosen} of {list(x.shape)} are not all of size 1")
    move(context, raw, tuple(d for i, d in enumerate(x.shape) if i not in chosen))


def unsqueeze(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    axes = _axes(raw)
    if axes is None:
        raise raw.refuse("axes are missing")
    rank = len(x.shape) + len(axes)
    chosen = {axis_of(raw, a, rank) for a in axes}
    if len(chosen) != len(axes):
        raise raw.refuse(f"axes {axes} name an axis twice")
    dimensions = iter(x.shape)
    move(context, raw, tuple(1 if i in chosen else next(dimensions) for i in range(rank)))


def _axes(raw: RawNode) -> list[int] | None:
    """Axes as attribute (before opset 13) or as input."""
    if "axes" in raw.attributes:
        return raw.ints("axes")
    given = raw.optional_constant(1, "axes")
    return None if given is None else [int(v) for v in given.ravel()]


def transpose(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    rank = len(x.shape)
    perm = raw.ints("perm", list(range(rank))[::-1])
    if sorted(perm) != list(range(rank)):
        raise raw.refuse(f"perm {perm} is no permutation of {rank} axes")
    context.emit(raw, [x], tuple(x.shape[p] for p in perm), op="Transpose", perm=tuple(perm))


def move(context: Context, raw: RawNode, shape: Shape) -> None:
    """Emit a Reshape to a static shape."""
    x = raw.input(0)
    if x.shape == shape:
        context.unchanged(raw, x)
    else:
        context.emit(raw, [x], shape, op="Reshape")
