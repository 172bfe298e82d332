"""Small float models and data sets for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxino_tools.data import Dataset

F = TensorProto.FLOAT


def linear(
    shape: Sequence[int],
    outputs: int,
    *,
    weights: NDArray[Any] | None = None,
    nodes: Sequence[Any] = (),
    more: Sequence[tuple[str, int, list[Any]]] = (),
    labels: list[str] | None = None,
    name: str = "linear",
) -> ModelProto:
    """x [n, *shape] -> Flatten -> Gemm 'dense' -> y [n, outputs]; further nodes and outputs (name, type, shape).

    weights: [inputs, outputs]; default: the same random ones each time.
    """
    count = int(np.prod(shape))
    values = np.random.default_rng(0).normal(size=(count, outputs)) if weights is None else weights
    constants = [("w", values.astype(np.float32)), ("b", np.zeros(outputs, np.float32))]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["f"]),
            helper.make_node("Gemm", ["f", "w", "b"], ["y"], name="dense"),
            *nodes,
        ],
        name,
        [helper.make_tensor_value_info("x", F, ["n", *shape])],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in [("y", F, ["n", outputs]), *more]],
        [numpy_helper.from_array(value, key) for key, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if labels is not None:
        helper.set_model_props(model, {"labels": json.dumps(labels)})
    return model


def index_model(shape: Sequence[int], outputs: int) -> ModelProto:
    """As linear, but its only output is ArgMax's number."""
    node = helper.make_node("ArgMax", ["y"], ["k"], axis=1, keepdims=0)
    model = linear(shape, outputs, nodes=[node], more=[("k", TensorProto.INT64, ["n"])])
    del model.graph.output[0]
    return model


def images(count: int = 20, shape: Sequence[int] = (8, 8, 3)) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def pictures(classes: Sequence[str] = "abcd", count: int = 20, names: list[str] | None = None) -> Dataset:
    """uint8 [count, 8, 8, 3] with labels 0, 1, 2, ..."""
    return Dataset(images(count), "pictures", np.arange(count) % len(classes), list(classes), names=names)


def signals(count: int = 20, length: int = 40, classes: int = 4) -> Dataset:
    """float32 [count, length] with labels."""
    values = np.random.default_rng(2).normal(size=(count, length)).astype(np.float32)
    return Dataset(values, "signals", np.arange(count) % classes)
