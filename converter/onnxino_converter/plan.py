"""The memory planner: where each tensor and scratch area lies in the arena.

It knows no operators: sizes, lifetimes and permitted overlaps come in as data. Several orders are tried and the
smallest arena wins; everything is deterministic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ALIGNMENT = 16
SHUFFLES = 60  # further orders tried beside the fixed ones
FREE_MEMORY_LIMIT = 400  # buffers; above it no further orders: the time would grow with the square


@dataclass
class Buffer:
    """`size` bytes that are in use from step `first` to step `last`, both included."""

    name: str
    size: int
    first: int
    last: int
    offset: int = 0


@dataclass
class Plan:
    """`over[(output, input)] = d`: output may begin d or more bytes before input, which dies when it is written."""

    buffers: list[Buffer]
    over: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    arena_size: int = 0


def plan_memory(buffers: Sequence[Buffer], over: dict[tuple[int, int], int]) -> Plan:
    """Offsets for all buffers: the order with the smallest arena. Deterministic."""
    conflicts = _conflicts(buffers)
    best: list[int] | None = None
    best_size = 0
    bound = lower_bound(buffers, over)
    for order in _orders(buffers):
        offsets = _place(buffers, order, conflicts, over)
        size = _end(buffers, offsets)
        if best is None or size < best_size:
            best, best_size = offsets, size
        if best_size <= bound:
            break
    for buffer, offset in zip(buffers, best or [], strict=True):
        buffer.offset = offset
    return Plan(list(buffers), over, best_size)


def lower_bound(buffers: Sequence[Buffer], over: dict[tuple[int, int], int]) -> int:
    """No plan is smaller: the most bytes alive at one step, less what an output may overwrite."""
    bound = 0
    for step in range(max((b.last for b in buffers), default=-1) + 1):
        alive = [i for i, b in enumerate(buffers) if b.first <= step <= b.last]
        total = sum(_aligned(buffers[i].size) for i in alive)
        saved = max(
            (min(_aligned(buffers[o].size), _aligned(buffers[i].size)) for o, i in over if o in alive and i in alive),
            default=0,
        )
        bound = max(bound, total - saved - ALIGNMENT + 1)
    return bound


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _conflicts(buffers: Sequence[Buffer]) -> list[list[int]]:
    return [
        [j for j, b in enumerate(buffers) if j != i and b.first <= a.last and a.first <= b.last]
        for i, a in enumerate(buffers)
    ]


def _orders(buffers: Sequence[Buffer]) -> list[list[int]]:
    indices = list(range(len(buffers)))
    keys: list[Callable[[int], tuple[int, ...]]] = [
        lambda i: (-buffers[i].size, buffers[i].first, i),
        lambda i: (-buffers[i].size, -buffers[i].first, i),
        lambda i: (buffers[i].first, -buffers[i].size, i),
        lambda i: (-buffers[i].last, -buffers[i].size, i),
        lambda i: (-(buffers[i].last - buffers[i].first + 1) * buffers[i].size, i),
        lambda i: (-(buffers[i].last - buffers[i].first), -buffers[i].size, i),
    ]
    orders = [sorted(indices, key=key) for key in keys]
    if len(buffers) <= FREE_MEMORY_LIMIT:
        generator = random.Random(1)  # its sequence is the same on every Python
        for _ in range(SHUFFLES):
            noise = [generator.random() for _ in indices]
            orders.append(sorted(indices, key=lambda i: (-buffers[i].size * (0.6 + 0.8 * noise[i]), i)))
    return orders


def _place(
    buffers: Sequence[Buffer], order: list[int], conflicts: list[list[int]], over: dict[tuple[int, int], int]
) -> list[int]:
    """First fit at the lowest offset, one buffer after the other."""
    offsets = [-1] * len(buffers)
    for i in order:
        placed = [j for j in conflicts[i] if offsets[j] >= 0]
        candidates = {0}
        for j in placed:
            candidates.add(_aligned(offsets[j] + buffers[j].size))
            if (i, j) in over:
                candidates.add(max(0, (offsets[j] - over[i, j]) // ALIGNMENT * ALIGNMENT))
            if (j, i) in over:
                candidates.add(_aligned(offsets[j] + over[j, i]))
        offsets[i] = min(c for c in candidates if all(_fits(buffers, over, i, c, j, offsets[j]) for j in placed))
    return offsets


def _fits(buffers: Sequence[Buffer], over: dict[tuple[int, int], int], i: int, at: int, j: int, there: int) -> bool:
    """Whether buffer i may lie at `at` when buffer j lies at `there`."""
    if at + buffers[i].size <= there or there + buffers[j].size <= at:
        return True
    if (i, j) in over and at + over[i, j] <= there:
        return True
    return (j, i) in over and there + over[j, i] <= at


def _end(buffers: Sequence[Buffer], offsets: list[int]) -> int:
    return max((offset + buffer.size for buffer, offset in zip(buffers, offsets, strict=True)), default=0)
