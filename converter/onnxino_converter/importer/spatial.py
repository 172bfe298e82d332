"""Convolution and pooling: windows with explicit padding from auto_pad, ceil_mode and defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnxino_converter.importer.context import FLOAT, Context, RawNode
from onnxino_converter.ir import Shape, Value

Handler = Callable[[Context, RawNode], None]

WINDOW_LIMIT = 65535  # window fields are 16 bits


@dataclass(frozen=True)
class Window:
    """Sizes along H and W; pads are top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]


def image(raw: RawNode, x: Value) -> tuple[int, int, int, int]:
    """Batch, channels, height and width of a 4-D input."""
    if len(x.shape) != 4:
        raise raw.refuse(
            f"the input has {len(x.shape)} dimensions {list(x.shape)}",
            "3 or 4 (batch, channels, height, width)",
            "work on images: slices of a volume, or frames, one after the other or as channels (torch.nn.Conv2d)",
        )
    n, c, h, w = x.shape
    return n, c, h, w


def window(
    raw: RawNode, kernel: list[int], height: int, width: int, pooling: bool = False
) -> tuple[Window, tuple[int, int]]:
    """The window of a convolution or pooling, and the output's height and width."""
    strides, dilations = raw.ints("strides", [1, 1]), raw.ints("dilations", [1, 1])
    for what, values in (("kernel_shape", kernel), ("strides", strides), ("dilations", dilations)):
        if len(values) != 2 or not all(1 <= v <= WINDOW_LIMIT for v in values):
            raise raw.refuse(f"{what} is {values}", "two sizes of 1 or more")
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    padded_for = kernel if pooling else extent  # ONNX Runtime's pooling pads for SAME as if there were no dilation
    pads, sizes = _padding(raw, extent, padded_for, strides, (height, width))
    made = Window((kernel[0], kernel[1]), (strides[0], strides[1]), (dilations[0], dilations[1]), pads)
    if pooling:
        _check_pixels(raw, made, (height, width), sizes)
    return made, sizes


def _check_pixels(raw: RawNode, made: Window, size: tuple[int, int], steps: tuple[int, int]) -> None:
    """Refuses a pooling of which a window covers no pixel: a dilated one may step over a small image."""
    for axis, name in enumerate(("height", "width")):
        offsets = [k * made.dilations[axis] - made.pads[axis] for k in range(made.kernel[axis])]
        starts = (step * made.strides[axis] for step in range(steps[axis]))
        if not all(any(0 <= start + offset < size[axis] for offset in offsets) for start in starts):
            raise raw.refuse(
                f"a window of {list(made.kernel)} with dilations {list(made.dilations)} and pads {list(made.pads)} "
                f"lies outside of the image, along the {name} of {size[axis]}",
                "windows that reach a pixel",
                "give smaller pads or dilations",
            )


def _padding(
    raw: RawNode, extent: list[int], padded_for: list[int], strides: list[int], size: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    mode = raw.text("auto_pad", "NOTSET")
    begin, end = [0, 0], [0, 0]
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        for i in range(2):
            steps = -(-size[i] // strides[i])
            total = max((steps - 1) * strides[i] + padded_for[i] - size[i], 0)
            small = total // 2
            begin[i] = small if mode == "SAME_UPPER" else total - small
            end[i] = total - begin[i]
    elif mode in ("NOTSET", "VALID", ""):
        pads = raw.ints("pads", [0, 0, 0, 0]) if mode != "VALID" else [0, 0, 0, 0]
        if len(pads) != 4 or not all(0 <= p <= WINDOW_LIMIT for p in pads):
            raise raw.refuse(f"pads are {pads}", "four sizes of 0 or more")
        begin, end = pads[:2], pads[2:]
    else:
        raise raw.refuse(f"auto_pad is {mode}", "NOTSET, SAME_UPPER, SAME_LOWER, VALID")
    ceil = bool(raw.int("ceil_mode", 0))
    out = [_steps(size[i] + begin[i] + end[i] - extent[i], strides[i], size[i] + begin[i], ceil) for i in range(2)]
    if min(out) < 1:
        raise raw.refuse(f"the window {extent} (with dilation) is larger than the padded input {list(size)}")
    return (begin[0], begin[1], end[0], end[1]), (out[0], out[1])


def _steps(room: int, stride: int, last_start: int, ceil: bool) -> int:
    """Window positions along one axis. With ceil_mode a window that would begin behind the image is dropped."""
    if room < 0:
        return 0
    if not ceil:
        return room // stride + 1
    steps = -(-room // stride) + 1
    return steps - 1 if (steps - 1) * stride >= last_start else steps


def conv(context: Context, raw: RawNode) -> None:
    x, w = raw.input(0), raw.input(1)
    shape, made = conv_shape(raw, x, w)
    context.emit(raw, [x, w, raw.optional(2)], shape, FLOAT, window=made, group=raw.int("group", 1))


def conv_shape(raw: RawNode, x: Value, w: Value) -> tuple[Shape, Window]:
    n, c, height, width = image(raw, x)
    if len(w.shape) != 4:
        raise raw.refuse(f"the weights have shape {list(w.shape)}", "4 dimensions")
    group = raw.int("group", 1)
    m, per_group, kernel_h, kernel_w = w.shape
    if group < 1 or c % group or m % group or per_group != c // group:
        raise raw.refuse(f"{c} input channels, group {group} and weights {list(w.shape)} do not fit together")
    kernel = raw.ints("kernel_shape", [kernel_h, kernel_w])
    if kernel != [kernel_h, kernel_w]:
        raise raw.refuse(f"kernel_shape is {kernel}, the weights have shape {list(w.shape)}")
    made, out = window(raw, kernel, height, width)
    return (n, m, *out), made


def max_pool(context: Context, raw: RawNode) -> None:
    if len(raw.outputs) > 1 and raw.outputs[1]:
        raise raw.refuse("the Indices output is used", "one output")
    x = raw.input(0)
    n, c, height, width = image(raw, x)
    made, out = window(raw, raw.ints("kernel_shape"), height, width, pooling=True)
    for before, after, size in (
        (made.pads[0], made.pads[2], made.kernel[0]),
        (made.pads[1], made.pads[3], made.kernel[1]),
    ):
        if max(before, after) >= size:
            raise raw.refuse(f"pads {list(made.pads)} reach the size of the window {list(made.kernel)}", "smaller pads")
    context.emit(raw, [x], (n, c, *out), window=made)


def average_pool(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    n, c, height, width = image(raw, x)
    made, out = window(raw, raw.ints("kernel_shape"), height, width, pooling=True)
    context.emit(raw, [x], (n, c, *out), FLOAT, window=made, include_pad=bool(raw.int("count_include_pad", 0)))


def global_average_pool(context: Context, raw: RawNode) -> None:
    n, c, _, _ = image(raw, raw.input(0))
    context.emit(raw, [raw.input(0)], (n, c, 1, 1), FLOAT)


def global_max_pool(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    n, c, height, width = image(raw, x)
    made = Window((height, width), (1, 1), (1, 1), (0, 0, 0, 0))
    context.emit(raw, [x], (n, c, 1, 1), op="MaxPool", window=made)


_WINDOW_ATTRIBUTES = ("kernel_shape", "strides", "dilations")
