"""The small peripherals, and what is noted as not modelled."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from emulator_results import results

from onnxino.errors import MissingExtraError
from onnxino_tools.emulator import EmulatorFault, Machine


def test_small_peripherals(program: Callable[..., Any]) -> None:
    machine = Machine(program("misc").image)
    machine.bus.gpio.levels[0] = 1 << 11
    assert machine.run() == "idle"
    found = results(machine, 11)
    assert found[0] == 1 << 24
    assert found[1] == 1 << 24 | 1 << 11
    assert found[2] == 1 << 15 | 1 << 9  # and the power LED of the bootloader
    assert found[3] == 0
    assert 0 <= found[4] <= 255
    assert found[5] == 100  # quarter degrees
    assert found[6:9] == [4096, 0x52840, 18]
    assert found[9] == 0xA0 << 8  # three bits of priority
    assert found[10] >> 4 == 0x410FC24
    assert machine.bus.gpio.pin(0, 24)
    assert not machine.bus.gpio.pin(0, 6)
    assert machine.warnings == [
        "read of UARTE register 0x40002ff0, which is not modelled",
        "task 0x40001000 of RADIO, which is not modelled",
        "access of 1 bytes to UARTE at 0x40002500: registers are 32 bits",
    ]


def test_code_in_the_alias_of_ram(run: Callable[..., Machine]) -> None:
    """The bootloader's MPU settings do not cover it."""
    code = "ldr r0, =0x20000800; ldr r1, =0x47703401; str r1, [r0]; ldr r0, =0x00800801; push {lr}; blx r0; pop {lr}"
    machine = run("fault", f'CODE="{code}; ldr r1, =0x20000020; str r4, [r1]"')
    assert results(machine, 9)[3] == 0x600D
    assert results(machine, 9)[8] == 0x12345679


def test_reset_after_a_fault(program: Callable[..., Any]) -> None:
    made = program("fault", 'CODE="ldr r0, =0x60000000; ldr r1, [r0]"')
    machine = Machine(made.image)
    for _ in range(2):
        with pytest.raises(EmulatorFault, match="0x60000000"):
            machine.run()
        machine.reset()


@pytest.mark.parametrize("name", ["unicorn", "capstone"])
def test_missing_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as caught:
        Machine(b"\0\0\x04\x20\1\0\1\0")
    assert caught.value.hint == "pip install 'onnxino[emulator]'"


def test_symbols_of_what_is_no_elf() -> None:
    from onnxino_tools.emulator.symbols import Symbols

    for data in (b"", b"\x7fELF\x01", b"\x7fELF\x01" + bytes(60), b"\x7fELF\x01" + b"\xff" * 100):
        assert Symbols(data).name(0x10000) is None
