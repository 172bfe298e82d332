"""Element-wise operators, dense layers, Softmax, Concat, QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxino_converter.arithmetic import quantize_array
from onnxino_converter.importer.context import FLOAT, Context, RawNode, axis_of, broadcast
from onnxino_converter.ir import Array, Shape, Value
from onnxino_converter.refusal import EIGHT_BITS_HINT

# attribute defaults of the unary operators whose result on 256 values becomes a table
UNARY: dict[str, dict[str, float]] = {
    "Relu": {},
    "Sigmoid": {},
    "Tanh": {},
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "HardSwish": {},
    "Neg": {},
    "Abs": {},
    "Exp": {},
    "Log": {},
    "Sqrt": {},
    "Reciprocal": {},
    "Erf": {},
    "Selu": {"alpha": 1.6732632423543772848170429916717, "gamma": 1.0507009873554804934193349852946},
    "Softplus": {},
    "Softsign": {},
    "Floor": {},
    "Ceil": {},
    "Round": {},
    "Sign": {},
}


def unary(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    attributes: dict[str, Any] = {name: raw.float(name, default) for name, default in UNARY[raw.op].items()}
    context.emit(raw, [x], x.shape, **attributes)


def clip(context: Context, raw: RawNode) -> None:
    """Bounds as attributes (before opset 11) or as optional inputs; absent ones are infinite."""
    x = raw.input(0)
    bounds: dict[str, float] = {}
    for index, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        given = raw.optional_constant(index, name)
        if given is not None and given.size != 1:
            raise raw.refuse(f"{name} has {given.size} elements", "one")
        bounds[name] = raw.float(name, default) if given is None else float(given.ravel()[0])
        if np.isnan(bounds[name]):
            raise raw.refuse(f"{name} is not a number")
    context.emit(raw, [x], x.shape, op="Clip", low=bounds["min"], high=bounds["max"])


def gelu(context: Context, raw: RawNode) -> None:
    if raw.text("approximate", "none") != "none":
        raise raw.refuse("approximate is 'tanh'", "none", "export Gelu with approximate='none'")
    context.emit(raw, [raw.input(0)], raw.input(0).shape, op="Gelu")


def binary(context: Context, raw: RawNode) -> None:
    a, b = raw.input(0), raw.input(1)
    for value in (a, b):
        if value.constant is None and str(value.dtype) not in ("float32", "int8", "uint8"):
            raise raw.refuse(f"it computes on {value.dtype} at run time", "float32")
    if raw.op == "Pow" and b.constant is not None and b.dtype != FLOAT:
        b = Value(f"{b.name}_float", b.shape, FLOAT, b.constant.astype(np.float32))
    context.emit(raw, [a, b], broadcast(raw, a, b))


def variadic(context: Context, raw: RawNode) -> None:
    """Sum, Mean, Min and Max of any number of tensors, as a chain of pairs."""
    op = {"Sum": "Add", "Mean": "Add"}.get(raw.op, raw.op)
    values = [raw.input(i) for i in range(len(raw.inputs))]
    if not values:
        raise raw.refuse("there is no input")
    made = values[0]
    for number, value in enumerate(values[1:], start=1):
        shape = broadcast(raw, made, value)
        inputs: list[Value | None] = [made, value]
        made = context.emit(raw, inputs, shape, op=op)
        if number < len(values) - 1 or raw.op == "Mean":
            made.name = f"{raw.outputs[0]}_{number}"
    if raw.op == "Mean" and len(values) > 1:
        count = np.asarray(len(values), np.float32)
        divisor = Value(f"{raw.outputs[0]}_count", (), count.dtype, count)
        context.emit(raw, [made, divisor], made.shape, op="Div")
    else:
        context.define(raw, made)


def cast(context: Context, raw: RawNode) -> None:
    """Casts that change nothing; 8-bit integers to float32 are a dequantization with scale 1."""
    x, target = raw.input(0), raw.int("to", 0)
    if target == 1 and str(x.dtype) in ("int8", "uint8"):
        one, zero = np.ones(1, np.float32), np.zeros(1, x.dtype)
        context.emit(raw, [x], x.shape, FLOAT, op="DequantizeLinear", scale=one, zero_point=zero, axis=-1)
        return
    if _ONNX_TYPES.get(target) != str(x.dtype):
        raise raw.refuse(
            f"it casts {x.dtype} to {_type_name(target)} at run time",
            "int8 and uint8 to float32",
            "export the model in float32 throughout: model.float() before torch.onnx.export",
        )
    context.define(raw, x)


def _type_name(target: int) -> str:
    from onnx import TensorProto

    if target in _ONNX_TYPES:
        return _ONNX_TYPES[target]
    names = {int(number): name.lower() for name, number in TensorProto.DataType.items()}
    return names.get(target, f"type {target}")


def gemm(context: Context, raw: RawNode) -> None:
    a, b = raw.input(0), raw.input(1)
    trans_a, trans_b = bool(raw.int("transA", 0)), bool(raw.int("transB", 0))
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise raw.refuse(f"the inputs have shapes {list(a.shape)} and {list(b.shape)}", "two matrices")
    rows, k = a.shape[::-1] if trans_a else a.shape
    inner, columns = b.shape[::-1] if trans_b else b.shape
    if k != inner:
        raise raw.refuse(f"{list(a.shape)} and {list(b.shape)} do not fit together")
    bias = raw.optional(2)
    if bias is not None and not _stretches(bias.shape, (rows, columns)):
        raise raw.refuse(f"the bias has shape {list(bias.shape)}", f"what broadcasts to [{rows}, {columns}]")
    for name in ("alpha", "beta"):
        if np.isinf(raw.float(name, 1.0)):
            raise raw.refuse(f"attribute {name} is {raw.float(name, 1.0)}", "a finite number")
    context.emit(
        raw,
        [a, b, bias],
        (rows, columns),
        FLOAT,
        alpha=raw.float("alpha", 1.0),
        beta=raw.float("beta", 1.0),
        trans_a=trans_a,
        trans_b=trans_b,
    )


def _stretches(shape: Shape, to: Shape) -> bool:
    """Whether ONNX broadcasts the one shape to the other."""
    tail = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(shape, tail, strict=True))


def matmul(context: Context, raw: RawNode) -> None:
    a, b = raw.input(0), raw.input(1)
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise raw.refuse(f"the inputs have shapes {list(a.shape)} and {list(b.shape)}", "2 dimensions or more")
    try:
        if a.shape[-1] != b.shape[-2]:
            raise ValueError
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise raw.refuse(f"{list(a.shape)} and {list(b.shape)} do not fit together") from None
    context.emit(raw, [a, b], (*leading, a.shape[-2], b.shape[-1]), FLOAT)


def softmax(context: Context, raw: RawNode) -> None:
    """Before opset 13 Softmax runs over all axes from `axis` on (default 1), since then over one (default the last)."""
    x = raw.input(0)
    old = raw.opset < 13
    axis = axis_of(raw, raw.int("axis", 1 if old else -1), len(x.shape))
    context.emit(raw, [x], x.shape, axis=axis, flatten=old)


def concat(context: Context, raw: RawNode) -> None:
    inputs = [raw.input(i) for i in range(len(raw.inputs))]
    if not inputs:
        raise raw.refuse("there is no input")
    rank = len(inputs[0].shape)
    axis = axis_of(raw, raw.int("axis", 1), rank)
    for value in inputs:
        if len(value.shape) != rank or any(
            i != axis and d != e for i, (d, e) in enumerate(zip(value.shape, inputs[0].shape, strict=True))
        ):
            raise raw.refuse(f"shapes {[list(v.shape) for v in inputs]} cannot be joined along axis {axis}")
    if any(value.dtype != inputs[0].dtype for value in inputs):
        raise raw.refuse(f"the inputs have types {[str(v.dtype) for v in inputs]}", "one type")
    shape = list(inputs[0].shape)
    shape[axis] = sum(value.shape[axis] for value in inputs)
    context.emit(raw, list(inputs), tuple(shape), axis=axis)


# ------------------------------------------------------------------------------------------------- Q and DQ


def scale_of(raw: RawNode, index: int) -> Array:
    """A quantization scale, checked: float32, finite, above 0; one dimension."""
    scale = raw.constant(index, "the scale")
    if scale.dtype != FLOAT:
        raise raw.refuse(f"the scale is of type {scale.dtype}", "float32")
    if scale.ndim > 1:
        raise raw.refuse(f"the scale has shape {list(scale.shape)}", "one scale, or one for each channel")
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        bad = scale.ravel()[~(np.isfinite(scale) & (scale > 0)).ravel()][0]
        raise raw.refuse(
            f"the scale is {bad}", "finite scales above 0", "quantize again: the calibration data gave no range"
        )
    return scale.ravel()


def zero_point_of(raw: RawNode, index: int, count: int, default: np.dtype[Any], allowed: tuple[str, ...]) -> Array:
    """Zero points, as many as scales; their dtype is the quantized type."""
    zero = raw.optional_constant(index, "the zero point")
    if zero is None:
        zero = np.zeros(count, default)
    if str(zero.dtype) not in allowed:
        raise raw.refuse(f"the quantized type is {zero.dtype}", ", ".join(allowed), EIGHT_BITS_HINT)
    if zero.size != count and zero.size == 1:
        zero = np.full(count, zero.ravel()[0])
    if zero.size != count:
        raise raw.refuse(f"there are {count} scales and {zero.size} zero points")
    return zero.ravel()


def _axis(raw: RawNode, count: int) -> int:
    """The channel axis of a per-channel scale; -1 for one scale."""
    if raw.int("block_size", 0):
        raise raw.refuse("the quantization is blocked (block_size)", "per tensor and per channel")
    shape = raw.input(0).shape
    if count == 1:
        return -1
    axis = axis_of(raw, raw.int("axis", 1), len(shape))
    if shape[axis] != count:
        raise raw.refuse(f"{count} scales for axis {axis} of {list(shape)}")
    return axis


_ONNX_TYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64"}


def quantize(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    if x.dtype != FLOAT:
        raise raw.refuse(f"the input is of type {x.dtype}", "float32")
    scale = scale_of(raw, 1)
    wanted = raw.int("output_dtype", 0)
    default = np.dtype(_ONNX_TYPES.get(wanted, "uint8"))
    if wanted and wanted not in _ONNX_TYPES:
        raise raw.refuse(
            f"output_dtype is {wanted}",
            "UINT8 (2), INT8 (3), UINT16 (4), INT16 (5)",
            EIGHT_BITS_HINT,
        )
    zero = zero_point_of(raw, 2, scale.size, default, ("int8", "uint8", "int16", "uint16"))
    axis = _axis(raw, scale.size)
    made = context.emit(raw, [x], x.shape, zero.dtype, op="QuantizeLinear", scale=scale, zero_point=zero, axis=axis)
    if x.constant is not None:
        made.known = quantize_array(x.constant, scale, zero, axis)


def dequantize(context: Context, raw: RawNode) -> None:
    x = raw.input(0)
    scale = scale_of(raw, 1)
    zero = zero_point_of(raw, 2, scale.size, x.dtype, ("int8", "uint8", "int16", "uint16", "int32"))
    if zero.dtype != x.dtype:
        raise raw.refuse(f"the input is of type {x.dtype}, the zero point of type {zero.dtype}", "one type")
    axis = _axis(raw, scale.size)
    made = context.emit(raw, [x], x.shape, FLOAT, op="DequantizeLinear", scale=scale, zero_point=zero, axis=axis)
    stored = x.constant if x.constant is not None else x.known
    if stored is not None:
        made.known = _real(stored, scale, zero, axis)


def _real(stored: Array, scale: Array, zero: Array, axis: int) -> Array:
    """f32(q - zero_point) * scale of known elements."""
    shape = () if axis < 0 else tuple(-1 if i == axis else 1 for i in range(stored.ndim))
    whole = stored.astype(np.int64) - zero.astype(np.int64).reshape(shape)
    real: Array = whole.astype(np.float32) * scale.reshape(shape)
    return real
