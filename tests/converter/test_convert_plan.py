"""The memory planner: valid plans, small ones, always the same ones."""

from __future__ import annotations

import random

import pytest

from onnxino_converter.plan import Buffer, lower_bound, plan_memory


def check(buffers: list[Buffer], over: dict[tuple[int, int], int]) -> None:
    """No two buffers that are alive together share bytes, unless the overlap is declared safe."""
    for i, a in enumerate(buffers):
        assert a.offset % 16 == 0
        for j, b in enumerate(buffers[:i]):
            apart = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
            if a.first > b.last or b.first > a.last or apart:
                continue
            safe = (i, j) in over and a.offset + over[i, j] <= b.offset
            assert safe or ((j, i) in over and b.offset + over[j, i] <= a.offset), (a, b)


def chain(*sizes: int) -> list[Buffer]:
    return [Buffer(str(i), size, i - 1, i) for i, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("buffers", "over", "arena"),
    [
        ([], {}, 0),
        ([Buffer("x", 5, -1, 0)], {}, 5),
        (chain(100, 50, 100), {}, 162),
        (chain(16, 16, 16, 16), {}, 32),
        (chain(100, 100), {(1, 0): 0}, 100),
        (chain(100, 100), {(1, 0): 32}, 132),
        (chain(100, 120), {(1, 0): 0}, 120),
        (
            [Buffer("skip", 64, -1, 2), Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 2), Buffer("sum", 64, 2, 3)],
            {(3, 0): 0},
            192,
        ),
        ([Buffer("x", 64, -1, 0), Buffer("y", 64, 0, 1), Buffer("scratch", 30, 0, 0)], {}, 158),
    ],
)
def test_plan(buffers: list[Buffer], over: dict[tuple[int, int], int], arena: int) -> None:
    plan = plan_memory(buffers, over)
    assert plan.arena_size == arena
    check(buffers, over)


def test_random_plans_are_valid_and_deterministic() -> None:
    chance = random.Random(7)
    for _ in range(60):
        steps = chance.randrange(2, 14)
        buffers = [
            Buffer(f"t{i}", chance.randrange(1, 400), i - 1, min(steps, i + chance.randrange(1, 4)))
            for i in range(steps)
        ]
        over = {
            (i + 1, i): chance.choice([0, 16, 40])
            for i in range(steps - 1)
            if buffers[i].last == i and chance.random() < 0.5
        }
        first = plan_memory(buffers, over)
        check(buffers, over)
        offsets = [b.offset for b in buffers]
        assert first.arena_size == max(b.offset + b.size for b in buffers)
        assert first.arena_size >= lower_bound(buffers, over)
        plan_memory(buffers, over)
        assert [b.offset for b in buffers] == offsets
