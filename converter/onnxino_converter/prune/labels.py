"""Which channels must go together: labels, united where channels depend on each other, pinned where they must stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.int64]  # a label for each index of an axis
FIXED = -1  # the label of a channel that is never removed


class Labels:
    """Disjoint sets of labels (union-find). A set with a reason is pinned: none of its channels may be removed."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._reason: dict[int, str] = {}
        self._free: Vector | None = None  # of each label its set or FIXED, until something changes

    def new(self, count: int) -> Vector:
        """`count` labels, each a set of its own."""
        self._free = None
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count, dtype=np.int64)

    def root(self, label: int) -> int:
        while self._parent[label] != label:
            self._parent[label] = self._parent[self._parent[label]]
            label = self._parent[label]
        return label

    def unite(self, a: Vector, b: Vector, reason: str) -> None:
        """a[i] and b[i] go together for each i; what meets a fixed channel is pinned for that reason."""
        self._free = None
        for x, y in zip(a.tolist(), b.tolist(), strict=True):
            if x == FIXED or y == FIXED:
                self._pin(max(x, y), reason)
                continue
            x, y = self.root(x), self.root(y)
            if x != y:
                x, y = min(x, y), max(x, y)
                self._parent[y] = x
                why = self._reason.pop(y, None)
                if why is not None:
                    self._reason.setdefault(x, why)

    def unite_all(self, vector: Vector, reason: str) -> None:
        """All of these go together."""
        self.unite(vector[1:], np.full(len(vector) - 1, vector[0]), reason)

    def pin(self, vector: Vector, reason: str) -> None:
        self._free = None
        for label in np.unique(vector).tolist():
            self._pin(label, reason)

    def _pin(self, label: int, reason: str) -> None:
        if label != FIXED:
            self._reason.setdefault(self.root(label), reason)

    def reason(self, label: int) -> str | None:
        """Why this channel must stay, or None."""
        return None if label == FIXED else self._reason.get(self.root(label))

    def roots(self, vector: Vector) -> Vector:
        """The set of each label, named by one of its labels; FIXED for what must stay."""
        if self._free is None:
            found = [self.root(label) for label in range(len(self._parent))]
            free = [FIXED if root in self._reason else root for root in found]
            self._free = np.array([*free, FIXED], np.int64)  # FIXED, which is -1, finds the last one
        return self._free[vector]


def fixed(count: int) -> Vector:
    """`count` channels that must stay."""
    return np.full(count, FIXED, np.int64)
