"""A small model of many operators, and ways to change one thing in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import model_builder as mb
import numpy as np

from onnxino.schema import model as s


def operator(name: str, kernel: Any, inputs: list[int], output: int) -> s.Operator:
    return s.Operator(
        name=name, kernel=kernel, inputs=np.array(inputs, np.uint32), outputs=np.array([output], np.uint32)
    )


def identity() -> s.Lookup:
    return s.Lookup(table=np.arange(-128, 128).astype(np.int8))


def network() -> s.Model:
    """x -> conv -> depthwise -> (max, average) -> concat -> flat (alias) -> dense -> lookup in place -> add -> y.

    tensors: 0 x, 1 conv, 2 depthwise, 3 max, 4 average, 5 concat, 6 flat, 7 dense, 8 looked (over 7), 9 constant, 10 y
    """
    hwc = mb.weights(s.WeightLayout.HWC, np.ones((3, 3, 2)))
    ohwi = mb.weights(s.WeightLayout.OHWI, np.ones((2, 3, 3, 2)))
    dense = mb.weights(s.WeightLayout.OHWI, np.ones((5, 16)))
    to = mb.requantization(0.01, 0)
    pads = mb.window((3, 3), (2, 2), (1, 1, 1, 1))
    pool = mb.window((2, 2))
    tensors = [
        mb.tensor("x", [1, 6, 6, 2], 0),
        mb.tensor("conv", [1, 6, 6, 2], 80),
        mb.tensor("depthwise", [1, 3, 3, 2], 0),
        mb.tensor("max", [1, 2, 2, 2], 32),
        mb.tensor("average", [1, 2, 2, 2], 48),
        mb.tensor("concat", [1, 2, 2, 4], 64),
        mb.tensor("flat", [1, 16], 64, alias_of=5),
        mb.tensor("dense", [1, 5], 0),
        mb.tensor("looked", [1, 5], 0),
        mb.tensor("constant", [5], data=np.arange(5, dtype=np.uint8)),
        mb.tensor("y", [1, 5], 16),
    ]
    kernels: list[tuple[Any, list[int], int]] = [
        (s.Conv2D(window=mb.window((3, 3), pads=(1, 1, 1, 1)), weights=ohwi, bias=np.zeros(2, np.int32),
                  requantization=to), [0], 1),
        (s.DepthwiseConv2D(window=pads, weights=hwc, bias=np.zeros(2, np.int32), requantization=to), [1], 2),
        (s.MaxPool2D(window=pool), [2], 3),
        (s.AveragePool2D(window=pool, input_scale=1.0, output_scale=1.0), [2], 4),
        (s.Concat(axis=3), [3, 4], 5),
        (s.FullyConnected(weights=dense, bias=np.zeros(5, np.int32), requantization=to), [6], 7),
        (identity(), [7], 8),
        (s.Add(scale_a=1.0, scale_b=1.0), [8, 9], 10),
    ]  # fmt: skip
    return s.Model(
        name="network",
        tensors=tensors,
        operators=[operator(f"node{i}", *rest) for i, rest in enumerate(kernels)],
        inputs=[mb.port("in", 0, [-1, 6, 6, 2])],
        outputs=[mb.port("out", 10, [-1, 5])],
        arena_size=152,
        provenance=mb.provenance(),
    )


def single(kernel: Any, inputs: list[list[int]], output: list[int]) -> Callable[[], s.Model]:
    return lambda: mb.single(kernel, inputs, output)


def changed(change: Callable[[s.Model], Any]) -> Callable[[], s.Model]:
    def make() -> s.Model:
        model = network()
        change(model)
        return model

    return make


def tensor(index: int, **fields: Any) -> Callable[[], s.Model]:
    return changed(lambda m: [setattr(m.tensors[index], name, value) for name, value in fields.items()])


def kernel(index: int, **fields: Any) -> Callable[[], s.Model]:
    return changed(lambda m: [setattr(m.operators[index].kernel, name, value) for name, value in fields.items()])


def node(index: int, **fields: Any) -> Callable[[], s.Model]:
    return changed(lambda m: [setattr(m.operators[index], name, value) for name, value in fields.items()])


def port(**fields: Any) -> Callable[[], s.Model]:
    return changed(lambda m: [setattr(m.inputs[0], name, value) for name, value in fields.items()])


def out(**fields: Any) -> Callable[[], s.Model]:
    return changed(lambda m: [setattr(m.outputs[0], name, value) for name, value in fields.items()])


def requantization(index: int, **fields: Any) -> Callable[[], s.Model]:
    def change(m: s.Model) -> None:
        kernel: Any = m.operators[index].kernel
        values = {"scale": np.array([0.01], np.float32), "zero_point": 0, **fields}
        kernel.requantization = s.Requantization(**values)

    return changed(change)


def i32(*values: int) -> Any:
    return np.array(values, np.int32)


def u32(*values: int) -> Any:
    return np.array(values, np.uint32)


def u8(*values: int) -> Any:
    return np.array(values, np.uint8)
