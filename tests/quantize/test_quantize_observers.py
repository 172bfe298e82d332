"""Each observer against brute force over the values themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxino_converter.quantize.observers import OBSERVERS, Histogram, entropy, minmax, mse, percentile

RANDOM = np.random.default_rng(3)
SHAPES: dict[str, Any] = {
    "normal": RANDOM.standard_normal(100_000),
    "relu": np.maximum(RANDOM.standard_normal(100_000), 0),
    "outliers": np.concatenate([RANDOM.standard_normal(100_000), [60.0, -20.0, 45.0]]),
    "laplace": RANDOM.laplace(size=100_000) - 0.5,
    "uniform": RANDOM.uniform(2, 3, 100_000),
    "negative": -np.abs(RANDOM.standard_normal(100_000)),
}


def histogram(values: Any) -> Histogram:
    made = Histogram.empty(float(values.min()), float(values.max()))
    for part in np.array_split(values, 7):
        made.add(part)
    return made


def error(values: Any, low: float, high: float) -> float:
    """Mean squared error of values quantized to 256 levels over [low, high]."""
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    return float(np.mean(((np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale - values) ** 2))


@pytest.mark.parametrize("name", SHAPES)
def test_minmax(name: str) -> None:
    assert minmax(histogram(SHAPES[name])) == (SHAPES[name].min(), SHAPES[name].max())


@pytest.mark.parametrize("name", SHAPES)
def test_percentile_cuts_one_in_ten_thousand(name: str) -> None:
    values = SHAPES[name]
    low, high = percentile(histogram(values))
    bin_width = (values.max() - values.min()) / 8192
    kept = np.sort(values)[10:-10]  # of 100,000
    assert abs(low - kept[0]) <= bin_width
    assert abs(high - kept[-1]) <= bin_width


@pytest.mark.parametrize("name", SHAPES)
def test_mse_finds_the_least_error(name: str) -> None:
    """Brute force: every pair of 100 x 100 ends (every 5th, as the error is flat), on the values themselves."""
    values = SHAPES[name]
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    shares = np.arange(1, 21) / 20
    sample = np.concatenate([values[::20], values[-3:]])
    lows = low * shares if low < 0 else [0.0]
    highs = high * shares if high > 0 else [0.0]
    best = min(error(sample, a, b) for a in lows for b in highs if b > a)
    found = mse(histogram(sample))
    assert error(sample, *found) <= best * 1.02
    assert found[0] <= 0 <= found[1]


def test_mse_cuts_outliers_and_keeps_even_values() -> None:
    low, high = mse(histogram(SHAPES["outliers"]))
    assert low > -20
    assert high < 60
    assert mse(histogram(SHAPES["uniform"])) == pytest.approx((0, 3), abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_entropy_does_not_depend_on_the_unit(scale: float) -> None:
    values = SHAPES["outliers"]
    assert np.array(entropy(histogram(values * scale))) / scale == pytest.approx(entropy(histogram(values)), rel=1e-6)


def test_entropy_keeps_a_distribution_that_fills_its_range_and_cuts_lone_outliers() -> None:
    even = np.linspace(0, 4, 100_000)
    assert entropy(histogram(even))[1] >= 3.9
    lone = np.concatenate([np.abs(SHAPES["normal"]), [40.0]])
    assert entropy(histogram(lone))[1] == pytest.approx(40 * 0.88)  # an eighth of an end may go
    zeros = np.concatenate([np.zeros(1_000_000), even])  # what a Relu leaves
    assert entropy(histogram(zeros))[1] >= 3.9


def divergence(bins: list[float], kept: int) -> float:
    """Entropy calibration as it was published for TensorRT, bin by bin: P takes in what is clipped, Q does not."""
    p = [*bins[: kept - 1], bins[kept - 1] + sum(bins[kept:])]
    q = [0.0] * kept
    for level in range(256):
        cells = [k for k in range(kept) if k * 256 // kept == level and bins[k] > 0]
        for k in cells:
            q[k] = sum(bins[j] for j in cells) / len(cells)
    q = [max(b, 1e-4) if a > 0 else b for a, b in zip(p, q, strict=True)]
    a, b = sum(p), sum(q)
    return sum(x / a * float(np.log(x / a / (y / b))) for x, y in zip(p, q, strict=True) if x > 0)


@pytest.mark.parametrize("name", ["relu", "tail", "outlier"])
def test_entropy_is_the_least_divergence(name: str) -> None:
    """Brute force over what may be cut off one end, an eighth of it, on 2,048 bins less the zeros."""
    made = {
        "tail": np.abs(np.random.default_rng(4).laplace(size=50_000)),
        "outlier": np.append(np.abs(SHAPES["normal"]), 40.0),
    }
    found = histogram(np.append(made.get(name, SHAPES["relu"]), 0.0))
    bins = [float(n) for n in found.counts.reshape(2048, 4).sum(axis=1)]
    bins[0] = min(bins[0], bins[1])
    shares = [k / 100 for k in range(100, 87, -1)]
    losses = [divergence(bins, round(2048 * share)) for share in shares]
    assert entropy(found)[1] == pytest.approx(found.high * shares[int(np.argmin(losses))])


@pytest.mark.parametrize(("low", "high"), [(1e6, 1e6 + 1), (-3.0, -2.9), (-1e-30, 1e-30), (5e-320, 1e-310)])
@pytest.mark.parametrize("method", OBSERVERS)
def test_ranges_far_from_zero_and_next_to_it(method: str, low: float, high: float) -> None:
    found = OBSERVERS[method](histogram(np.linspace(low, high, 1000)))
    assert low - (high - low) <= found[0] <= found[1] <= high + (high - low) or found[0] <= 0 <= found[1]


@pytest.mark.parametrize("method", OBSERVERS)
@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_a_tensor_of_one_value(method: str, value: float) -> None:
    low, high = OBSERVERS[method](histogram(np.full(100, value)))
    assert min(low, 0) <= value <= max(high, 0)
