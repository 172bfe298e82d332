"""Rarer forms of operators: those that let channels pass, and those that stand in their way, with what is said then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnxino_converter.prune import groups, prune
from tests.converter.prune.builder import Net
from tests.converter.prune.oracle import check, left, pruned

Part = Callable[[Net, str], str]


def around(part: Part, outputs: int = 8, **options: Any) -> Any:
    """Conv of 8 channels on 6 x 6, the part, and a Conv of its `outputs` channels, or none."""
    b = Net()
    x = part(b, b.conv("first", "x", (8, 3, 3, 3)))
    if outputs:
        b.conv("last", x, (4, outputs, 1, 1))
        x = "last"
    b.op("Identity", "y", x)
    return b.model(**options)


def stacked(b: Net, x: str) -> str:
    """Two branches on top of each other."""
    return b.op("Concat", "part", x, b.conv("second", "x", (8, 3, 3, 3)), axis=2)


def cut_in_rows(b: Net, x: str) -> str:
    b.op("Split", "rows", x, b.ints("sizes", 2, 4), outputs=["top", "bottom"], axis=2)
    return b.op("Concat", "part", "bottom", "top", axis=-2)


def cut_by_attribute(b: Net, x: str) -> str:
    b.op("Split", "parts", x, outputs=["p", "q"], axis=1, split=[2, 6])
    return b.op("Concat", "part", "q", "p", axis=1)


def padded_by_attribute(b: Net, x: str) -> str:
    return b.op("Pad", "part", x, pads=[0, 0, 1, 1, 0, 0, 1, 1])


def padded_by_axes(b: Net, x: str) -> str:
    x = b.op("Pad", "rows", x, b.ints("p", 1, 1), "", b.ints("a", -2))
    return b.op("Pad", "part", x, b.ints("p2", 2, 0), "", b.ints("a2", 1))


def padded_by_mirror(b: Net, x: str) -> str:
    return b.op("Pad", "part", x, b.ints("p", 0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")


def enlarged(b: Net, x: str) -> str:
    b.constants["s"] = np.array([1, 1, 2, 2], np.float32)
    return b.op("Upsample", "part", x, "s", mode="nearest")


def enlarged_by_axes(b: Net, x: str) -> str:
    b.constants["s"] = np.array([2, 2], np.float32)
    return b.op("Resize", "part", x, "", "s", axes=[2, 3], mode="nearest")


def along_the_width(b: Net, x: str) -> str:
    return b.op("Softmax", "part", x, axis=3)


def by_instance(b: Net, x: str) -> str:
    return b.op("InstanceNormalization", "part", x, b.const("gamma", 8), b.const("beta", 8))


def chosen(b: Net, x: str) -> str:
    b.constants["mask"] = np.arange(36).reshape(6, 6) % 2 == 0
    return b.op("Where", "part", "mask", x, b.conv("second", "x", (8, 3, 3, 3)))


def by_start(b: Net, x: str) -> str:
    """Slice of opset 9: attributes."""
    return b.op("Slice", "part", x, starts=[1], ends=[5], axes=[2])


def reduced(b: Net, x: str) -> str:
    return b.op("ReduceMax", "part", x, b.ints("axes", 2, 3), keepdims=1)


def gathered_in_front(b: Net, x: str) -> str:
    """Two samples are taken as one axis more."""
    b.constants["at"] = np.array([[0, 0]], np.int64)
    x = b.op("Gather", "taken", x, "at", axis=0)
    return b.op("Squeeze", "part", x, b.ints("zero", 0))


PASSES: dict[str, tuple[Any, dict[str, int]]] = {
    "Concat of rows": (around(stacked), {"first": 4, "second": 4}),
    "Split of rows": (around(cut_in_rows), {"first": 4}),
    "Split by attribute": (around(cut_by_attribute, opset=11), {"first": 4}),
    "Pad by attribute": (around(padded_by_attribute, opset=10), {"first": 4}),
    "Pad by axes": (around(padded_by_axes, 10, opset=18), {"first": 4}),
    "Pad by mirror": (around(padded_by_mirror), {"first": 4}),
    "Upsample": (around(enlarged, opset=9), {"first": 4}),
    "Resize by axes": (around(enlarged_by_axes, opset=18), {"first": 4}),
    "Softmax of rows": (around(along_the_width), {"first": 4}),
    "InstanceNormalization": (around(by_instance), {"first": 4}),
    "Where": (around(chosen), {"first": 4, "second": 4}),
    "Slice by attributes": (around(by_start, opset=9), {"first": 4}),
    "ReduceMax": (around(reduced, opset=18), {"first": 4}),
    "Gather of samples": (around(gathered_in_front), {"first": 4}),
}


@pytest.mark.parametrize("name", PASSES)
def test_channels_pass(name: str) -> None:
    model, expected = PASSES[name]
    what = ("readers",) if name in ("Softmax of rows", "InstanceNormalization") else ("makers", "readers")
    assert left(pruned(model, what=what)) == expected


def concat_axes(b: Net, x: str) -> str:
    turned = b.op("Transpose", "turned", b.conv("second", "x", (6, 3, 3, 3)), perm=[0, 2, 1, 3])
    return b.op("Concat", "part", x, b.op("Slice", "s", turned, *bounds(b)), axis=1)


def bounds(b: Net) -> list[str]:
    return [b.ints("from", 0), b.ints("to", 6), b.ints("on", 1)]


def places(b: Net, x: str) -> str:
    """Where the greatest values were found."""
    b.op("MaxPool", "pool", x, outputs=["pooled", "where"], kernel_shape=[2, 2])
    return b.op("Cast", "part", "where", to=1)


def weighted_by_a_vector(b: Net, x: str) -> str:
    """One channel for each of eight."""
    one = b.conv("one", "x", (1, 3, 3, 3))
    return b.op("Add", "part", one, b.const("k", 8, 1, 1))


REFUSED: dict[str, tuple[Any, str, str]] = {
    "Concat across": (
        around(concat_axes, 0),
        "first",
        "node 'part' (Concat) joins channels along different axes",
    ),
    "Add across": (
        around(
            lambda b, x: b.op(
                "Add", "part", x, b.op("Transpose", "t", b.conv("second", "x", (6, 3, 1, 3)), perm=[0, 2, 1, 3])
            ),
            0,
        ),
        "first",
        "node 'part' (Add) joins channels along different axes",
    ),
    "one spread over several": (
        around(weighted_by_a_vector, 0),
        "one",
        "node 'part' (Add) spreads a single channel over several",
    ),
    "cut off": (
        around(lambda b, x: b.op("Pad", "part", x, b.ints("p", 0, -1, 0, 0, 0, 0, 0, 0)), 7),
        "first",
        "node 'part' (Pad) cuts channels off, or repeats them",
    ),
    "mirrored": (
        around(lambda b, x: b.op("Pad", "part", x, b.ints("p", 0, 1, 0, 0, 0, 1, 0, 0), mode="reflect"), 10),
        "first",
        "node 'part' (Pad) cuts channels off, or repeats them",
    ),
    "resized channels": (
        around(lambda b, x: b.op("Resize", "part", x, "", "", b.ints("s", 1, 4, 6, 6)), 4, batch=1),
        "first",
        "node 'part' (Resize) resizes along the channels",
    ),
    "every second": (
        around(
            lambda b, x: b.op("Slice", "part", x, b.ints("s", 0), b.ints("e", 8), b.ints("a", 1), b.ints("t", 2)), 4
        ),
        "first",
        "node 'part' (Slice) takes single channels out",
    ),
    "one by one": (
        around(lambda b, x: b.op("Gather", "part", x, b.ints("i", 1, 3), axis=1), 2),
        "first",
        "node 'part' (Gather) takes single channels out",
    ),
    "mean of channels": (
        around(lambda b, x: b.op("ReduceMean", "part", x, axes=[1]), 1),
        "first",
        "node 'part' (ReduceMean) computes across channels",
    ),
    "mean of all": (
        around(lambda b, x: b.op("ReduceMean", "part", x), 1),
        "first",
        "node 'part' (ReduceMean) computes across channels",
    ),
    "convolved over": (
        around(lambda b, x: b.conv("part", b.op("Transpose", "t", x, perm=[0, 2, 1, 3]), (4, 6, 3, 1)), 4),
        "first",
        "node 'part' (Conv) convolves over that axis",
    ),
    "pooled over": (
        around(
            lambda b, x: b.op("MaxPool", "part", b.op("Transpose", "t", x, perm=[0, 2, 1, 3]), kernel_shape=[2, 1]), 6
        ),
        "first",
        "node 'part' (MaxPool) pools over that axis",
    ),
    "normalized beside": (
        around(lambda b, x: b.norm("part", b.op("Transpose", "t", x, perm=[0, 2, 1, 3]), 6), 6),
        "first",
        "node 'part' (BatchNormalization) normalizes along another axis",
    ),
    "grouped ConvTranspose": (
        around(lambda b, x: b.op("ConvTranspose", "part", x, b.const("w", 8, 2, 1, 1), group=2), 4),
        "first",
        "node 'part' (ConvTranspose) cannot be pruned: transposed convolutions of 2 groups are not pruned",
    ),
    "product beside": (
        around(lambda b, x: b.op("MatMul", "part", x, b.const("w", 6, 5)), 8),
        "first",
        "node 'part' (MatMul) cannot be pruned: it multiplies over another axis than that of the channels",
    ),
    "second output": (
        around(places, 0),
        "first",
        "node 'pool' (MaxPool) has a second output that depends on the channels",
    ),
    "counted": (
        around(lambda b, x: b.op("Cast", "float", b.op("Size", "part", x), to=1), 0),
        "first",
        "node 'part' (Size) is an operator that pruning does not know",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_channels_stay(name: str) -> None:
    model, layer, reason = REFUSED[name]
    result = prune(model, granularity="channel", ratio=0.5)
    assert {s.node: s.reason for s in result.skipped}[layer] == reason
    assert all(layer not in group.layers for group in groups(model))
    if name != "counted":
        check(model, result, ("readers",))


def test_rows_beside_the_input_keep_channels() -> None:
    b = Net()
    x = b.conv("first", "x", (3, 3, 1, 1))
    b.conv("y", b.op("Concat", "part", x, "x", axis=2), (4, 3, 1, 1))
    result = pruned(b.model())
    assert {s.node: s.reason for s in result.skipped}["first"] == (
        "node 'part' (Concat) joins them with a tensor whose channels must stay"
    )


def test_a_normalization_with_computed_parameters() -> None:
    b = Net()
    x = b.conv("first", "x", (3, 3, 1, 1))
    scale = b.op("ReduceMean", "mean", "x", axes=[0, 2, 3], keepdims=0)
    b.conv("y", b.op("InstanceNormalization", "n", x, scale, b.const("beta", 3)), (4, 3, 1, 1))
    result = pruned(b.model(), what=("readers",))
    assert {s.node: s.reason for s in result.skipped}["first"] == (
        "node 'n' (InstanceNormalization) has parameters that are computed while it runs"
    )


def test_shapes_that_are_not_known() -> None:
    """Free height and width: what only passes channels is pruned, what moves their values is not."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    b.conv("second", b.op("Relu", "r", x), (6, 8, 3, 3))
    b.op("Flatten", "flat", "second")
    b.op("ReduceMean", "y", "flat", axes=[1])
    model = b.model()
    for k in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[k].dim_param = f"size{k}"
    result = prune(model, granularity="channel", ratio=0.5)
    assert left(result) == {"first": 4}
    assert {s.node: s.reason for s in result.skipped}["second"] == (
        "node 'flat' (Flatten) moves values of a tensor whose shape is not known"
    )
