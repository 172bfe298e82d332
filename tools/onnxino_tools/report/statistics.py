"""How sure a measured accuracy is."""

from __future__ import annotations

import math

Z95 = 1.959963984540054
"""The normal distribution's quantile of 0.975: 95 % lie within this many standard deviations."""


def wilson(correct: int, total: int, z: float = Z95) -> tuple[float, float]:
    """Ends of the interval around correct / total that holds the true share with the probability that z stands for.

    E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927). Raises ValueError unless
    0 <= correct <= total and total > 0.
    """
    if total <= 0 or not 0 <= correct <= total:
        raise ValueError(f"{correct} of {total}")
    share = correct / total
    centre = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_error(only_a: int, only_b: int, total: int) -> float:
    """Standard error of the difference of two accuracies on the same images, of which only_a are right in a alone and
    only_b in b alone (as in McNemar's test)."""
    if total <= 0:
        raise ValueError(f"{total} images")
    return math.sqrt(max(only_a + only_b - (only_a - only_b) ** 2 / total, 0)) / total
