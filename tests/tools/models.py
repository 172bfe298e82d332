"""Small models for the tests of commands and data: ports with made-up shapes, and one whole model that runs."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import (
    ElementType,
    FullyConnected,
    Metadata,
    Model,
    Operator,
    Port,
    Preprocessing,
    Provenance,
    Requantization,
    Tensor,
    WeightLayout,
    Weights,
)

FLOAT, INT8, UINT8 = ElementType.Float32, ElementType.Int8, ElementType.UInt8


def port_model(
    shape: list[int],
    kind: ElementType = FLOAT,
    scale: float = 1 / 255,
    zero_point: int = -128,
    preprocessing: Preprocessing | None = None,
    labels: list[str] | None = None,
    outputs: int = 10,
) -> Model:
    """A model that cannot run: an input of this ONNX shape and type, and an output of so many values."""
    device = np.array([abs(d) for d in shape], np.int32)
    tensors = [
        Tensor(name="x", shape=device, scale=scale, zero_point=zero_point),
        Tensor(name="y", shape=np.array([1, outputs], np.int32)),
    ]
    return Model(
        name="ports",
        tensors=tensors,
        operators=[],
        inputs=[Port(name="x", tensor=0, type=kind, shape=np.array(shape, np.int32))],
        outputs=[Port(name="y", tensor=1, type=INT8, shape=np.array([1, outputs], np.int32))],
        metadata=Metadata(class_labels=labels, preprocessing=preprocessing),
        provenance=provenance(),
    )


def provenance() -> Provenance:
    return Provenance(tool_version="0.1.0", options="{}", source_sha256=np.zeros(32, np.uint8))


def tiny_model(kind: ElementType = FLOAT, labels: list[str] | None = None) -> Model:
    """Input x [batch, 4, 4, 1], one dense layer, output y [batch, 3] int8: column i sums the pixels of row i."""
    weights = np.zeros((3, 4, 4), np.int8)
    for i in range(3):
        weights[i, i] = 1
    to = Requantization(scale=np.array([0.25], np.float32), zero_point=0)
    dense = FullyConnected(
        weights=Weights(layout=WeightLayout.OHWI, data=weights.reshape(-1).view(np.uint8)),
        bias=np.full(3, 4 * 128, np.int32),
        requantization=to,
    )
    tensors = [
        Tensor(name="x", shape=np.array([1, 4, 4, 1], np.int32), scale=1 / 255, zero_point=-128, offset=0),
        Tensor(name="flat", shape=np.array([1, 16], np.int32), scale=1 / 255, zero_point=-128, offset=0, alias_of=0),
        Tensor(name="y", shape=np.array([1, 3], np.int32), scale=0.5, zero_point=0, offset=16),
    ]
    return Model(
        name="tiny",
        tensors=tensors,
        operators=[
            Operator(
                name="dense",
                kernel=dense,
                inputs=np.array([1], np.uint32),
                outputs=np.array([2], np.uint32),
            )
        ],
        inputs=[_port("x", 0, kind, [-1, 4, 4, 1])],
        outputs=[_port("y", 2, INT8, [-1, 3])],
        arena_size=19,
        metadata=Metadata(class_labels=labels) if labels else None,
        provenance=provenance(),
    )


def _port(name: str, tensor: int, kind: ElementType, shape: list[int]) -> Port:
    names = ["batch", *[""] * (len(shape) - 1)]
    return Port(name=name, tensor=tensor, type=kind, shape=np.array(shape, np.int32), dimension_names=names)
