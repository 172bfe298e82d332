"""A small network and images that it tells apart, for the tests of compression: no training, no files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CLASSES = ["rows", "columns", "plain"]


def network(seed: int = 0, widths: tuple[int, int] = (8, 12), size: int = 8, *, solve: bool = True) -> onnx.ModelProto:
    """image [batch, 1, size, size] -> two convolutions with BatchNormalization, pooling, Gemm -> logits [batch, 3].

    Random convolutions; with `solve` the Gemm is the least squares solution on images(), so that it classifies.
    """
    rng = np.random.default_rng(seed)
    first, second = widths
    values: dict[str, NDArray[Any]] = {
        "conv1.w": rng.standard_normal((first, 1, 3, 3)) * 0.6,
        "conv2.w": rng.standard_normal((second, first, 3, 3)) * 0.2,
        "fc.w": np.zeros((3, second)),
        "fc.b": np.zeros(3),
    }
    for layer, count in (("bn1", first), ("bn2", second)):
        values |= {f"{layer}.scale": rng.random(count) + 0.5, f"{layer}.shift": rng.standard_normal(count) * 0.1}
        values |= {f"{layer}.mean": np.zeros(count), f"{layer}.var": np.ones(count)}
    nodes = [
        helper.make_node("Conv", ["image", "conv1.w"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", *(f"bn1.{k}" for k in _STATE)], ["n1"], "bn1"),
        helper.make_node("Relu", ["n1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "conv2.w"], ["c2"], "conv2", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c2", *(f"bn2.{k}" for k in _STATE)], ["n2"], "bn2"),
        helper.make_node("Relu", ["n2"], ["r2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "fc.w", "fc.b"], ["logits"], "fc", transB=1),
    ]
    model = _model(nodes, values, size)
    if not solve:
        return model
    pixels, labels = images(240, size, seed=7)
    features = _features(model, pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    design = np.c_[features, np.ones(len(features))]
    solved = np.linalg.lstsq(design, np.eye(3)[labels] * 4, rcond=None)[0]
    values["fc.w"], values["fc.b"] = solved[:-1].T, solved[-1]
    return _model(nodes, values, size)


_STATE = ("scale", "shift", "mean", "var")


def _model(nodes: list[onnx.NodeProto], values: dict[str, NDArray[Any]], size: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _features(model: onnx.ModelProto, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    from onnx.reference import ReferenceEvaluator

    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.append(helper.make_tensor_value_info("f", TensorProto.FLOAT, None))
    return np.asarray(ReferenceEvaluator(cut).run(["f"], {"image": inputs})[0])


def images(count: int, size: int = 8, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noisy stripes along rows, along columns, and none: uint8 [count, size, size, 1] and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    stripes = (np.arange(size) % 2 * 170)[None, :, None]
    pictures = rng.integers(0, 86, (count, size, size))
    pictures[labels == 0] += stripes
    pictures[labels == 1] += stripes.transpose(0, 2, 1)
    pictures[labels == 2] += 85
    return pictures[..., None].astype(np.uint8), labels.astype(np.int64)


def arrays(train: int = 90, validation: int = 45, test: int = 30) -> dict[str, Any]:
    """A data set with three splits."""
    pixels, labels = images(train + validation + test)
    split = np.array(["train"] * train + ["val"] * validation + ["test"] * test)
    return {"images": pixels, "labels": labels, "split": split, "classes": np.array(CLASSES)}


def save(path: Path, **changed: Any) -> Path:
    """The data set as a file; what is None is left out."""
    held = {key: value for key, value in (arrays() | changed).items() if value is not None}
    np.savez(path, **held)
    return path
