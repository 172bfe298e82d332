"""Convolution and pooling over one dimension, as images of height 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxino_converter.importer.context import Context, RawNode
from onnxino_converter.ir import Node, Value

Handler = Callable[[Context, RawNode], None]
_SIZES = ("kernel_shape", "strides", "dilations")


def lifted(handler: Handler) -> Handler:
    """The handler of two dimensions, between Reshapes for inputs [N, C, L]."""

    def handle(context: Context, raw: RawNode) -> None:
        if len(raw.input(0).shape) != 3:
            handler(context, raw)
            return
        attributes: dict[str, Any] = dict(raw.attributes)
        attributes.update({name: [1, *raw.ints(name)] for name in _SIZES if name in attributes})
        if "pads" in attributes:
            pads = raw.ints("pads")
            if len(pads) != 2:
                raise raw.refuse(f"pads are {pads}", "two sizes of 0 or more")
            attributes["pads"] = [0, pads[0], 0, pads[1]]
        inner = f"{raw.outputs[0]}_image"
        inputs = [_tall(context, raw, value) for value in raw.inputs]
        handler(context, RawNode(raw.op, raw.domain, raw.name, raw.opset, inputs, [inner], attributes))
        made = context.values.pop(inner)
        n, c, _, length = made.shape
        context.emit(raw, [made], (n, c, length), op="Reshape", lifted=True)

    return handle


def _tall(context: Context, raw: RawNode, value: Value | None) -> Value | None:
    """[N, C, L] and weights [M, C, k] get a height of 1; biases, scales and zero points stay."""
    if value is None or len(value.shape) != 3:
        return value
    shape = (*value.shape[:2], 1, value.shape[2])
    array = None if value.constant is None else value.constant.reshape(shape)
    tall = Value(f"{value.name}_image", shape, value.dtype, array)
    if array is None:
        context.nodes.append(Node("Reshape", raw.name, [value], [tall], {"lifted": True}))
    return tall
