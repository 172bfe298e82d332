"""How the range of an activation is chosen from the values that calibration shows: minmax, percentile, mse, entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 8192
ENTROPY_BINS = 2048  # a level needs several bins, each of them enough values
LEVELS = 256
ONE_IN = 10_000
CANDIDATES = 100
NEXT_TO_NOTHING = 1e-9

Floats = NDArray[np.float64]


@dataclass
class Histogram:
    """Values of one tensor: `counts` in equal bins from `low` to `high`, which are the least and the greatest value."""

    low: float
    high: float
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, low: float, high: float) -> Histogram:
        return cls(low, high, np.zeros(BINS, np.int64))

    def add(self, values: NDArray[Any]) -> None:
        if self.high > self.low:
            self.counts += np.histogram(values, BINS, (self.low, self.high))[0]

    @property
    def edges(self) -> Floats:
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centres(self) -> Floats:
        edges = self.edges
        return (edges[1:] + edges[:-1]) / 2


def minmax(histogram: Histogram) -> tuple[float, float]:
    """All values."""
    return histogram.low, histogram.high


def percentile(histogram: Histogram) -> tuple[float, float]:
    """What is left when one value in 10,000 is cut off at each end: the 99.99th percentiles."""
    total = int(histogram.counts.sum())
    if not total:
        return histogram.low, histogram.high
    up_to, cut = np.cumsum(histogram.counts), total // ONE_IN
    first = int(np.searchsorted(up_to, cut, side="right"))
    last = int(np.searchsorted(up_to, total - cut, side="left"))
    edges = histogram.edges
    return float(edges[first]), float(edges[last + 1])


def mse(histogram: Histogram) -> tuple[float, float]:
    """The range with the least mean squared error of quantized values."""
    return _search(histogram, _squared_error)


def entropy(histogram: Histogram) -> tuple[float, float]:
    """The range that loses least information: the least Kullback-Leibler divergence of the quantized distribution.

    Zeros, of which a Relu makes many, do not count: every range holds zero exactly. Divergence knows of how many values
    are cut off, not how large they are: no more than half of an end goes.
    """
    counts = histogram.counts.reshape(-1, BINS // ENTROPY_BINS).sum(axis=1)
    coarse = Histogram(histogram.low, histogram.high, counts)
    if coarse.low <= 0.0 <= coarse.high and coarse.high > coarse.low:
        zero = min(int(-coarse.low / (coarse.high - coarse.low) * ENTROPY_BINS), ENTROPY_BINS - 1)
        beside = [counts[k] for k in (zero - 1, zero + 1) if 0 <= k < ENTROPY_BINS]
        counts[zero] = min(counts[zero], max(beside))
    return _search(coarse, _divergence, least=0.5)


OBSERVERS: dict[str, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}


def _search(
    histogram: Histogram, loss: Callable[[Histogram, float, float], float], least: float = 0.0
) -> tuple[float, float]:
    """Cuts the ends, the longer one first, to shares above `least` of the whole range; each twice, given the other.

    Zero stays inside, as it must be a value of the quantized type.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if not high > low:
        return low, high
    ends = [low, high]
    order = [0, 1] if -low > high else [1, 0]
    shares = np.arange(CANDIDATES, CANDIDATES * least, -1) / CANDIDATES
    for end in (*order, *order):
        whole = (low, high)[end]
        if whole == 0.0:
            continue

        def tried(share: float, end: int = end, whole: float = whole) -> tuple[float, float]:
            return (whole * share, ends[1]) if end == 0 else (ends[0], whole * share)

        losses = [loss(histogram, *tried(float(share))) for share in shares]
        ends[end] = whole * float(shares[int(np.argmin(losses))])
    return ends[0], ends[1]


def _squared_error(histogram: Histogram, low: float, high: float) -> float:
    scale = (high - low) / (LEVELS - 1)
    zero = np.rint(-low / scale)
    centres = histogram.centres
    quantized = np.clip(np.rint(centres / scale) + zero, 0, LEVELS - 1) - zero
    return float(histogram.counts @ (quantized * scale - centres) ** 2)


def _divergence(histogram: Histogram, low: float, high: float) -> float:
    """KL divergence of the values quantized to 256 levels in [low, high] from the values as they are.

    A level is even over those of its bins that are not empty. What lies outside moves to the ends: its own bins then
    hold next to nothing, which makes clipping dear, as it is for a network that finds its strongest features there.
    """
    centres, counts = histogram.centres, histogram.counts.astype(np.float64)
    level = np.clip(np.floor((centres - low) / (high - low) * LEVELS), 0, LEVELS - 1).astype(np.int64)
    inside = (centres >= low) & (centres <= high) & (counts > 0)
    sums, cells = np.bincount(level, counts, LEVELS), np.bincount(level, inside, LEVELS)
    model = np.where(inside, (sums / np.maximum(cells, 1))[level], 0.0)
    seen = counts > 0
    p, q = counts[seen] / counts.sum(), np.maximum(model[seen] / counts.sum(), NEXT_TO_NOTHING)
    return float(np.sum(p * np.log(p / q)))
