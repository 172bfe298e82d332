"""Time and events: order, cancelling, and no growth from events that are never reached."""

from __future__ import annotations

from onnxino_tools.emulator.scheduler import NEVER, Scheduler


class Core:
    """Stands for the counter."""

    def __init__(self) -> None:
        self.cycles = 0
        self.deadline = NEVER


def test_order_and_cancelling() -> None:
    core = Core()
    scheduler = Scheduler(core)
    log: list[str] = []
    scheduler.at(30, lambda: log.append("c"))
    scheduler.at(10, lambda: log.append("a"))
    scheduler.at(10, lambda: log.append("b"))
    scheduler.at(20, lambda: log.append("never")).cancel()
    assert core.deadline == 10
    core.cycles = 25
    scheduler.run_due()
    assert log == ["a", "b"]
    scheduler.slept = 5
    scheduler.update_deadline()
    assert core.deadline == 25  # 30 less what the core slept
    scheduler.run_due()
    assert log == ["a", "b", "c"]
    assert scheduler.next_time() == NEVER


def test_an_event_may_schedule_the_next() -> None:
    core = Core()
    scheduler = Scheduler(core)
    seen: list[int] = []

    def again() -> None:
        seen.append(scheduler.now)
        if len(seen) < 3:
            scheduler.after(0, again)

    scheduler.after(5, again)
    core.cycles = 7
    scheduler.run_due()
    assert seen == [7, 7, 7]


def test_cancelled_events_do_not_pile_up() -> None:
    scheduler = Scheduler(Core())
    kept = scheduler.at(1 << 40, lambda: None)
    for _ in range(10_000):
        scheduler.at(1 << 50, lambda: None).cancel()
    assert len(scheduler._heap) < 200
    assert scheduler.next_time() == kept.time
