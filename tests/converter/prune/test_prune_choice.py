"""Which channels go: criteria, ratios, scopes, multiples, excluded layers, and what is named as not prunable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxino_converter.prune import groups, prune
from tests.converter.prune import nets, nets_moved
from tests.converter.prune.builder import Net
from tests.converter.prune.oracle import constants, kept_indices, left, pruned


def kept(model: Any, weights: str, axis: int = 0, **options: Any) -> list[int]:
    """The channels of these weights that are left of one half."""
    result = pruned(model, what=("readers",), **options)
    return kept_indices(constants(model)[weights], constants(result.model)[weights])[axis]


def largest(values: Any, count: int) -> list[int]:
    return sorted(np.argsort(-np.asarray(values))[:count].tolist())


def two_convs(**changed: Any) -> Net:
    b = Net(3)
    x = b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8)
    b.conv("y", b.op("Relu", "r", x), (4, 8, 1, 1))
    b.constants.update(changed)
    return b


def test_l1_keeps_the_filters_of_largest_absolute_sum() -> None:
    b = two_convs()
    sums = [float(np.abs(filter_).sum()) for filter_ in b.constants["first.w"]]
    assert kept(b.model(), "first.w") == largest(sums, 4)


def test_l2_keeps_the_filters_of_largest_norm() -> None:
    """One large weight weighs more in L2 than in L1."""
    b = two_convs()
    weights = np.linspace(0.30, 0.31, 8 * 27).reshape(8, 3, 3, 3).astype(np.float32)
    weights[0] = np.linspace(0, 0.01, 27).reshape(3, 3, 3)
    weights[0, 0, 0, 0] = 5
    model = two_convs(**{"first.w": weights}).model()
    assert 0 in kept(model, "first.w", criterion="l2")
    assert 0 not in kept(model, "first.w", criterion="l1")
    norms = [float(np.sqrt((filter_**2).sum())) for filter_ in b.constants["first.w"]]
    assert kept(b.model(), "first.w", criterion="l2") == largest(norms, 4)


def test_bn_keeps_the_channels_of_largest_scale() -> None:
    gamma = np.array([0.1, -2, 0.3, 1, -0.2, 0.5, 3, 0.4], np.float32)
    assert kept(two_convs(**{"n.gamma": gamma}).model(), "first.w", criterion="bn") == [1, 3, 5, 6]


def test_bn_names_layers_without_normalization() -> None:
    result = prune(nets.plain("Relu"), granularity="channel", ratio=0.5, criterion="bn")
    assert result.changes == []
    assert [(s.node, s.reason) for s in result.skipped] == [
        ("y", "its channels are those of the graph output 'y'"),
        ("first", "no BatchNormalization scales its channels, and the criterion is 'bn'"),
    ]


def test_l1_next_keeps_the_channels_that_the_next_layer_reads_most() -> None:
    b = two_convs()
    sums = np.abs(b.constants["y.w"]).sum(axis=(0, 2, 3))
    assert kept(b.model(), "first.w", criterion="l1-next") == largest(sums, 4)
    result = prune(nets.concat(), granularity="channel", ratio=0.5, criterion="l1-next")
    assert left(result) == {"left": 3, "right": 2}


def test_l1_next_names_channels_that_no_weights_read() -> None:
    b = Net()
    b.conv("y", "x", (4, 3, 1, 1))
    b.conv("unread", "x", (6, 3, 1, 1))
    result = prune(b.model(), granularity="channel", ratio=0.5, criterion="l1-next")
    assert {s.node: s.reason for s in result.skipped}["unread"] == (
        "no weights read its channels, and the criterion is 'l1-next'"
    )


def test_scores_are_summed_over_all_that_makes_a_channel() -> None:
    b = two_convs()
    scores: dict[str, Any] = {name: np.zeros_like(array) for name, array in b.constants.items()}
    scores["first.w"][[0, 1], 0, 0, 0] = 1.0
    scores["first.b"][5] = 3.0
    scores["n.gamma"][2] = 2.0
    scores["y.w"][0, 7] = 100.0  # reads the channel; does not make it
    assert kept(b.model(), "first.w", criterion="taylor", scores=scores) == [0, 1, 2, 5]


def test_coupled_layers_are_judged_together_each_by_its_own_scale() -> None:
    """The first layer's weights are a thousand times smaller, and count as much as the other's."""
    b = Net()
    a, c = b.conv("a", "x", (4, 3, 1, 1)), b.conv("c", "x", (4, 3, 1, 1))
    b.conv("y", b.op("Add", "sum", a, c), (4, 4, 1, 1))
    tiny = np.linspace(1, 1.01, 12).reshape(4, 3, 1, 1) * np.array([1, 8, 2, 3]).reshape(4, 1, 1, 1) / 1000
    large = np.linspace(1, 1.01, 12).reshape(4, 3, 1, 1) * np.array([6, 1, 2, 3]).reshape(4, 1, 1, 1)
    b.constants["a.w"], b.constants["c.w"] = tiny.astype(np.float32), large.astype(np.float32)
    assert kept(b.model(), "a.w") == kept(b.model(), "c.w") == [0, 1]


@pytest.mark.parametrize(
    ("ratio", "multiple", "expected"),
    [
        (0.0, 1, 12),
        (0.04, 1, 12),  # less than half a channel
        (0.05, 1, 11),
        (0.5, 1, 6),
        (0.5, 4, 8),  # rounded up
        (0.5, 8, 8),
        (0.5, 6, 6),
        (0.5, 16, 12),  # fewer than that: it keeps them
        (0.2, 8, 12),  # ten, rounded up to more than there are
        (0.99, 1, 1),
        (0.99, 4, 4),
    ],
)
def test_how_many_stay(ratio: float, multiple: int, expected: int) -> None:
    b = Net()
    b.conv("y", b.conv("first", "x", (12, 3, 3, 3)), (4, 12, 1, 1))
    assert left(pruned(b.model(), ratio=ratio, multiple=multiple)) == {"first": expected}


def test_multiple_counts_the_layer_not_the_group() -> None:
    """Two groups of six outputs: three of each are a multiple of 6, and of 2."""
    assert left(pruned(nets.grouped(), multiple=6))["pairs"] == 6
    assert left(pruned(nets.grouped(), multiple=4))["pairs"] == 8
    assert left(pruned(nets.depthwise(2), multiple=4)) == {"first": 4, "deep": 8}


def two_layers() -> Net:
    """The second layer's filters differ more: relative to their mean, its small ones are smaller."""
    b = Net()
    x = b.conv("a", "x", (4, 3, 1, 1))
    b.conv("y", b.conv("b", x, (4, 4, 1, 1)), (2, 4, 1, 1))
    for name, factors in {"a.w": [1.0, 1.1, 1.2, 1.3], "b.w": [0.1, 0.2, 1.0, 5.0]}.items():
        shape = b.constants[name].shape
        values = np.linspace(1, 1.001, int(np.prod(shape))).reshape(shape)
        b.constants[name] = (values * np.array(factors).reshape(4, 1, 1, 1)).astype(np.float32)
    return b


def test_global_scope_takes_from_the_layers_that_matter_least() -> None:
    b = two_layers()
    assert left(pruned(b.model(), ratio=0.25, scope="global")) == {"a": 4, "b": 2}
    assert left(pruned(b.model(), ratio=0.375, scope="global")) == {"a": 4, "b": 1}
    assert left(pruned(b.model(), ratio=0.5, scope="global")) == {"a": 3, "b": 1}  # one stays
    assert left(pruned(b.model(), ratio=0.25, scope="layer")) == {"a": 3, "b": 3}


def test_global_scope_compares_layers_whatever_their_scale() -> None:
    b = two_layers()
    b.constants["b.w"] = b.constants["b.w"] * np.float32(1000)
    assert left(pruned(b.model(), ratio=0.25, scope="global")) == {"a": 4, "b": 2}


def test_global_scope_compares_scales_as_they_are() -> None:
    b = Net()
    x = b.norm("n", b.conv("a", "x", (4, 3, 1, 1)), 4)
    x = b.norm("m", b.conv("b", x, (4, 4, 1, 1)), 4)
    b.conv("y", x, (2, 4, 1, 1))
    b.constants["n.gamma"] = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    b.constants["m.gamma"] = np.array([1, 2, 3, 4], np.float32)
    result = pruned(b.model(), ratio=0.375, scope="global", criterion="bn")
    assert left(result) == {"a": 1, "b": 4}


def test_ratios_of_single_layers() -> None:
    model = nets.residual()
    assert left(pruned(model, ratio={"inner": 0.5})) == {"first": 8, "inner": 3, "outer": 8}
    assert left(pruned(model, ratio={"outer": 0.25})) == {"first": 6, "inner": 6, "outer": 6}
    assert left(pruned(model, ratio={"outer.w": 0.25, "first": 0.25})) == {"first": 6, "inner": 6, "outer": 6}
    assert left(pruned(model, ratio={})) == {"first": 8, "inner": 6, "outer": 8}


def test_ratios_of_groups_of_one_layer() -> None:
    model = nets_moved.split()
    assert left(pruned(model, ratio={"first/1": 0.5})) == {"first": 8, "inner": 6}
    assert left(pruned(model, ratio={"first/2": 0.5})) == {"first": 7, "inner": 6}
    assert left(pruned(model, ratio={"first": 0.5})) == {"first": 5, "inner": 6}


def test_excluded_layers_keep_their_channels_and_those_that_are_coupled() -> None:
    result = pruned(nets.residual(), exclude=["outer"])
    assert left(result) == {"inner": 3}
    assert {s.node: s.reason for s in result.skipped} == {
        "first": "the layer 'outer' is excluded",
        "outer": "the layer 'outer' is excluded",
        "y": "its channels are those of the graph output 'y'",
    }
    assert left(pruned(nets.residual(), exclude=["inner.w"])) == {"first": 4, "outer": 4}


def after(b: Net, *ops: tuple[str, dict[str, Any]], **options: Any) -> Any:
    """Conv, these operators, Conv; and the reason for which the first keeps its channels."""
    x = b.conv("first", "x", (8, 3, 3, 3), pads=[1, 1, 1, 1])
    for k, (kind, attributes) in enumerate(ops):
        x = b.op(kind, f"op{k}", x, **attributes)
    b.conv("y", x, (4, 8, 1, 1))
    return b.model(**options)


def weights_on_the_left() -> Any:
    b = Net()
    b.op("MatMul", "y", b.const("w", 4, 6), b.op("MatMul", "first", "x", b.const("v", 5, 8)))
    return b.model((6, 5))


def dynamic_weights() -> Any:
    b = Net()
    w = b.op("Reshape", "w", b.op("GlobalAveragePool", "g", "x"), b.ints("s", 3, 1, 1, 1))
    b.conv("y", b.op("Conv", "first", "x", w, group=3), (4, 3, 1, 1))
    return b.model(batch=1)


def added_to_input() -> Any:
    b = Net()
    x = b.op("Add", "sum", "x", b.conv("first", "x", (3, 3, 1, 1)))
    b.conv("y", x, (4, 3, 1, 1))
    return b.model()


def read_by_a_stranger() -> Any:
    """The weights are used as a tensor, too."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 1, 1))
    b.op("Mul", "product", "first.w", b.op("ReduceMean", "all", "x", keepdims=0))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model(outputs=("y", "product"))


def recurrent() -> Any:
    b = Net()
    x = b.op("MatMul", "first", "x", b.const("v", 5, 8))
    b.op("LSTM", "lstm", x, b.const("w", 1, 16, 8), b.const("r", 1, 16, 4), outputs=["y"], hidden_size=4)
    return b.model((1, 5))


REASONS = {
    "Softmax": (after(Net(), ("Softmax", {"axis": 1})), "node 'op0' (Softmax) computes across channels"),
    "Softmax before opset 13": (
        after(Net(), ("Softmax", {}), opset=11),
        "node 'op0' (Softmax) computes across channels",
    ),
    "LRN": (after(Net(), ("LRN", {"size": 3})), "node 'op0' (LRN) computes across channels"),
    "unknown": (
        after(Net(), ("DepthToSpace", {"blocksize": 2}), ("SpaceToDepth", {"blocksize": 2})),
        "node 'op0' (DepthToSpace) is an operator that pruning does not know",
    ),
    "weights on the left": (
        weights_on_the_left(),
        "node 'y' (MatMul) cannot be pruned: it does not multiply by one constant matrix on its right",
    ),
    "computed weights": (dynamic_weights(), "its weights are computed while it runs"),
    "sum with the input": (
        added_to_input(),
        "node 'sum' (Add) joins it with 'x', whose channels must stay",
    ),
    "weights of a stranger": (
        read_by_a_stranger(),
        "node 'product' (Mul) reads the initializer 'first.w' as well",
    ),
    "LSTM": (recurrent(), "node 'lstm' (LSTM) is an operator that pruning does not know"),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_pruned_is_named_with_the_reason(name: str) -> None:
    model, reason = REASONS[name]
    result = prune(model, granularity="channel", ratio=0.5)
    assert {s.node: s.reason for s in result.skipped}["first"] == reason
    assert "first" not in left(result)
    assert all("first" not in group.layers for group in groups(model))


def test_recurrent_layers_are_named() -> None:
    result = prune(recurrent(), granularity="channel", ratio=0.5)
    assert {s.node: s.reason for s in result.skipped}["lstm"] == "pruning does not know the operator LSTM"


def test_a_layer_that_only_passes_on_the_input() -> None:
    result = prune(nets.depthwise_of_input(), granularity="channel", ratio=0.5)
    assert {s.node: s.reason for s in result.skipped}["deep"] == "it passes on channels that must stay"
