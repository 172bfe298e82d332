"""Builds small models by hand, for tests of everything that reads a .oxm file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import tensor_bytes
from onnxino.schema.model import (
    ElementType,
    Kernel,
    Model,
    Operator,
    Port,
    Provenance,
    Requantization,
    Tensor,
    WeightLayout,
    Weights,
    Window2D,
)


def tensor(name: str, shape: Sequence[int], offset: int = 0, **fields: Any) -> Tensor:
    return Tensor(name=name, shape=np.array(shape, np.int32), offset=offset, **fields)


def port(name: str, index: int, shape: Sequence[int], kind: ElementType = ElementType.Int8, **fields: Any) -> Port:
    return Port(name=name, tensor=index, type=kind, shape=np.array(shape, np.int32), **fields)


def align(size: int) -> int:
    return -(-size // 16) * 16


def provenance() -> Provenance:
    return Provenance(tool_version="0", options="{}", source_sha256=np.zeros(32, np.uint8))


PORT_TYPES = {ElementType.Int32: ElementType.Int64}  # of device tensors that ONNX knows by another type


def single(
    kernel: Kernel,
    inputs: Sequence[Sequence[int]],
    output: Sequence[int],
    reads: Sequence[ElementType] = (),
    writes: ElementType = ElementType.Int8,
) -> Model:
    """A model of one operator: inputs x0, x1, ... and one output y, each in its own place of the arena.

    reads: the inputs' types, where they are not Int8. An Int32 tensor has an Int64 port.
    """
    tensors: list[Tensor] = []
    end = 0
    last = len(inputs)
    types = [*(reads or [ElementType.Int8] * last), writes]
    for number, (shape, kind) in enumerate(zip([*inputs, output], types, strict=True)):
        offset = align(end)
        tensors.append(tensor(f"x{number}" if number < last else "y", shape, offset, type=kind))
        end = offset + tensor_bytes(tensors[-1])
    operator = Operator(
        name="node", kernel=kernel, inputs=np.arange(last, dtype=np.uint32), outputs=np.array([last], np.uint32)
    )
    shapes = [*inputs, output]
    ports = [port(t.name, i, shapes[i], PORT_TYPES.get(t.type, t.type)) for i, t in enumerate(tensors)]
    return Model(
        name="single",
        tensors=tensors,
        operators=[operator],
        inputs=ports[:last],
        outputs=ports[last:],
        arena_size=end,
        provenance=provenance(),
    )


def window(
    kernel: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
) -> Window2D:
    """pads as in ONNX: top, left, bottom, right."""
    return Window2D(
        kernel_h=kernel[0],
        kernel_w=kernel[1],
        stride_h=strides[0],
        stride_w=strides[1],
        dilation_h=dilations[0],
        dilation_w=dilations[1],
        pad_top=pads[0],
        pad_left=pads[1],
        pad_bottom=pads[2],
        pad_right=pads[3],
    )


def weights(layout: WeightLayout, values: NDArray[Any]) -> Weights:
    return Weights(layout=layout, data=np.ascontiguousarray(values, np.int8).view(np.uint8).reshape(-1))


def requantization(scale: Any, zero_point: int, minimum: int = -128, maximum: int = 127) -> Requantization:
    return Requantization(
        scale=np.atleast_1d(np.asarray(scale, np.float32)), zero_point=zero_point, minimum=minimum, maximum=maximum
    )
