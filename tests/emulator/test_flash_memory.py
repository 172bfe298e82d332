"""NVMC: what a store to flash does, and when it faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from emulator_results import results

from onnxino_tools.emulator import EmulatorFault, Machine


@pytest.mark.parametrize(
    "options", [{}, {"count": "python"}, {"wait_states": 2}, {"wait_states": 2, "count": "python"}]
)
def test_write_and_erase(run: Callable[..., Machine], options: dict[str, Any]) -> None:
    machine = run("flash", **options)
    found = results(machine, 10)
    assert found[0] == 0x0FF000FF  # bits only fall
    assert 410 <= found[1] <= 450  # ten words of 41 us
    assert found[2] == 10
    assert found[3:6] == [0x12345678, 0x12345678, 0xFFFFFFFF]  # inside an IT block, once each
    assert 85_000 <= found[6] <= 85_100
    assert found[7:9] == [0xFFFFFFFF, 0xFFFFFFFF]
    assert found[9] == 1  # the bootloader left the instruction cache on
    assert machine.bus.nvmc.written_words == 14
    assert (machine.flash_reads > 0) == ("wait_states" in options)


def test_a_third_write_is_noted(run: Callable[..., Machine]) -> None:
    machine = run("flash", "WRONG=NVMC(0x504)=1;REG(PAGE)=1;REG(PAGE)=1;REG(PAGE)=0")
    assert machine.warnings == ["flash word 0x00080000 written more than 2 times since its page was erased"]


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ("REG(PAGE)=0", "flash-write", "store of 4 bytes to flash at 0x00080000 while NVMC.CONFIG is not 1"),
        ("REG(0x100)=0", "flash-write", "at 0x00000100"),
        ("NVMC(0x504)=1;*(volatile uint8_t*)PAGE=0", "nvmc", "only aligned 32-bit words"),
        ("NVMC(0x508)=PAGE", "nvmc", "page erase at 0x00080000 while NVMC.CONFIG is 0"),
        ("NVMC(0x504)=2;NVMC(0x508)=0x100000", "nvmc", "outside of the flash"),
        ("REG(0x10000060)=0", "bus", "FICR"),
    ],
)
def test_wrong_stores_fault(program: Callable[..., Any], wrong: str, kind: str, words: str) -> None:
    made = program("flash", f"WRONG={wrong}")
    machine = Machine(made.image, elf=made.elf)
    with pytest.raises(EmulatorFault) as caught:
        machine.run()
    assert caught.value.kind == kind
    assert words in caught.value.message
    with pytest.raises(EmulatorFault):  # it does not go on
        machine.run()
