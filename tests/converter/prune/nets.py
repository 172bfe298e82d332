"""Small float networks, one for each construct that channels have to pass; and how many channels half of them are."""

from __future__ import annotations

from typing import Any

from onnx import ModelProto

from tests.converter.prune import nets_moved as moved
from tests.converter.prune.builder import Net


def plain(*kinds: str, **options: Any) -> ModelProto:
    """Conv of 8 channels, operators of one operand, Conv."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    for k, kind in enumerate(kinds):
        x = b.op(kind, f"u{k}", x)
    b.conv("y", x, (4, 8, 1, 1))
    return b.model(**options)


def norms() -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    x = b.norm("n2", b.conv("second", x, (6, 8, 3, 3)), 6)
    b.gemm("y", b.op("Flatten", "f", b.op("GlobalAveragePool", "g", x)), 6, 4)
    return b.model()


def depthwise(multiplier: int = 1) -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    x = b.op("Relu", "r2", b.norm("n2", b.conv("deep", x, (8 * multiplier, 1, 3, 3), group=8), 8 * multiplier))
    b.conv("y", x, (4, 8 * multiplier, 1, 1))
    return b.model()


def depthwise_of_input() -> ModelProto:
    b = Net()
    x = b.conv("deep", "x", (6, 1, 3, 3), group=3)
    x = b.conv("point", x, (8, 6, 1, 1))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model()


def grouped() -> ModelProto:
    """Two groups: 8 -> 12 channels."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.conv("pairs", b.op("Relu", "r", x), (12, 4, 3, 3), group=2)
    b.conv("y", b.op("Relu", "r2", x), (4, 12, 1, 1))
    return b.model()


def one_output_each() -> ModelProto:
    """Groups of two inputs and one output."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.conv("pairs", b.op("Relu", "r", x), (4, 2, 3, 3), group=4)
    b.conv("y", x, (4, 4, 1, 1))
    return b.model()


def residual(kind: str = "Add") -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    y = b.op("Relu", "r2", b.norm("n2", b.conv("inner", x, (6, 8, 3, 3), pads=[1, 1, 1, 1]), 6))
    y = b.norm("n3", b.conv("outer", y, (8, 6, 3, 3), pads=[1, 1, 1, 1]), 8)
    x = b.op("Relu", "r3", b.op(kind, "sum", x, y))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model()


def squeeze_and_excite(last: str = "HardSigmoid") -> ModelProto:
    b = Net()
    x = b.op("HardSwish", "act", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    s = b.op("Relu", "r", b.conv("reduce", b.op("GlobalAveragePool", "g", x), (4, 8, 1, 1)))
    s = b.op(last, "gate", b.conv("expand", s, (8, 4, 1, 1)))
    b.conv("y", b.op("Mul", "scaled", x, s), (4, 8, 1, 1))
    return b.model()


def squeeze_by_gemm() -> ModelProto:
    """As above, by matrix products on [N, C] and back to [N, C, 1, 1]."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    s = b.op("ReduceMean", "mean", x, axes=[2, 3], keepdims=0)
    s = b.op("Relu", "r", b.gemm("reduce", s, 8, 4))
    s = b.op("Sigmoid", "gate", b.gemm("expand", s, 4, 8, transposed=False))
    s = b.op("Unsqueeze", "back", s, b.ints("axes", 2, 3))
    b.conv("y", b.op("Mul", "scaled", s, x), (4, 8, 1, 1))
    return b.model()


def spatial_attention() -> ModelProto:
    """A map of one channel scales eight."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    a = b.op("Sigmoid", "gate", b.conv("map", x, (1, 8, 1, 1)))
    b.conv("y", b.op("Mul", "scaled", x, a), (4, 8, 1, 1))
    return b.model()


def concat() -> ModelProto:
    """Two branches and the first of them again; behind it a normalization whose parameters lie at offsets."""
    b = Net()
    left = b.op("Relu", "r", b.conv("left", "x", (6, 3, 3, 3)))
    right = b.op("Relu", "r2", b.conv("right", "x", (4, 3, 3, 3)))
    x = b.norm("n", b.op("Concat", "joined", left, right, left, axis=1), 16)
    b.conv("y", x, (4, 16, 1, 1))
    return b.model()


def concat_with_input() -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3), pads=[1, 1, 1, 1])
    x = b.norm("n", b.op("Concat", "joined", "x", x, axis=1), 11)
    b.conv("y", x, (4, 11, 1, 1))
    return b.model()


def concat_and_add() -> ModelProto:
    """A sum of a Concat and a layer: the layer's channels fall into two groups."""
    b = Net()
    left, right = b.conv("left", "x", (6, 3, 3, 3)), b.conv("right", "x", (4, 3, 3, 3))
    x = b.op("Add", "sum", b.op("Concat", "joined", left, right, axis=1), b.conv("whole", "x", (10, 3, 3, 3)))
    b.conv("y", b.op("Relu", "r", x), (4, 10, 1, 1))
    return b.model()


# name -> (model, layer -> channels left of one half, what the oracle may zero). Where zero does not stay zero (Sigmoid,
# padding by ones), only what reads the channels can be zeroed.
BOTH, READERS = ("makers", "readers"), ("readers",)
NETS: dict[str, tuple[ModelProto, dict[str, int], tuple[str, ...]]] = {
    "plain": (plain("Relu"), {"first": 4}, BOTH),
    "unary": (plain("HardSwish", "LeakyRelu", "Tanh", "Abs", "Identity", "Dropout", "Clip"), {"first": 4}, BOTH),
    "unary away from zero": (plain("Sigmoid", "Exp"), {"first": 4}, READERS),
    "norms": (norms(), {"first": 4, "second": 3}, BOTH),
    "depthwise": (depthwise(), {"first": 4, "deep": 4}, BOTH),
    "depth multiplier": (depthwise(2), {"first": 4, "deep": 8}, BOTH),
    "depthwise of the input": (depthwise_of_input(), {"point": 4}, BOTH),
    "grouped": (grouped(), {"first": 4, "pairs": 6}, BOTH),
    "one output each": (one_output_each(), {"first": 4, "pairs": 2}, BOTH),
    "residual Add": (residual("Add"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "residual Sub": (residual("Sub"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "residual Mul": (residual("Mul"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "residual Max": (residual("Max"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "squeeze": (squeeze_and_excite(), {"first": 4, "reduce": 2, "expand": 4}, BOTH),
    "squeeze by Gemm": (squeeze_by_gemm(), {"first": 4, "reduce": 2, "expand": 4}, BOTH),
    "spatial attention": (spatial_attention(), {"first": 4}, BOTH),
    "Concat": (concat(), {"left": 3, "right": 2}, BOTH),
    "Concat with the input": (concat_with_input(), {"first": 4}, BOTH),
    "Concat and Add": (concat_and_add(), {"left": 3, "right": 2, "whole": 5}, BOTH),
    "Split": (moved.split(), {"first": 5, "inner": 3}, BOTH),
    "Split evenly": (moved.split_evenly(), {"first": 4}, BOTH),
    "Split evenly, opset 13": (moved.split_evenly(13), {"first": 4}, BOTH),
    "shuffle": (moved.shuffle(), {"first": 4, "pairs": 6}, BOTH),
    "pads and pools": (moved.pads_and_pools(), {"first": 4}, BOTH),
    "padded channels": (moved.padded_channels(), {"first": 3}, BOTH),
    "Flatten, transB": (moved.flatten(), {"first": 4, "hidden": 5}, BOTH),
    "Flatten": (moved.flatten(False), {"first": 4, "hidden": 5}, BOTH),
    "Flatten, batch 2": (moved.flatten(batch=2), {"first": 4, "hidden": 5}, BOTH),
    "Flatten NHWC": (moved.flatten_nhwc(), {"first": 4, "hidden": 3}, BOTH),
    "Reshape of one sample": (moved.reshape_one_sample(), {"first": 4}, BOTH),
    "Reshape by the batch": (moved.reshape_by_batch(), {"first": 4}, BOTH),
    "constants": (moved.constants_per_channel(), {"first": 4}, READERS),
    "Resize by scales": (moved.resize(), {"first": 4}, BOTH),
    "Resize by sizes": (moved.resize("sizes"), {"first": 4}, BOTH),
    "one dimension": (moved.one_dimension(), {"first": 4, "deep": 4}, BOTH),
    "ConvTranspose": (moved.transposed_conv(), {"first": 4, "up": 3}, BOTH),
    "shared weights": (moved.shared_weights(), {"first": 4, "again": 4, "twice": 4}, BOTH),
    "Slice and Gather": (moved.sliced(), {"first": 4}, BOTH),
    "Slice of channels": (moved.sliced_channels(), {"first": 5}, BOTH),
    "Reshape by what is computed": (moved.computed_view(), {"first": 6}, BOTH),
    "Reshape by a shared shape": (moved.shared_shape(), {"first": 2}, BOTH),
    "several outputs": (moved.several_outputs(), {"second": 3}, BOTH),
    "sequence": (moved.sequence(), {"first": 4}, BOTH),
}
