"""Timers, RTC, SysTick, CYCCNT and the watchdog share one time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from emulator_results import results

from onnxino_tools.emulator import Machine


@pytest.mark.parametrize("count", ["native", "python"])
def test_timers(run: Callable[..., Machine], count: str) -> None:
    machine = run("timers", count=count)
    ticks, rtc, systicks, loop, elapsed, asleep = results(machine, 6)
    assert ticks == 20
    assert elapsed == pytest.approx(20_000, abs=10)
    assert rtc == pytest.approx(100 / 32768 * 1e6, abs=35)
    assert systicks == 10  # every 6400 cycles of 64 MHz for 1 ms
    assert 3_990 <= loop <= 4_030  # 1000 times SUBS 1, BNE 1 + 2 taken
    assert asleep < 3_000  # 20 ms are 1,280,000 cycles: CYCCNT stands while the core sleeps


def test_soft_reset_and_what_survives(run: Callable[..., Machine]) -> None:
    machine = run("reset")
    found = results(machine, 25)
    assert machine.resets == 2
    assert found[8] == 3
    assert found[9] == 0
    assert found[10:13] == [0x100, 0x4A1, 0x4A2]  # RESETREAS << 8 | GPREGRET: pin, then soft
    assert found[17:20] == [0x05010000] * 3  # VTOR and MPU.CTRL as the bootloader leaves them
    assert found[21:24] == [0xFFFF] * 3  # enabled after each reset anew, from nothing


def test_reset_button_forgets_gpregret(run: Callable[..., Machine]) -> None:
    machine = run("reset")
    machine.reset()
    machine.run()
    assert results(machine, 11)[9:] == [0, 0x100]


def test_watchdog_survives_a_soft_reset_and_bites(run: Callable[..., Machine]) -> None:
    machine = run("reset", "WATCHDOG")
    found = results(machine, 28)
    assert found[25:28] == [1, 1, 1]  # RUNSTATUS after each boot
    machine.run(max_cycles=64_000_000)
    assert machine.resets == 3
    assert results(machine, 14)[13] >> 8 == 2  # RESETREAS after the fourth boot: the watchdog
    assert not machine.bus.watchdog.running


def test_the_image_starts_as_the_bootloader_starts_it(run: Callable[..., Machine]) -> None:
    machine = run("reset")
    machine.reset()
    assert machine.core["sp"] == 0x20040000
    assert machine.core["primask"] == 0
    assert machine.bus.system.mpu.may_execute(0x10000)
    assert not machine.bus.system.mpu.may_execute(0x20000000)
    assert machine.bus.system.mpu.may_execute(0x00800000)  # the alias is in no region
    assert machine.bus.uarte0.registers[0x500] == 8
    assert machine.bus.rtcs[1].interrupts == 1 << 16
    assert machine.bus.gpio.pin(1, 9)  # power LED
