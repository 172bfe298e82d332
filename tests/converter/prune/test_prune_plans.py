"""Schedules, sensitivity and counts: how far, how fast, and what it saves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxino_converter.prune import Row, Sensitivity, effect, groups, prune, schedule, sensitivity
from tests.converter.prune import nets, nets_moved


def test_one_shot() -> None:
    assert schedule("one-shot", 0.7) == [0.7]


def test_iterative_removes_the_same_share_of_what_is_left() -> None:
    ratios = schedule("iterative", 0.784, 3)
    assert ratios == pytest.approx([0.4, 0.64, 0.784])
    assert ratios[-1] == 0.784


def test_polynomial_is_cubic() -> None:
    """Zhu and Gupta 2017, equation 1: s_t = s_f + (s_i - s_f) (1 - t / n)^3, s_i = 0."""
    ratios = schedule("polynomial", 0.8, 4)
    assert ratios == pytest.approx([0.8 * (1 - 27 / 64), 0.8 * (1 - 8 / 64), 0.8 * (1 - 1 / 64), 0.8])
    assert ratios[-1] == 0.8


@pytest.mark.parametrize("kind", ["iterative", "polynomial"])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_schedules_grow_to_the_goal(kind: Any, steps: int) -> None:
    ratios = schedule(kind, 0.9, steps)
    assert len(ratios) == steps
    assert ratios == sorted(ratios)
    assert ratios[-1] == 0.9
    assert schedule(kind, 0.0, steps) == [0.0] * steps


def weights_of(model: ModelProto) -> dict[str, int]:
    return {t.name: t.dims[0] for t in model.graph.initializer}


def test_sensitivity_prunes_each_group_alone() -> None:
    """The value falls by a tenth for each channel that the inner layer loses, and not for others."""
    seen: list[tuple[int, int]] = []

    def evaluate(model: ModelProto) -> float:
        sizes = weights_of(model)
        seen.append((sizes["first.w"], sizes["inner.w"]))
        return sizes["inner.w"] / 10

    rows: list[Row] = []
    totals: list[int] = []

    def progress(row: Row, total: int) -> None:
        rows.append(row)
        totals.append(total)

    found = sensitivity(nets.residual(), evaluate, ratios=(0.5, 0.25), progress=progress)
    assert seen == [(8, 6), (6, 6), (4, 6), (8, 4), (8, 3)]
    assert found.baseline == 0.6
    assert found.table == rows
    assert totals == [4, 4, 4, 4]
    assert [(row.name, row.ratio) for row in rows] == [("first", 0.25), ("first", 0.5), ("inner", 0.25), ("inner", 0.5)]
    assert [row.drop for row in rows] == pytest.approx([0, 0, 0.2, 0.3])
    proposed = found.propose(0.1)
    assert proposed["first"] == 0.5
    assert proposed["inner"] == pytest.approx(0.125)
    assert prune(nets.residual(), granularity="channel", ratio=proposed).changes


def test_sensitivity_of_weights_and_excluded_layers() -> None:
    found = sensitivity(
        nets.residual(), lambda model: effect(model)["nonzero"] / 1e3, granularity="weight", ratios=(0.5,)
    )
    assert [row.name for row in found.table] == ["first", "inner", "outer", "y"]
    assert [round(row.drop * 1e3) for row in found.table] == [108, 216, 216, 16]
    found = sensitivity(nets.residual(), lambda model: 1.0, exclude=["outer"], ratios=(0.5,))
    assert [row.name for row in found.table] == ["inner"]


def test_sensitivity_of_groups_of_one_layer() -> None:
    """Two groups have the same first layer: each is pruned alone."""
    sizes: list[int] = []

    def evaluate(model: ModelProto) -> float:
        sizes.append(weights_of(model)["first.w"])
        return 1.0

    found = sensitivity(nets_moved.split(), evaluate, ratios=(0.5,))
    assert [row.name for row in found.table] == ["first/1", "first/2", "inner"]
    assert sizes == [10, 8, 7, 10]


def table(**drops: list[float]) -> Sensitivity:
    ratios = (0.25, 0.5, 0.75)
    return Sensitivity(
        1.0, [Row(name, r, 1 - d, d) for name, found in drops.items() for r, d in zip(ratios, found, strict=True)]
    )


def test_propose_keeps_the_sum_of_drops_within_what_is_allowed() -> None:
    found = table(a=[0.01, 0.02, 0.06], b=[0.0, 0.0, 0.01], c=[0.1, 0.2, 0.4])
    assert found.propose(0.0) == {"a": 0.0, "b": 0.5, "c": 0.0}
    assert found.propose(1.0) == {"a": 0.75, "b": 0.75, "c": 0.75}
    ratios = found.propose(0.05)  # b may cost 0.01, a and c 0.02 each
    assert ratios == pytest.approx({"a": 0.5, "b": 0.75, "c": 0.05})


def test_propose_never_trusts_a_drop_that_gets_smaller_again() -> None:
    """Accuracies are noisy: a greater ratio is not taken for cheaper than a smaller one, nor a gain for a budget."""
    found = table(a=[0.05, 0.0, 0.05], b=[-0.5, -0.5, 0.2])
    assert found.propose(0.0) == {"a": 0.0, "b": 0.5}


def test_counts() -> None:
    """Conv 3x3 of 3 to 8 channels on 6x6 outputs, depthwise 3x3 on 4x4, 1x1 of 8 to 4."""
    model = nets.depthwise()
    found = effect(model)
    assert found["macs"] == 36 * 8 * 27 + 16 * 8 * 9 + 16 * 4 * 8
    assert found["parameters"] == (8 * 27 + 8) + 16 + (8 * 9 + 8) + 16 + (4 * 8 + 4)  # without means and variances
    assert found["nonzero"] == found["parameters"]
    assert found["weight_bytes"] == 4 * found["parameters"]
    assert found["weight_bytes_int8"] == found["parameters"]


def test_counts_of_products_and_shared_weights() -> None:
    assert effect(nets_moved.flatten())["macs"] == 30 * 8 * 27 + 240 * 10 + 10 * 4
    assert effect(nets_moved.sequence())["macs"] == 5 * 6 * 8 + 5 * 8 * 4
    assert effect(nets_moved.transposed_conv())["macs"] == 36 * 8 * 27 + 36 * 8 * 6 * 4 + 144 * 6 * 4
    shared = effect(nets_moved.shared_weights())
    assert shared["parameters"] == (8 * 27 + 8) + (64 + 8) + (32 + 4)
    assert shared["macs"] == 36 * (8 * 27 + 64 + 64 + 32)


def test_counts_of_a_grouped_convolution() -> None:
    assert effect(nets.grouped())["macs"] == 36 * 8 * 27 + 16 * 12 * 4 * 9 + 16 * 4 * 12


def test_counts_agree_with_the_groups() -> None:
    """Removing one channel removes what its members say."""
    model = nets.concat()
    for group in groups(model):
        result = prune(model, granularity="channel", ratio={group.name: 1 / group.channels})
        gone = sum(int(np.count_nonzero(m.channels == 0)) for m in group.members if m.kind == "input")
        assert gone >= 1
        assert effect(result.model)["parameters"] < effect(model)["parameters"]
