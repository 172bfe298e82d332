"""How the range of an activation is chosen from the values that calibration shows: minmax, percentile, mse, entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 8192
ENTROPY_BINS = 2048
ENTROPY_LEAST = 0.875  # of an end is kept; chosen on validation images: docs/quantizing.md
SMOOTHING = 1e-4  # of one value: what a bin holds at least, so that clipping at an empty bin has a price, too
LEVELS = 256
ONE_IN = 10_000
CANDIDATES = 100

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
    """The range that loses least information: the least Kullback-Leibler divergence, as in TensorRT's calibration.

    The bin of zero counts as the fuller one beside it: a Relu makes many zeros, and every range holds zero exactly.
    """
    return _search(_for_divergence(histogram), _divergence, least=ENTROPY_LEAST)


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


def _for_divergence(histogram: Histogram) -> Histogram:
    """In ENTROPY_BINS bins over a range with zero in it, without the zeros."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if not high > low:
        return Histogram(low, high, np.zeros(ENTROPY_BINS, np.int64))
    width = (high - low) / ENTROPY_BINS
    places = np.minimum((histogram.centres - low) / width, ENTROPY_BINS - 1).astype(np.int64)
    counts = np.bincount(places, histogram.counts, ENTROPY_BINS).astype(np.int64)
    zero = min(int(-low / width), ENTROPY_BINS - 1)
    counts[zero] = min(counts[zero], max(counts[k] for k in (zero - 1, zero + 1) if 0 <= k < ENTROPY_BINS))
    return Histogram(low, high, counts)


def _divergence(histogram: Histogram, low: float, high: float) -> float:
    """KL divergence of the values quantized to 256 levels in [low, high] from the values clipped to it.

    What is clipped adds to the reference at the ends, but not to the quantized values: clipping costs. A level is even
    over those of its bins that are not empty.
    """
    width = (histogram.high - histogram.low) / len(histogram.counts)
    first, last = (round((end - histogram.low) / width) for end in (low, high))
    kept = histogram.counts[first:last].astype(np.float64)
    clipped = kept.copy()
    clipped[0] += histogram.counts[:first].sum()
    clipped[-1] += histogram.counts[last:].sum()
    level = np.arange(last - first) * LEVELS // (last - first)
    cells = np.bincount(level, kept > 0, LEVELS)
    even = (np.bincount(level, kept, LEVELS) / np.maximum(cells, 1))[level] * (kept > 0)
    seen = clipped > 0
    even[seen] = np.maximum(even[seen], SMOOTHING)
    p, q = clipped[seen] / clipped.sum(), even[seen] / even.sum()
    return float(np.sum(p * np.log(p / q)))
