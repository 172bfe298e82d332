"""Models for the tests of commands and data: ports with made-up shapes, and one small model that runs."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import (
    ElementType,
    FullyConnected,
    Metadata,
    Model,
    Operator,
    Preprocessing,
    WeightLayout,
)
from tests.model_builder import port, provenance, requantization, tensor, weights

FLOAT, INT8, UINT8 = ElementType.Float32, ElementType.Int8, ElementType.UInt8


def port_model(
    shape: list[int],
    kind: ElementType = FLOAT,
    scale: float = 1 / 255,
    zero_point: int = -128,
    preprocessing: Preprocessing | None = None,
) -> Model:
    """A model that cannot run: an input of this ONNX shape and type, and an output of ten values."""
    return Model(
        name="ports",
        tensors=[
            tensor("x", [abs(d) for d in shape], scale=scale, zero_point=zero_point),
            tensor("y", [1, 10]),
        ],
        operators=[],
        inputs=[port("x", 0, shape, kind)],
        outputs=[port("y", 1, [1, 10])],
        metadata=Metadata(preprocessing=preprocessing),
        provenance=provenance(),
    )


def tiny_model(labels: list[str] | None = None) -> Model:
    """Input x [batch, 4, 4, 1] in 0..1, output y [batch, 3] int8: value i is large where row i is white."""
    rows = np.zeros((3, 4, 4), np.int8)
    for i in range(3):
        rows[i, i] = 1
    dense = FullyConnected(
        weights=weights(WeightLayout.OHWI, rows),
        bias=np.full(3, 4 * 128, np.int32),
        requantization=requantization(0.25, 0),
    )
    inputs, outputs = np.array([1], np.uint32), np.array([2], np.uint32)
    names = ["batch", "", "", ""]
    return Model(
        name="tiny",
        tensors=[
            tensor("x", [1, 4, 4, 1], scale=1 / 255, zero_point=-128),
            tensor("flat", [1, 16], scale=1 / 255, zero_point=-128, alias_of=0),
            tensor("y", [1, 3], 16, scale=0.5),
        ],
        operators=[Operator(name="dense", kernel=dense, inputs=inputs, outputs=outputs)],
        inputs=[port("x", 0, [-1, 4, 4, 1], FLOAT, dimension_names=names)],
        outputs=[port("y", 2, [-1, 3], dimension_names=names[:2])],
        arena_size=19,
        metadata=Metadata(class_labels=labels) if labels else None,
        provenance=provenance(),
    )
