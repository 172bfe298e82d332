"""Operators that select, repeat or pad elements: Slice, Split, Gather, Resize, Expand, Tile, Pad, DepthToSpace.

All become Take nodes (an axis with known indices), Pad, Reshape and Transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.importer.context import Context, RawNode, axis_of
from onnxino_converter.ir import Node, Value

INDEX_LIMIT = 1 << 20


def take(context: Context, raw: RawNode, x: Value, axis: int, indices: list[int], index: int = 0) -> Value:
    """x at `indices` of `axis`, as what readers of the node's output `index` get."""
    if indices == list(range(x.shape[axis])):
        context.unchanged(raw, x, index)
        return context.values[raw.outputs[index]]
    if not indices:
        raise raw.refuse("its result is empty")
    if len(indices) > INDEX_LIMIT:
        raise raw.refuse(f"it selects {len(indices)} elements along axis {axis}", f"at most {INDEX_LIMIT}")
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    value = Value(raw.outputs[index], shape, x.dtype)
    # several outputs of one ONNX node are one reader (passes/mark_pairs.py)
    attributes: dict[str, Any] = {"axis": axis, "indices": tuple(indices), "origin": id(raw)}
    context.nodes.append(Node("Take", raw.name, [x], [value], attributes))
    context.define(raw, value, index)
    return value


def take_axes(context: Context, raw: RawNode, x: Value, wanted: dict[int, list[int]]) -> None:
    """Takes along several axes, those that shorten first; nodes in between get names of their own."""
    steps = [(a, i) for a, i in wanted.items() if i != list(range(x.shape[a]))]
    steps.sort(key=lambda step: len(step[1]) / x.shape[step[0]])
    for number, (axis, indices) in enumerate(steps):
        last = number == len(steps) - 1
        name = raw.outputs[0]
        x = take(context, raw, x, axis, indices)
        if not last:
            x.name = f"{name}_axis{axis}"
    if not steps:
        context.unchanged(raw, x)


def gather(context: Context, raw: RawNode) -> None:
    x, given = raw.input(0), raw.constant(1, "the indices")
    axis = axis_of(raw, raw.int("axis", 0), len(x.shape))
    size = x.shape[axis]
    flat = [int(v) for v in given.ravel()]
    if any(not -size <= v < size for v in flat):
        raise raw.refuse(f"indices reach from {min(flat)} to {max(flat)}, axis {axis} has {size} elements")
    taken = take(context, raw, x, axis, [v % size for v in flat])
    shape = (*x.shape[:axis], *given.shape, *x.shape[axis + 1 :])
    if shape != taken.shape:
        _reshape(context, raw, taken, shape)


def _reshape(context: Context, raw: RawNode, x: Value, shape: tuple[int, ...]) -> None:
    """A Reshape as the last of the nodes that stand for one."""
    if x.name == raw.outputs[0]:
        x.name = f"{raw.outputs[0]}_flat"
    context.emit(raw, [x], shape, op="Reshape")


def slice_(context: Context, raw: RawNode) -> None:
    """Bounds as attributes (before opset 10) or inputs."""
    x = raw.input(0)
    if "starts" in raw.attributes:
        starts, ends = raw.ints("starts"), raw.ints("ends")
        axes, steps = raw.ints("axes", list(range(len(starts)))), [1] * len(starts)
    else:
        starts, ends = _list(raw.constant(1, "starts")), _list(raw.constant(2, "ends"))
        given_axes, given_steps = raw.optional_constant(3, "axes"), raw.optional_constant(4, "steps")
        axes = list(range(len(starts))) if given_axes is None else _list(given_axes)
        steps = [1] * len(starts) if given_steps is None else _list(given_steps)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise raw.refuse(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit together")
    wanted: dict[int, list[int]] = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen = axis_of(raw, axis, len(x.shape))
        end = None if step < 0 and end < -x.shape[chosen] else end
        wanted[chosen] = list(range(x.shape[chosen]))[slice(start, end, step)]
    if any(not indices for indices in wanted.values()):
        raise raw.refuse("its result is empty")
    take_axes(context, raw, x, wanted)


def _list(array: Any) -> list[int]:
    return [int(v) for v in np.ravel(array)]


def split(context: Context, raw: RawNode) -> None:
    """Sizes as attribute (before opset 13), as input, or equal."""
    x = raw.input(0)
    axis = axis_of(raw, raw.int("axis", 0), len(x.shape))
    count, size = len(raw.outputs), x.shape[axis]
    if "split" in raw.attributes:
        sizes = raw.ints("split")
    else:
        given = raw.optional_constant(1, "split")
        part = -(-size // count)
        sizes = [min(part, size - part * i) for i in range(count)] if given is None else _list(given)
    if len(sizes) != count or sum(sizes) != size or min(sizes) < 1:
        raise raw.refuse(f"{size} elements of axis {axis} cannot be split into {sizes}")
    start = 0
    for index, length in enumerate(sizes):
        if raw.outputs[index]:
            take(context, raw, x, axis, list(range(start, start + length)), index)
        start += length


def expand(context: Context, raw: RawNode) -> None:
    x, target = raw.input(0), _list(raw.constant(1, "the shape"))
    try:
        shape = tuple(np.broadcast_shapes(x.shape, tuple(target)))
    except ValueError:
        raise raw.refuse(f"{list(x.shape)} cannot be expanded to {target}") from None
    raw.check_size(shape)
    _repeat(context, raw, x, shape)


def tile(context: Context, raw: RawNode) -> None:
    x, repeats = raw.input(0), _list(raw.constant(1, "repeats"))
    if len(repeats) != len(x.shape) or min(repeats, default=1) < 1:
        raise raw.refuse(f"repeats are {repeats}", "one of 1 or more for each dimension")
    raw.check_size(tuple(d * r for d, r in zip(x.shape, repeats, strict=True)))
    take_axes(context, raw, x, {a: list(range(x.shape[a])) * r for a, r in enumerate(repeats)})


def _repeat(context: Context, raw: RawNode, x: Value, shape: tuple[int, ...]) -> None:
    full = (1,) * (len(shape) - len(x.shape)) + x.shape
    if full != x.shape:
        viewed = Value(f"{raw.outputs[0]}_view", full, x.dtype)
        context.nodes.append(Node("Reshape", raw.name, [x], [viewed]))
        x = viewed
    take_axes(context, raw, x, {a: [0] * d for a, d in enumerate(shape) if full[a] != d})


def pad(context: Context, raw: RawNode) -> None:
    """Constant padding becomes Pad; edge, reflect and wrap become Take; negative pads cut."""
    x = raw.input(0)
    rank, mode = len(x.shape), raw.text("mode", "constant")
    pads = raw.ints("pads") if "pads" in raw.attributes else _list(raw.constant(1, "pads"))
    given = raw.optional_constant(3, "axes")
    axes = list(range(rank)) if given is None else [axis_of(raw, a, rank) for a in _list(given)]
    if len(pads) != 2 * len(axes):
        raise raw.refuse(f"pads are {pads}", f"two for each of {len(axes)} axes")
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = pads[i], pads[len(axes) + i]
    raw.check_size(tuple(max(0, b + d + a) for b, d, a in zip(before, x.shape, after, strict=True)))
    if mode != "constant" or any(p < 0 for p in pads):
        if mode == "constant" and any(p > 0 for p in pads):
            raise raw.refuse(f"pads are {pads}", "all of 0 or more, or all of 0 or less")
        take_axes(context, raw, x, _edges(raw, x, mode, before, after))
        return
    value = raw.float("value", 0.0)
    constant = raw.optional_constant(2, "the padding value")
    if constant is not None and constant.size:
        value = constant.ravel()[0].item()
    if not any(pads):
        context.unchanged(raw, x)
        return
    shape = tuple(b + d + a for b, d, a in zip(before, x.shape, after, strict=True))
    context.emit(raw, [x], shape, op="Pad", before=tuple(before), value=value)


def _edges(raw: RawNode, x: Value, mode: str, before: list[int], after: list[int]) -> dict[int, list[int]]:
    wanted: dict[int, list[int]] = {}
    for axis, (b, a, size) in enumerate(zip(before, after, x.shape, strict=True)):
        if b == 0 and a == 0:
            continue
        line = np.arange(size)[max(0, -b) : size - max(0, -a)]
        if line.size == 0:
            raise raw.refuse("its result is empty")
        if mode not in ("constant", "edge", "reflect", "wrap"):
            raise raw.refuse(f"mode is '{mode}'", "constant, edge, reflect, wrap")
        if mode == "reflect" and max(b, a) >= size:
            raise raw.refuse(f"it reflects {max(b, a)} elements of {size}")
        if mode != "constant":
            kind: Any = mode
            line = np.pad(line, (max(0, b), max(0, a)), mode=kind)
        wanted[axis] = _list(line)
    return wanted


def depth_to_space(context: Context, raw: RawNode) -> None:
    x, block = raw.input(0), raw.int("blocksize", 0)
    n, c, h, w = _image(raw, x)
    if block < 1 or c % (block * block):
        raise raw.refuse(f"{c} channels do not divide by blocksize {block} squared")
    inner = c // (block * block)
    if raw.text("mode", "DCR") == "DCR":
        _rearrange(context, raw, (n, block, block, inner, h, w), (0, 3, 4, 1, 5, 2), (n, inner, h * block, w * block))
    else:
        _rearrange(context, raw, (n, inner, block, block, h, w), (0, 1, 4, 2, 5, 3), (n, inner, h * block, w * block))


def space_to_depth(context: Context, raw: RawNode) -> None:
    x, block = raw.input(0), raw.int("blocksize", 0)
    n, c, h, w = _image(raw, x)
    if block < 1 or h % block or w % block:
        raise raw.refuse(f"{h} x {w} pixels do not divide by blocksize {block}")
    _rearrange(
        context,
        raw,
        (n, c, h // block, block, w // block, block),
        (0, 3, 5, 1, 2, 4),
        (n, c * block * block, h // block, w // block),
    )


def _image(raw: RawNode, x: Value) -> tuple[int, int, int, int]:
    if len(x.shape) != 4:
        raise raw.refuse(f"the input has shape {list(x.shape)}", "4 dimensions")
    n, c, h, w = x.shape
    return n, c, h, w


def _rearrange(
    context: Context, raw: RawNode, inner: tuple[int, ...], perm: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    x, name = raw.input(0), raw.outputs[0]
    viewed = Value(f"{name}_blocks", inner, x.dtype)
    turned = Value(f"{name}_turned", tuple(inner[p] for p in perm), x.dtype)
    context.nodes.append(Node("Reshape", raw.name, [x], [viewed], {"origin": id(raw)}))
    context.nodes.append(Node("Transpose", raw.name, [viewed], [turned], {"perm": perm}))
    context.emit(raw, [turned], shape, op="Reshape")


# ------------------------------------------------------------------------------------------------- resize


def resize(context: Context, raw: RawNode) -> None:
    """Nearest-neighbour Resize (opset 10 and later) and Upsample: one Take for each axis that changes."""
    x = raw.input(0)
    mode = raw.text("mode", "nearest")
    if mode != "nearest":
        raise raw.refuse(
            f"mode is '{mode}'",
            "nearest",
            "export the upsampling with mode='nearest', or do it by a transposed or ordinary convolution",
        )
    rank = len(x.shape)
    scales, sizes = _targets(raw, rank)
    axes = raw.ints("axes", list(range(rank)))
    if sizes is not None and raw.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise raw.refuse("keep_aspect_ratio_policy is set", "stretch")
    given = scales if scales is not None else sizes
    if given is None or len(given) != len(axes):
        raise raw.refuse("its scales or sizes do not fit the input", "one for each axis")
    wanted: dict[int, list[int]] = {}
    for i, axis in enumerate(axes):
        chosen = axis_of(raw, axis, rank)
        old = x.shape[chosen]
        new = int(np.float32(old) * np.float32(scales[i])) if scales is not None else int(given[i])
        scale = float(scales[i]) if scales is not None else new / old
        if new < 1:
            raise raw.refuse(f"axis {chosen} gets {new} elements")
        raw.check_size((*x.shape[:chosen], new, *x.shape[chosen + 1 :]))
        wanted[chosen] = _nearest(raw, old, new, scale)
    take_axes(context, raw, x, wanted)


def _targets(raw: RawNode, rank: int) -> tuple[list[float] | None, list[int] | None]:
    if "scales" in raw.attributes:  # Upsample before opset 9
        return [float(v) for v in raw.attributes["scales"]], None
    if raw.op == "Upsample" or raw.opset < 11:
        return [float(v) for v in raw.constant(1, "scales").ravel()], None
    scales = raw.optional_constant(2, "scales")
    if scales is not None and scales.size:
        return [float(v) for v in scales.ravel()], None
    sizes = raw.optional_constant(3, "sizes")
    return None, None if sizes is None else _list(sizes)


def _nearest(raw: RawNode, old: int, new: int, scale: float) -> list[int]:
    """For each output position the input position, in float32 as ONNX Runtime computes it."""
    f = np.float32
    old_rules = raw.op == "Upsample" or raw.opset < 11
    mode = "asymmetric" if old_rules else raw.text("coordinate_transformation_mode", "half_pixel")
    rounding = ("floor" if scale >= 1 else "ceil") if old_rules else raw.text("nearest_mode", "round_prefer_floor")
    if new == old and scale == 1.0:
        return list(range(old))
    x, s = np.arange(new, dtype=f), f(scale)
    if mode == "asymmetric":
        at = x / s
    elif mode == "half_pixel":
        at = (x + f(0.5)) / s - f(0.5)
    elif mode == "pytorch_half_pixel":
        at = (x + f(0.5)) / s - f(0.5) if new > 1 else np.zeros(1, f)
    elif mode == "align_corners":
        at = np.zeros(1, f) if new == 1 else x * f(old - 1) / f(new - 1)
    elif mode == "half_pixel_symmetric":
        offset = f(old) / f(2) * (f(1) - f(new) / (s * f(old)))
        at = np.float64(offset) + (x.astype(np.float64) + 0.5) / np.float64(s) - 0.5  # in double there, too
    else:
        raise raw.refuse(
            f"coordinate_transformation_mode is '{mode}'",
            "asymmetric, half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners",
        )
    rounders: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": _half_down,
        "round_prefer_ceil": _half_up,
    }
    if rounding not in rounders:
        raise raw.refuse(f"nearest_mode is '{rounding}'", ", ".join(rounders))
    return _list(np.clip(rounders[rounding](at.astype(f)), 0, old - 1))


TIE = 1e-6  # so near to a half ONNX Runtime rounds as `prefer` says, whatever the divisions left of it


def _half_up(v: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(_is_tie(v), np.ceil(v), np.floor(v.astype(np.float64) + 0.5)).astype(np.float32)


def _half_down(v: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(_is_tie(v), np.floor(v), np.floor(v.astype(np.float64) + 0.5)).astype(np.float32)


def _is_tie(v: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.abs(v - np.floor(v) - np.float32(0.5)) <= TIE
