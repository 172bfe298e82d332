"""Targets: the search for the smallest ratio that keeps to all of them, and results that do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxino.errors import InputError
from onnxino_tools.compress import Event, PruneOptions, Recipe, Targets, compress, ratios
from onnxino_tools.compress.job import make_job
from onnxino_tools.compress.targets import TargetMissedError, missed, search
from tests.tools.compress import nets


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


def run(model: Any, data: Any, recipe: Any, **kwargs: Any) -> Any:
    return compress(model, data, recipe, latency=False, **kwargs)


def test_targets_hold_and_the_ratio_is_the_smallest(network: onnx.ModelProto, data: Path) -> None:
    targets = {"macs": 9000, "weight_bytes": 400, "arena_bytes": 512}
    result = run(network, data, {"targets": targets})
    facts = result.converted.report
    assert all(facts[name] <= most for name, most in targets.items())
    less = run(network, data, {"prune": {"ratio": result.ratio - 0.01}}).converted.report
    assert any(less[name] > most for name, most in targets.items())
    easy = run(network, data, {"targets": {"macs": 10**6}})
    assert easy.ratio == 0
    assert easy.stages[1].row.macs == easy.stages[0].row.macs


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_targets_hold_after_several_steps(network: onnx.ModelProto, data: Path, scope: str) -> None:
    prune = {"schedule": "polynomial", "steps": 3, "scope": scope}
    result = run(network, data, {"prune": prune, "targets": {"macs": 20000}})
    assert result.converted.report["macs"] <= 20000
    assert result.stages[3].row.macs == result.converted.report["macs"]


def test_a_network_that_lost_other_channels_is_pruned_further(network: onnx.ModelProto, data: Path) -> None:
    job = make_job(network, data, Recipe(prune=PruneOptions(scope="global"), targets=Targets(macs=9000)))
    found = ratios.search_ratio(job).ratio
    assert ratios.settled(job, network, found) == found
    assert ratios.settled(job, network, 0.1) == found
    hopeless = make_job(network, data, Recipe(prune=PruneOptions(scope="global"), targets=Targets(macs=10)))
    with pytest.raises(TargetMissedError, match=r"ratio 0.95"):
        ratios.settled(hopeless, network, 0.9)


def test_a_little_time_is_held_back(network: onnx.ModelProto, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("unicorn")
    monkeypatch.setattr(ratios, "sizes_of", lambda *_: {"ms": 5.0})
    assert ratios.search_ratio(make_job(network, data, Recipe(targets=Targets(ms=5.1)))).ratio == 0
    assert ratios.search_ratio(make_job(network, data, Recipe(targets=Targets(ms=5.01)))).ratio == 0.95  # just so
    with pytest.raises(TargetMissedError, match=r"5 ms, estimated, 1 ms \(25.0 %\) more than 4"):
        ratios.search_ratio(make_job(network, data, Recipe(targets=Targets(ms=4))))


def test_a_target_that_cannot_be_met(network: onnx.ModelProto, data: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    with pytest.raises(TargetMissedError, match=r"leaves \d+ multiply-adds, .* more than 10") as caught:
        run(network, data, {"targets": {"macs": 10}}, output=tmp_path / "out", progress=told.append)
    assert caught.value.best["macs"] > 10
    assert not (tmp_path / "out").exists()
    assert not [event for event in told if event.kind == "stage"]  # before any work


def test_a_target_in_milliseconds(network: onnx.ModelProto, data: Path) -> None:
    pytest.importorskip("unicorn")
    with pytest.raises(InputError, match="a target in milliseconds needs the latency"):
        run(network, data, {"targets": {"ms": 5.0}})
    wide = nets.network(widths=(24, 32))  # so that multiplying is most of the time
    whole = compress(wide, data).stages[-1].row.latency_ms
    assert whole is not None
    result = compress(wide, data, {"targets": {"ms": whole * 0.7}})
    latency = result.stages[-1].row.latency_ms
    assert latency is not None
    assert latency <= whole * 0.7
    assert result.report.latency is not None
    assert result.report.latency.ms == pytest.approx(latency, rel=0.01)
