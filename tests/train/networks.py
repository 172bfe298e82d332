"""Small float networks for the tests of training, as ONNX, and ONNX Runtime to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

DIGITS = Path(__file__).resolve().parent.parent.parent / "examples" / "digits" / "digits_test.npz"
Array = NDArray[Any]


class Net:
    """A model under construction: nodes one after the other, constants by name."""

    def __init__(self, shape: Sequence[Any] = ("N", 3, 8, 8), opset: int = 17, seed: int = 0) -> None:
        self.shape, self.opset = list(shape), opset
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.last = "image"

    def const(self, name: str, value: Any) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def weights(self, name: str, *shape: int) -> str:
        return self.const(name, (self.rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A node that reads the one before it, unless `inputs` begins with another tensor and a `|`."""
        name = f"{kind.lower()}{len(self.nodes)}"
        read = list(inputs[1:]) if inputs and inputs[0] == "|" else [self.last, *inputs]
        made = [name] + [f"{name}_{k}" for k in range(1, outputs)]
        self.nodes.append(helper.make_node(kind, read, made, name=f"node_{name}", **attributes))
        self.last = name
        return name

    def conv(self, inputs: int, outputs: int, kernel: int = 3, bias: bool = False, **attributes: Any) -> str:
        stem = f"block{len(self.nodes)}.conv"
        names = [self.weights(f"{stem}.weight", outputs, inputs // attributes.get("group", 1), kernel, kernel)]
        if bias:
            names.append(self.const(f"{stem}.bias", self.rng.normal(0, 0.1, outputs).astype(np.float32)))
        attributes.setdefault("pads", [kernel // 2] * 4)
        return self.op("Conv", *names, kernel_shape=[kernel, kernel], **attributes)

    def norm(self, channels: int, **attributes: Any) -> str:
        stem = f"block{len(self.nodes)}.norm"
        values = {
            "weight": self.rng.uniform(0.5, 1.5, channels),
            "bias": self.rng.normal(0, 0.2, channels),
            "mean": self.rng.normal(0, 0.2, channels),
            "var": self.rng.uniform(0.5, 1.5, channels),
        }
        names = [self.const(f"{stem}.{name}", value.astype(np.float32)) for name, value in values.items()]
        return self.op("BatchNormalization", *names, **attributes)

    def dense(self, inputs: int, outputs: int) -> str:
        stem = f"head{len(self.nodes)}"
        bias = self.const(f"{stem}.bias", np.zeros(outputs, np.float32))
        return self.op("Gemm", self.weights(f"{stem}.weight", outputs, inputs), bias, transB=1)

    def model(self, output: str | None = None) -> ModelProto:
        port = helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)
        result = helper.make_tensor_value_info(output or self.last, TensorProto.FLOAT, None)
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "net", [port], [result], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def classifier(
    classes: int = 10, channels: int = 8, shape: Sequence[Any] = ("N", 1, 28, 28), norm: bool = True, seed: int = 0
) -> ModelProto:
    """Two convolutions of stride 2, a global mean and a dense layer; random weights."""
    net = Net(shape, seed=seed)
    net.conv(int(shape[1]), channels, bias=not norm, strides=[2, 2])
    if norm:
        net.norm(channels)
    net.op("Relu")
    net.conv(channels, 2 * channels, bias=not norm, strides=[2, 2])
    if norm:
        net.norm(2 * channels)
    net.op("Relu")
    net.op("MaxPool", kernel_shape=[3, 3], strides=[2, 2])
    net.op("Flatten")
    halved = (int(shape[2]) + 3) // 4
    side = (halved - 3) // 2 + 1
    net.dense(2 * channels * side * side, classes)
    return net.model()


def small(seed: int = 0, channels: int = 4, dropout: bool = False, classes: int = 3) -> ModelProto:
    """A network for patterns(); relu2 is its inner layer."""
    net = Net(("N", 1, 8, 8), seed=seed)
    net.conv(1, channels)
    net.norm(channels)
    net.op("Relu")
    if dropout:
        net.op("Dropout", net.const("ratio", np.float32(0.2)))
    net.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    net.op("Flatten")
    net.dense(channels * 16, classes)
    return net.model()


def content(module: Any) -> bytes:
    """The network of a module, as bytes."""
    return module.to_onnx().SerializeToString(deterministic=True)


def onnxruntime_of(model: ModelProto, images: Array) -> Array:
    """What ONNX Runtime computes, without its optimizations of the graph."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


def initializers(model: ModelProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def digits(first: int, last: int) -> tuple[Array, Array]:
    """Images float32 [N, 1, 28, 28] of 0..1, labels int64 [N], out of the thousand of the example."""
    with np.load(DIGITS) as data:
        images = data["images"][first:last].transpose(0, 3, 1, 2)
        return (images / 255).astype(np.float32), data["labels"][first:last].astype(np.int64)


def patterns(count: int, classes: int = 3, shape: Sequence[int] = (1, 8, 8), seed: int = 0) -> tuple[Array, Array]:
    """An easy task: each class is one random image, samples are noisy."""
    rng = np.random.default_rng(99)
    prototypes = rng.standard_normal((classes, *shape))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    images = prototypes[labels] + rng.standard_normal((count, *shape)) * 0.5
    return images.astype(np.float32), labels.astype(np.int64)


def equal_graphs(a: ModelProto, b: ModelProto) -> bool:
    """Whether two models differ in nothing but values of initializers."""

    def bare(model: ModelProto) -> bytes:
        copy = ModelProto()
        copy.CopyFrom(model)
        for tensor in copy.graph.initializer:
            tensor.raw_data = b""
        return copy.SerializeToString(deterministic=True)

    return bare(a) == bare(b)
