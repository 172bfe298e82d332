"""Random float networks: whatever the quantizer makes of them runs in integers, and to the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto

from onnxino import InferenceSession
from onnxino_converter import convert
from onnxino_converter.quantize import quantize
from onnxino_tools.verify.oracle import Oracle
from tests.quantize.float_nets import inputs, net, node, run, snr

STEPS = [
    "conv",
    "depthwise",
    "norm",
    "Relu",
    "Clip",
    "LeakyRelu",
    "Sigmoid",
    "MaxPool",
    "AveragePool",
    "skip",
    "Concat",
]
OPTIONS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["minmax", "percentile", "mse", "entropy"]),
        "per_channel": st.booleans(),
        "equalize": st.booleans(),
        "bias_correction": st.booleans(),
    }
)


class Builder:
    """A network under construction; every step reads what the last one made."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}
        self.value, self.channels, self.size = "x", 3, 9

    def op(self, kind: str, *more: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(node(kind, [self.value, *more], [name], name=f"n{len(self.nodes)}", **attributes))
        self.value = name
        return name

    def constant(self, *shape: int, spread: float = 1.0) -> str:
        name = f"k{len(self.constants)}"
        strength = np.exp(self.random.standard_normal((shape[0], *[1] * (len(shape) - 1))) * spread)
        self.constants[name] = (self.random.standard_normal(shape) * strength).astype(np.float32)
        return name

    def scalar(self, value: float) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.float32(value)
        return name

    def step(self, kind: str) -> None:
        if kind == "conv":
            kernel, count = int(self.random.integers(1, 4)), int(self.random.integers(2, 9))
            weights, bias = self.constant(count, self.channels, kernel, kernel), self.constant(count)
            self.op("Conv", weights, *[bias][: self.random.integers(0, 2)], auto_pad="SAME_UPPER")
            self.channels = count
        elif kind == "depthwise":
            self.op("Conv", self.constant(self.channels, 1, 3, 3), group=self.channels, pads=[1, 1, 1, 1])
        elif kind == "norm":
            names = [self.constant(self.channels) for _ in range(4)]
            self.constants[names[3]] = np.abs(self.constants[names[3]]) + np.float32(0.01)
            self.op("BatchNormalization", *names)
        elif kind == "Clip":
            self.op("Clip", self.scalar(float(self.random.choice([0, -1]))), self.scalar(self.random.choice([1, 6])))
        elif kind in ("MaxPool", "AveragePool"):
            if self.size >= 3:
                self.op(kind, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1])
                self.size = (self.size - 1) // 2 + 1
        elif kind in ("skip", "Concat"):
            before = self.value
            self.op("Conv", self.constant(self.channels, self.channels, 1, 1))
            self.op("Add", before) if kind == "skip" else self.op("Concat", before, axis=1)
            self.channels *= 1 if kind == "skip" else 2
        else:
            self.op(kind)

    def finish(self) -> ModelProto:
        self.op("GlobalAveragePool")
        self.op("Flatten")
        self.op("Gemm", self.constant(5, self.channels), self.constant(5), transB=1)
        self.nodes[-1].output[0] = "y"
        return net(self.nodes, self.constants, (3, 9, 9))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=7), st.integers(0, 2**32 - 1), OPTIONS)
def test_random_networks(steps: list[str], seed: int, options: dict[str, Any]) -> None:
    builder = Builder(seed)
    for kind in ["conv", *steps]:
        builder.step(kind)
    model = builder.finish()
    feeds = inputs(model, 16)
    quantized = quantize(model, feeds, **options)
    oracle = Oracle(quantized)
    expected = oracle.run(feeds)[0]
    with InferenceSession(convert(quantized, name="m", board=None).model) as session:
        assert np.array_equal(expected, session.run(None, feeds)[0])
    assert oracle.float_operators() == []
    if options["per_channel"] and options["method"] == "minmax":
        assert snr(run(model, feeds)[0], expected) > 8  # coarse at times, never something else
