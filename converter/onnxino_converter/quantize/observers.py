"""How the range of an activation is chosen from the values that calibration shows: minmax, percentile, mse, entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 8192
LEVELS = 256
PERCENTILE = 99.99
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
    """What is left when 0.01 % of the values are cut off at each end."""
    share = np.concatenate([[0.0], np.cumsum(histogram.counts) / max(1, histogram.counts.sum())])
    edges = histogram.edges
    rest = 1 - PERCENTILE / 100
    low = edges[max(0, int(np.searchsorted(share, rest, side="right")) - 1)]
    high = edges[min(len(edges) - 1, int(np.searchsorted(share, 1 - rest, side="left")))]
    return float(low), float(high)


def mse(histogram: Histogram) -> tuple[float, float]:
    """The range with the least mean squared error of quantized values."""
    return _search(histogram, _squared_error)


def entropy(histogram: Histogram) -> tuple[float, float]:
    """The range that loses least information: the least Kullback-Leibler divergence of the quantized distribution."""
    return _search(histogram, _divergence)


OBSERVERS: dict[str, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}


def _search(histogram: Histogram, loss: Callable[[Histogram, float, float], float]) -> tuple[float, float]:
    """Cuts the ends, the longer one first, to shares of the whole range; each end twice, given the other.

    Zero stays inside, as it must be a value of the quantized type.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if not high > low:
        return low, high
    ends = [low, high]
    order = [0, 1] if -low > high else [1, 0]
    shares = np.arange(CANDIDATES, 0, -1) / CANDIDATES
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

    What lies outside counts at the ends of the reference. Within a level, the quantized distribution is even over the
    bins that are not empty.
    """
    centres, counts = histogram.centres, histogram.counts.astype(np.float64)
    inside = (centres >= low) & (centres <= high)
    kept = counts[inside]
    if kept.sum() == 0:
        return np.inf
    level = np.minimum(((centres[inside] - low) / (high - low) * LEVELS).astype(np.int64), LEVELS - 1)
    filled = (kept > 0).astype(np.float64)
    sums, cells = np.bincount(level, kept, LEVELS), np.bincount(level, filled, LEVELS)
    model = np.where(kept > 0, (sums / np.maximum(cells, 1))[level], 0.0)
    reference = kept.copy()
    reference[0] += counts[centres < low].sum()
    reference[-1] += counts[centres > high].sum()
    p, q = reference / reference.sum(), model / model.sum()
    seen = p > 0
    floor = 1e-9  # an end bin may be empty in the model: finite, but a great loss
    return float(np.sum(p[seen] * np.log(p[seen] / np.maximum(q[seen], floor))))
