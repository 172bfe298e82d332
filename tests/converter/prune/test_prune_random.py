"""Random networks: whatever is pruned of them, they compute what the original does without it, and convert."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from onnxino_converter import convert
from onnxino_converter.prune import effect, groups
from onnxino_converter.quantize import quantize
from tests.converter.prune.builder import Net
from tests.converter.prune.oracle import inputs, left, pruned

# Operators of one operand that leave zero at zero, so that channels can be zeroed where they are made.
UNARY = ["Relu", "LeakyRelu", "HardSwish", "Tanh"]
STEPS = ["conv", "depthwise", "grouped", "norm", "unary", "residual", "concat", "excite", "pool", "split", "shuffle"]
STEPS += ["constant", "slope", "resize"]
QUANTIZED = ["conv", "depthwise", "grouped", "norm", "unary", "residual", "concat", "pool"]


class Builder(Net):
    """Every step reads what the last one made: a tensor of `channels` channels and size x size."""

    def __init__(self, seed: int, size: int = 8) -> None:
        super().__init__(seed)
        self.value, self.channels, self.size, self.count = "x", 3, size, 0
        self.convolve(self.pick(4, 10))

    def pick(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def convolve(self, outputs: int, x: str | None = None, group: int = 1) -> None:
        kernel = int(self.random.choice([1, 3]))
        shape = (outputs, self.channels // group, kernel, kernel)
        self.value = self.conv(self.name(), x or self.value, shape, pads=[kernel // 2] * 4, group=group)
        self.channels = outputs

    def step(self, kind: str) -> None:
        getattr(self, f"add_{kind}")()

    def add_conv(self) -> None:
        self.convolve(self.pick(3, 12))

    def add_depthwise(self) -> None:
        self.convolve(self.channels * self.pick(1, 2), group=self.channels)

    def add_grouped(self) -> None:
        group = next((g for g in (4, 3, 2) if self.channels % g == 0), 1)
        self.convolve(group * self.pick(1, 4), group=group)

    def add_norm(self) -> None:
        self.value = self.norm(self.name(), self.value, self.channels)

    def add_unary(self) -> None:
        self.value = self.op(str(self.random.choice(UNARY)), self.name(), self.value)

    def add_residual(self) -> None:
        before, channels = self.value, self.channels
        self.convolve(self.pick(2, 8))
        self.add_unary()
        self.convolve(channels)
        self.value = self.op(str(self.random.choice(["Add", "Sub"])), self.name(), before, self.value)

    def add_concat(self) -> None:
        before, channels = self.value, self.channels
        self.convolve(self.pick(2, 6))
        again = [before] * self.pick(1, 2)
        self.value = self.op("Concat", self.name(), self.value, *again, axis=1)
        self.channels += channels * len(again)

    def add_excite(self) -> None:
        x, channels = self.value, self.channels
        self.value = self.op("GlobalAveragePool", self.name(), x)
        self.convolve(self.pick(1, 4))
        self.add_unary()
        self.convolve(channels)
        gate = self.op("Sigmoid", self.name(), self.value)
        self.value = self.op("Mul", self.name(), x, gate)

    def add_pool(self) -> None:
        kind = str(self.random.choice(["MaxPool", "AveragePool"]))
        self.value = self.op(kind, self.name(), self.value, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def add_split(self) -> None:
        if self.channels < 2:
            return
        first = self.pick(1, self.channels - 1)
        sizes = self.ints(f"{self.name()}.sizes", first, self.channels - first)
        name = self.name()
        self.op("Split", name, self.value, sizes, outputs=[f"{name}a", f"{name}b"], axis=1)
        self.value = self.op("Concat", self.name(), f"{name}b", f"{name}a", axis=1)

    def add_shuffle(self) -> None:
        group = next((g for g in (3, 2) if self.channels % g == 0), 1)
        name, size = self.name(), self.size
        apart = self.ints(f"{name}.apart", 0, group, self.channels // group, size, size)
        together = self.ints(f"{name}.together", 0, self.channels, size, size)
        x = self.op("Transpose", f"{name}t", self.op("Reshape", f"{name}r", self.value, apart), perm=[0, 2, 1, 3, 4])
        self.value = self.op("Reshape", name, x, together)

    def add_constant(self) -> None:
        kind, name = str(self.random.choice(["Add", "Mul"])), self.name()
        self.value = self.op(kind, name, self.value, self.const(f"{name}.k", self.channels, 1, 1))

    def add_slope(self) -> None:
        name = self.name()
        self.value = self.op("PRelu", name, self.value, self.const(f"{name}.k", self.channels, 1, 1))

    def add_resize(self) -> None:
        self.constants["scales"] = np.array([1, 1, 0.5, 0.5], np.float32)
        if self.size % 2 == 0:
            self.value = self.op("Resize", self.name(), self.value, "", "scales", mode="nearest")
            self.size //= 2

    def head(self, kind: str) -> ModelProto:
        if kind == "flatten":
            x = self.op("Flatten", self.name(), self.value)
            columns = self.channels * self.size * self.size
        else:
            x = self.op("Flatten", self.name(), self.op("GlobalAveragePool", self.name(), self.value))
            columns = self.channels
        x = self.op("Relu", self.name(), self.gemm("hidden", x, columns, 6, transposed=self.pick(0, 1) == 1))
        self.gemm("y", x, 6, 4)
        return self.model((3, 8, 8))


def build(seed: int, steps: list[str], head: str) -> ModelProto:
    builder = Builder(seed)
    for step in steps:
        builder.step(step)
    return builder.head(head)


OPTIONS: dict[str, Any] = {
    "ratio": st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.95]),
    "criterion": st.sampled_from(["l1", "l2", "l1-next", "bn"]),
    "scope": st.sampled_from(["layer", "global"]),
    "multiple": st.sampled_from([1, 1, 2, 4]),
}
HEADS = st.sampled_from(["flatten", "pool"])
SETTINGS = settings(max_examples=45, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(
    st.integers(0, 2**20),
    st.lists(st.sampled_from(STEPS), min_size=2, max_size=9),
    HEADS,
    st.fixed_dictionaries(OPTIONS),
)
def test_random_networks(seed: int, steps: list[str], head: str, options: dict[str, Any]) -> None:
    model = build(seed, steps, head)
    result = pruned(model, **options)
    before = {layer: group.channels for group in groups(model) for layer in group.layers}
    assert all(count >= 1 for count in left(result).values())
    assert set(left(result)) <= set(before)
    assert effect(result.model)["parameters"] <= effect(model)["parameters"]
    if options["multiple"] > 1 and "split" not in steps:
        for change in result.changes:
            assert change.after == change.before or change.after % options["multiple"] == 0


@settings(SETTINGS, max_examples=8)
@given(st.integers(0, 2**20), st.lists(st.sampled_from(QUANTIZED), min_size=2, max_size=6), HEADS)
def test_random_networks_quantize_and_convert(seed: int, steps: list[str], head: str) -> None:
    model = build(seed, steps, head)
    result = pruned(model, ratio=0.5)
    sizes = [len(convert(quantize(net, inputs(model, 8)), name="net").model) for net in (model, result.model)]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_pruned(step: str) -> None:
    """No construct of these keeps the layers around it from being pruned."""
    result = pruned(build(1, [step, step], "pool"), ratio=0.5)
    changed = [change.name for change in result.changes if change.after < change.before]
    assert "n1" in changed
    assert [s.node for s in result.skipped] == ["y"]
