"""Constants with two roles, and channels where an operator expects a parameter."""

from __future__ import annotations

import numpy as np

from onnxino_converter.prune import prune
from tests.converter.prune.nets import Net
from tests.converter.prune.oracle import left, pruned


def pooled(b: Net, channels: int = 8) -> str:
    x = b.op("GlobalAveragePool", "g", b.conv("first", "x", (channels, 3, 3, 3)))
    return b.op("Flatten", "f", x)


def test_weights_that_are_added_elsewhere_keep_the_axis_that_is_averaged() -> None:
    """The rows of w are what the product reads, and what a mean is taken of: fewer rows would be another mean."""
    b = Net()
    b.const("w", 8, 8)
    x = b.op("MatMul", "m", pooled(b), "w")
    x = b.op("Add", "s", b.op("Unsqueeze", "u", x, b.ints("axis", 1)), "w")
    b.gemm("y", b.op("ReduceMean", "r", x, axes=[1], keepdims=0), 8, 3)
    result = pruned(b.model(), what=("readers",))
    assert left(result) == {"m": 4}
    reasons = {skipped.node: skipped.reason for skipped in result.skipped}
    assert reasons["first"] == "node 's' (Add) reads the initializer 'w' as well"


def test_channels_as_a_parameter_stay() -> None:
    """A normalization of the input whose scales a layer computes."""
    b = Net()
    x = b.op("ReduceMean", "mean", b.conv("first", "x", (3, 3, 3, 3)), axes=[0, 2, 3], keepdims=0)
    for name in ("beta", "average", "variance"):
        b.const(name, 3)
    b.constants["variance"] = np.abs(b.constants["variance"]) + np.float32(0.1)
    b.conv("y", b.op("BatchNormalization", "n", "x", x, "beta", "average", "variance"), (4, 3, 1, 1))
    result = pruned(b.model())
    assert left(result) == {}
    assert result.skipped[0].reason == "node 'n' (BatchNormalization) takes it as a parameter"


def test_channels_as_indices_stay() -> None:
    b = Net()
    index = b.op("Cast", "c", b.op("Abs", "a", pooled(b)), to=7)
    x = b.op("Gather", "t", b.const("table", 64, 4), index)
    b.gemm("y", b.op("ReduceMean", "r", x, axes=[1], keepdims=0), 4, 3)
    result = prune(b.model(), granularity="channel", ratio=0.5)
    assert left(result) == {}
