"""A small model for tests of firmware and link: two dense layers, input and output longer than one frame."""

from __future__ import annotations

import numpy as np

from onnxino.schema import codec
from onnxino.schema.model import (
    ElementType,
    FullyConnected,
    Model,
    Operator,
    Port,
    Provenance,
    Requantization,
    Tensor,
    WeightLayout,
    Weights,
)

INPUT, HIDDEN, OUTPUT = 1500, 24, 1300


def dense_model(seed: int = 1, name: str = "dense", output_at: int = 1536) -> bytes:
    """A .oxm file of about 70 KB: int8 [1, 1500] -> [1, 24] -> [1, 1300]; the arena ends behind the output."""
    random = np.random.default_rng(seed)
    sizes = [INPUT, HIDDEN, OUTPUT]
    offsets = [0, 1504, output_at]
    tensors = [
        Tensor(name=f"t{i}", shape=np.array([1, size], np.int32), offset=offset, scale=0.1)
        for i, (size, offset) in enumerate(zip(sizes, offsets, strict=True))
    ]
    operators = [_dense(random, i, sizes[i], sizes[i + 1]) for i in range(2)]
    return codec.encode(
        Model(
            name=name,
            tensors=tensors,
            operators=operators,
            inputs=[Port(name="input", tensor=0, type=ElementType.Int8, shape=np.array([1, INPUT], np.int32))],
            outputs=[Port(name="output", tensor=2, type=ElementType.Int8, shape=np.array([1, OUTPUT], np.int32))],
            arena_size=output_at + OUTPUT,
            provenance=Provenance(tool_version="test", options="{}", source_sha256=np.zeros(32, np.uint8)),
        )
    )


def _dense(random: np.random.Generator, index: int, inputs: int, outputs: int) -> Operator:
    weights = random.integers(-127, 128, inputs * outputs).astype(np.int8).view(np.uint8)
    kernel = FullyConnected(
        weights=Weights(layout=WeightLayout.OHWI, type=ElementType.Int8, data=weights),
        bias=random.integers(-1000, 1000, outputs).astype(np.int32),
        requantization=Requantization(scale=np.full(outputs, 0.0003, np.float32), zero_point=3),
    )
    return Operator(
        name=f"dense{index}",
        kernel=kernel,
        inputs=np.array([index], np.uint32),
        outputs=np.array([index + 1], np.uint32),
    )


def expected_output(data: bytes, sample: np.ndarray) -> bytes:
    """What the model makes of an int8 sample, computed here with exact integers."""
    model = codec.decode(data)
    values = sample.astype(np.int64)
    for operator in model.operators:
        kernel = operator.kernel
        assert isinstance(kernel, FullyConnected)
        weights = kernel.weights.data.view(np.int8).reshape(len(kernel.bias), -1).astype(np.int64)
        scaled = (weights @ values + kernel.bias).astype(np.float32) * kernel.requantization.scale
        values = np.clip(np.rint(scaled) + kernel.requantization.zero_point, -128, 127).astype(np.int64)
    return values.astype(np.int8).tobytes()
