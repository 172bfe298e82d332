"""The search for the smallest ratio that keeps to all targets."""

from __future__ import annotations

import pytest

from onnxino_tools.compress.options import Targets
from onnxino_tools.compress.targets import TargetMissedError, missed, search


def sizes(ratio: float) -> dict[str, float]:
    return {"macs": round(1000 * (1 - ratio) ** 2), "weight_bytes": round(400 * (1 - ratio)), "ms": 20 * (1 - ratio)}


@pytest.mark.parametrize(
    ("targets", "ratio"),
    [
        (Targets(macs=1000), 0.0),
        (Targets(macs=999), 0.01),
        (Targets(macs=250), 0.5),
        (Targets(weight_bytes=100), 0.75),
        (Targets(macs=250, weight_bytes=100), 0.75),
        (Targets(macs=250, ms=4.0), 0.8),
        (Targets(weight_bytes=20), 0.95),
    ],
)
def test_the_smallest_ratio_is_found_in_few_steps(targets: Targets, ratio: float) -> None:
    found = search(targets, sizes)
    assert found.ratio == ratio
    assert len(found.tried) <= 9
    assert set(found.sizes) == set(targets.given())
    for name, most in targets.given().items():
        assert found.sizes[name] <= most
    if ratio:
        just_less = sizes(round(ratio - 0.01, 2))
        assert any(just_less[name] > most for name, most in targets.given().items())


def test_a_target_that_cannot_be_met_tells_the_best_and_by_how_much_it_misses() -> None:
    with pytest.raises(TargetMissedError) as caught:
        search(Targets(macs=3, weight_bytes=30, ms=0.5), sizes)
    assert caught.value.best == {"macs": 3, "weight_bytes": 20, "ms": pytest.approx(1)}
    assert caught.value.ratio == 0.95
    text = caught.value.message
    assert "the most that pruning takes (ratio 0.95) leaves" in text
    assert "0.50 ms (100.0 %) more than 0.50" in text
    assert "kept: 3 multiply-adds, 20 bytes of weights" in text
    assert "smaller network" in str(caught.value.hint)


def test_what_does_not_fit_the_board_has_no_time() -> None:
    error = missed(Targets(ms=100), {"ms": float("inf")})
    assert "no time at all: it does not fit the board" in error.message
