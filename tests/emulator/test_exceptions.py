"""Taking and leaving exceptions: priorities, nesting, masks, both stacks, the float context."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from emulator_results import results

from onnxino_tools.emulator import Machine


@pytest.mark.parametrize("count", ["native", "python"])
def test_order(run: Callable[..., Machine], count: str) -> None:
    machine = run("exceptions", count=count)
    number = results(machine, 32)[31]
    assert results(machine, number) == [
        1, 0x40, 2,
        3, 0x10, 0x30, 0x11, 0x12, 0x20, 0x40, 4,  # after CPSIE: TIMER0, in it RTC0, then TIMER1 before PendSV
        0x30, 5, 0x20, 6,  # BASEPRI lets RTC0 pass only
        0x55, 0x77,  # SVC 5, its result in r0
        0x56, 0x77, 2, 1,  # the same on the process stack
    ]  # fmt: skip


@pytest.mark.parametrize("count", ["native", "python"])
def test_float_context(run: Callable[..., Machine], count: str) -> None:
    machine = run("fp_context", count=count)
    alone, interrupted, ticks = results(machine, 3)
    assert interrupted == alone
    assert ticks > 50
