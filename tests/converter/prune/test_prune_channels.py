"""Channels are taken out of the graph, and what is left computes what the original does without them."""

from __future__ import annotations

import pytest

from onnxino_converter.prune import effect, groups, prune
from tests.converter.prune import nets, nets_moved
from tests.converter.prune.oracle import check, left, pruned


@pytest.mark.parametrize("name", nets.NETS)
def test_half_of_the_channels(name: str) -> None:
    model, expected, what = nets.NETS[name]
    result = pruned(model, what=what)
    assert left(result) == expected
    before, after = effect(model), effect(result.model)
    assert after["parameters"] < before["parameters"]
    assert after["macs"] < before["macs"]


@pytest.mark.parametrize("ratio", [0.999])
@pytest.mark.parametrize("name", nets.NETS)
def test_other_ratios(name: str, ratio: float) -> None:
    """At least one channel of each layer stays, however much is to go."""
    model, _, what = nets.NETS[name]
    result = pruned(model, ratio=ratio, what=what)
    assert min(left(result).values()) >= 1


@pytest.mark.parametrize("name", nets.NETS)
def test_twice_in_a_row(name: str) -> None:
    """What is pruned can be pruned again."""
    model, _, what = nets.NETS[name]
    first = prune(model, granularity="channel", ratio=0.25).model
    check(first, prune(first, granularity="channel", ratio=0.4), what)


def test_nothing_to_remove_changes_nothing() -> None:
    model = nets.residual()
    result = pruned(model, ratio=0.0)
    assert [(c.before, c.after) for c in result.changes] == [(8, 8), (6, 6), (8, 8)]
    assert effect(result.model) == effect(model)


def test_the_given_model_is_not_changed() -> None:
    model = nets_moved.shuffle()
    before = model.SerializeToString()
    prune(model, granularity="channel", ratio=0.5)
    assert model.SerializeToString() == before


def test_groups_name_what_goes_together() -> None:
    found = {group.name: group for group in groups(nets.residual())}
    assert {name: (group.channels, group.layers) for name, group in found.items()} == {
        "first": (8, ("first", "outer")),
        "inner": (6, ("inner",)),
    }
    members = {(m.initializer, m.axis): m for m in found["first"].members}
    assert {key: m.kind for key, m in members.items() if key[0].startswith(("first", "inner", "y"))} == {
        ("first.w", 0): "weights",
        ("first.b", 0): "bias",
        ("inner.w", 1): "input",
        ("y.w", 1): "input",
    }
    parts = ["gamma", "beta", "mean", "variance"]
    assert [members[f"n3.{part}", 0].kind for part in parts] == ["scale", "shift", "statistic", "statistic"]
    assert members["first.w", 0].channels.tolist() == list(range(8))


def test_groups_of_a_layer_that_falls_apart() -> None:
    found = [(group.name, group.channels, group.layers) for group in groups(nets.concat_and_add())]
    assert found == [("left", 6, ("left", "whole")), ("right", 4, ("right", "whole"))]


def test_groups_of_split_parts() -> None:
    found = [(group.name, group.channels) for group in groups(nets_moved.split())]
    assert found == [("first/1", 4), ("first/2", 6), ("inner", 6)]
