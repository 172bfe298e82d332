"""QOperator nodes: shapes only; passes/qoperator.py gives them the same meaning as the QDQ patterns."""

from __future__ import annotations

from onnxino_converter.importer.context import Context, RawNode, axis_of, broadcast
from onnxino_converter.importer.spatial import conv_shape, image, window


def qlinear_conv(context: Context, raw: RawNode) -> None:
    if raw.int("channels_last", 0):
        raise raw.refuse(
            "channels_last is set: this graph was optimized for one machine",
            "channels_last=0",
            "give the original model",
        )
    x, w = raw.input(0), raw.input(3)
    shape, made = conv_shape(raw, x, w)
    context.emit(raw, list(raw.inputs), shape, window=made, group=raw.int("group", 1), opset=raw.opset)


def qlinear_matmul(context: Context, raw: RawNode) -> None:
    a, b = raw.input(0), raw.input(3)
    if len(a.shape) < 2 or len(b.shape) != 2 or a.shape[-1] != b.shape[0]:
        raise raw.refuse(
            f"the inputs have shapes {list(a.shape)} and {list(b.shape)}", "a matrix of weights as second input"
        )
    context.emit(raw, list(raw.inputs), (*a.shape[:-1], b.shape[1]), op="QLinearMatMul")


def qgemm(context: Context, raw: RawNode) -> None:
    a, b = raw.input(0), raw.input(3)
    trans_a, trans_b = bool(raw.int("transA", 0)), bool(raw.int("transB", 0))
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise raw.refuse(f"the inputs have shapes {list(a.shape)} and {list(b.shape)}", "two matrices")
    rows, k = a.shape[::-1] if trans_a else a.shape
    inner, columns = b.shape[::-1] if trans_b else b.shape
    if k != inner:
        raise raw.refuse(f"{list(a.shape)} and {list(b.shape)} do not fit together")
    if raw.optional(7) is None:
        raise raw.refuse("the output is float (no y_scale)", "a quantized output")
    context.emit(
        raw,
        list(raw.inputs),
        (rows, columns),
        op="QGemm",
        alpha=raw.float("alpha", 1.0),
        trans_a=trans_a,
        trans_b=trans_b,
    )


def qlinear_binary(context: Context, raw: RawNode) -> None:
    a, b = raw.input(0), raw.input(3)
    context.emit(raw, list(raw.inputs), broadcast(raw, a, b))


def qlinear_average_pool(context: Context, raw: RawNode) -> None:
    _no_channels_last(raw)
    n, c, height, width = image(raw, raw.input(0))
    made, out = window(raw, raw.ints("kernel_shape"), height, width, pooling=True)
    context.emit(raw, list(raw.inputs), (n, c, *out), window=made, include_pad=bool(raw.int("count_include_pad", 0)))


def qlinear_global_average_pool(context: Context, raw: RawNode) -> None:
    _no_channels_last(raw)
    n, c, _, _ = image(raw, raw.input(0))
    context.emit(raw, list(raw.inputs), (n, c, 1, 1))


def _no_channels_last(raw: RawNode) -> None:
    if raw.int("channels_last", 0):
        raise raw.refuse(
            "channels_last is set: this graph was optimized for one machine",
            "channels_last=0",
            "give the original model",
        )


def qlinear_unary(context: Context, raw: RawNode) -> None:
    context.emit(raw, list(raw.inputs), raw.input(0).shape, alpha=raw.float("alpha", 0.01))


def qlinear_softmax(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    old = raw.int("opset", 13) < 13
    axis = axis_of(raw, raw.int("axis", 1 if old else -1), len(x.shape))
    context.emit(raw, list(raw.inputs), x.shape, axis=axis, flatten=old)


def qlinear_concat(context: Context, raw: RawNode) -> None:
    """Inputs: y scale, y zero point, then value, scale, zero point of each."""
    values = [raw.input(i) for i in range(2, len(raw.inputs), 3)]
    if not values or len(raw.inputs) % 3 != 2:
        raise raw.refuse(f"there are {len(raw.inputs)} inputs", "2 + 3 for each tensor")
    rank = len(values[0].shape)
    axis = axis_of(raw, raw.int("axis", 1), rank)
    shape = list(values[0].shape)
    for value in values[1:]:
        if [d for i, d in enumerate(value.shape) if i != axis] != [d for i, d in enumerate(shape) if i != axis]:
            raise raw.refuse(f"shapes {[list(v.shape) for v in values]} cannot be joined along axis {axis}")
        shape[axis] += value.shape[axis]
    context.emit(raw, list(raw.inputs), tuple(shape), values[0].dtype, axis=axis)
