"""ResNet-18 as torchvision builds it, written with onnx.helper: random weights, any width, input size and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


class _Builder:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}

    def node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name=name, **attributes))
        return f"{name}_out"

    def conv(self, name: str, x: str, shape: tuple[int, int, int], stride: int = 1) -> str:
        """Without a bias, as before a normalization; He initialization by outputs. shape: outputs, inputs, kernel."""
        outputs, inputs, kernel = shape
        spread = np.sqrt(2.0 / (outputs * kernel * kernel))
        weights = self.random.standard_normal((outputs, inputs, kernel, kernel), np.float32) * np.float32(spread)
        self.constants[f"{name}.weight"] = weights
        pads = [kernel // 2] * 4
        return self.node(
            "Conv", name, [x, f"{name}.weight"], strides=[stride] * 2, pads=pads, kernel_shape=[kernel] * 2
        )

    def norm(self, name: str, x: str, channels: int) -> str:
        parts = {
            "weight": self.random.uniform(0.5, 1.5, channels),
            "bias": self.random.normal(0, 0.1, channels),
            "running_mean": self.random.normal(0, 0.1, channels),
            "running_var": self.random.uniform(0.5, 1.5, channels),
        }
        self.constants |= {f"{name}.{part}": values.astype(np.float32) for part, values in parts.items()}
        return self.node("BatchNormalization", name, [x, *(f"{name}.{part}" for part in parts)], epsilon=1e-5)

    def block(self, name: str, x: str, inputs: int, outputs: int, stride: int) -> str:
        """Two 3x3 convolutions and a skip connection, by a 1x1 convolution where the shape changes."""
        y = self.conv(f"{name}.conv1", x, (outputs, inputs, 3), stride)
        y = self.node("Relu", f"{name}.relu1", [self.norm(f"{name}.bn1", y, outputs)])
        y = self.norm(f"{name}.bn2", self.conv(f"{name}.conv2", y, (outputs, outputs, 3)), outputs)
        if stride != 1 or inputs != outputs:
            x = self.conv(f"{name}.downsample.0", x, (outputs, inputs, 1), stride)
            x = self.norm(f"{name}.downsample.1", x, outputs)
        return self.node("Relu", f"{name}.relu2", [self.node("Add", f"{name}.add", [y, x])])


def resnet18(size: int = 224, classes: int = 1000, width: int = 64, batch: int | str = 1, seed: int = 0) -> ModelProto:
    """Float32 ONNX: image [batch, 3, size, size] -> logits [batch, classes]. width: channels of the first layer."""
    build = _Builder(seed)
    x = build.conv("conv1", "image", (width, 3, 7), 2)
    x = build.node("Relu", "relu", [build.norm("bn1", x, width)])
    x = build.node("MaxPool", "maxpool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = width
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage and not block else 1
            outputs = width << stage
            x = build.block(f"layer{stage + 1}.{block}", x, channels, outputs, stride)
            channels = outputs
    x = build.node("Flatten", "flatten", [build.node("GlobalAveragePool", "avgpool", [x])])
    build.constants["fc.weight"] = build.random.normal(0, 0.05, (classes, channels)).astype(np.float32)
    build.constants["fc.bias"] = build.random.normal(0, 0.05, classes).astype(np.float32)
    build.nodes.append(helper.make_node("Gemm", [x, "fc.weight", "fc.bias"], ["logits"], name="fc", transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, size, size])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])
    tensors = [numpy_helper.from_array(array, name) for name, array in build.constants.items()]
    graph = helper.make_graph(build.nodes, "resnet18", [image], [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
