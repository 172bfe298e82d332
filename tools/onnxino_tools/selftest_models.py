"""The fixed models of `onnxino selftest`: the digits, and one network with a layer of each common kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IMAGES = 4


@dataclass(frozen=True)
class SelftestModel:
    """content: the .oxm file. inputs: what it computes, in the type and layout of the graph's port, batch first."""

    name: str
    content: bytes
    inputs: NDArray[Any]


def selftest_models() -> list[SelftestModel]:
    """Made from the same numbers everywhere. Raises InputError where the example is not installed."""
    return [make() for make in MODELS]


def digits() -> SelftestModel:
    """The example's model and its first images."""
    from onnxino import InferenceSession
    from onnxino_converter import convert
    from onnxino_tools.data import PixelOptions
    from onnxino_tools.data.inputs import image_feed
    from onnxino_tools.examples import example

    content = convert(example("digits", "digits_int8.onnx"), name="digits").model
    with InferenceSession(content) as session:
        data, feed, _ = image_feed(
            session.model, str(example("digits", "digits_test.npz")), PixelOptions(), limit=_IMAGES
        )
        return SelftestModel("digits", content, feed(data.images))


def layers() -> SelftestModel:
    """Convolutions of several shapes, pooling, residual addition, softmax; random weights of a fixed seed."""
    from onnxino_converter import convert
    from onnxino_converter.quantize import quantize

    inputs = _numbers(_IMAGES, 3, 32, 32)
    return SelftestModel("layers", convert(quantize(_layers_graph(), {"x": inputs}), name="layers").model, inputs)


def _layers_graph() -> Any:
    from onnx import NodeProto, TensorProto, helper, numpy_helper

    nodes: list[NodeProto] = []
    constants: dict[str, NDArray[np.float32]] = {}

    def conv(source: str, name: str, shape: tuple[int, ...], **attributes: Any) -> str:
        fan = int(np.prod(shape[1:]))
        constants[f"{name}.w"] = _numbers(*shape) / np.float32(np.sqrt(fan))
        constants[f"{name}.b"] = _numbers(shape[0]) / np.float32(10)
        nodes.append(
            helper.make_node("Conv", [source, f"{name}.w", f"{name}.b"], [f"{name}.c"], name=name, **attributes)
        )
        return relu(f"{name}.c", name)

    def relu(source: str, name: str) -> str:
        nodes.append(helper.make_node("Relu", [source], [name], name=f"{name}.relu"))
        return name

    same = {"pads": [1, 1, 1, 1]}
    stem = conv("x", "conv3x3_stride2", (16, 3, 3, 3), strides=[2, 2], **same)
    depthwise = conv(stem, "depthwise3x3", (16, 1, 3, 3), group=16, **same)
    pointwise = conv(depthwise, "conv1x1", (16, 16, 1, 1))
    nodes.append(helper.make_node("Add", [stem, pointwise], ["sum"], name="add"))
    wide = conv(relu("sum", "added"), "conv3x3", (24, 16, 3, 3), **same)
    nodes.append(helper.make_node("MaxPool", [wide], ["pooled"], name="max_pool", kernel_shape=[2, 2], strides=[2, 2]))
    deep = conv("pooled", "conv5x5", (8, 24, 5, 5), pads=[2, 2, 2, 2])
    nodes.append(helper.make_node("GlobalAveragePool", [deep], ["mean"], name="mean"))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"], name="flatten"))
    constants["dense.w"], constants["dense.b"] = _numbers(8, 10), _numbers(10)
    nodes.append(helper.make_node("Gemm", ["flat", "dense.w", "dense.b"], ["logits"], name="dense"))
    nodes.append(helper.make_node("Softmax", ["logits"], ["y"], name="softmax", axis=1))
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _numbers(*shape: int) -> NDArray[np.float32]:
    """Repeatable numbers of about unit variance, from integer arithmetic: the same on every computer and version."""
    count = int(np.prod(shape))
    state = (np.arange(count, dtype=np.uint64) + np.uint64(7919 * len(shape) + shape[0])) * np.uint64(
        6364136223846793005
    )
    state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    uniform = (state >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
    return ((uniform - np.float32(0.5)) * np.float32(3.4641)).reshape(shape)


MODELS: list[Callable[[], SelftestModel]] = [digits, layers]
