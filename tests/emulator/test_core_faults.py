"""What faults on the chip faults here: as an error that says where, or delivered to the firmware's handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from emulator_results import results

from onnxino.errors import InputError, OnnxinoError
from onnxino_tools.emulator import EmulatorFault, Machine

FAULTS = [
    ("ldr r0, =0x60000000; ldr r1, [r0]", "unmapped", "load of 4 bytes from 0x60000000", 0x8200),
    ("ldr r0, =0x20040000; strh r4, [r0, #2]", "unmapped", "store of 2 bytes (0x5678) to 0x20040002", 0x8200),
    ("ldr r0, =0x60000001; bx r0", "jump", "jump to 0x60000000", 0x100),
    ("udf #0", "undefined", "cannot execute", 0x10000),
    ("bkpt #7", "breakpoint", "BKPT", None),
    ("ldr r0, =0x20000801; ldr r1, =0x4770; str r1, [r0, #-1]; bx r0", "execute-never", "0x20000800, where the MPU", 1),
    ("ldr r0, =0x100; str r4, [r0]", "flash-write", "flash at 0x00000100", 0x8200),
]


@pytest.mark.parametrize(("code", "kind", "words", "status"), FAULTS, ids=[f[1] + str(i) for i, f in enumerate(FAULTS)])
@pytest.mark.parametrize("count", ["native", "python"])
def test_raised(program: Callable[..., Any], code: str, kind: str, words: str, status: int | None, count: str) -> None:
    made = program("fault", f'CODE="{code}"')
    machine = Machine(made.image, elf=made.elf, count=count)
    with pytest.raises(EmulatorFault) as caught:
        machine.run()
    fault = caught.value
    assert isinstance(fault, OnnxinoError)
    assert fault.kind == kind
    assert words in fault.message
    assert fault.registers["r4"] == 0x12345678
    assert "lr " in fault.message
    assert "r4 12345678" in fault.dump()
    if kind not in ("jump", "execute-never"):
        assert "in culprit" in fault.message


@pytest.mark.parametrize(("code", "kind", "words", "status"), [f for f in FAULTS if f[3]], ids=lambda v: str(v)[:12])
def test_delivered(program: Callable[..., Any], code: str, kind: str, words: str, status: int) -> None:
    made = program("fault", f'CODE="{code}"')
    machine = Machine(made.image, elf=made.elf, faults="deliver")
    machine.run()
    pc, cfsr, _, finished = results(machine, 4)
    assert cfsr == status
    assert finished != 0x600D
    assert [fault.kind for fault in machine.delivered] == [kind]
    assert pc & ~1 == machine.delivered[0].pc


def test_exact_place(program: Callable[..., Any]) -> None:
    made = program("fault", 'CODE="movs r1, #1; movs r2, #2; ldr r0, =0x60000000; ldr r3, [r0]; movs r1, #9"')
    machine = Machine(made.image, elf=made.elf)
    with pytest.raises(EmulatorFault) as caught:
        machine.run()
    assert machine.memory.flash_read(caught.value.pc, 2) == bytes.fromhex("0368")  # ldr r3, [r0]
    assert caught.value.registers["r1"] == 1


@pytest.mark.parametrize("count", ["native", "python", "off"])
def test_fpu_before_it_is_enabled(program: Callable[..., Any], count: str) -> None:
    made = program("fpu_off")
    with pytest.raises(EmulatorFault) as caught:
        Machine(made.image, elf=made.elf, count=count).run()
    assert caught.value.kind == "fpu-disabled"
    assert "vmov" in caught.value.message
    assert "CPACR" in str(caught.value.hint)


def test_code_in_ram_once_the_mpu_is_off(run: Callable[..., Machine]) -> None:
    code = "ldr r0, =0x20000801; ldr r1, =0x4770; str r1, [r0, #-1]; push {lr}; blx r0; pop {lr}"
    machine = run("fault", "MPU_OFF", f'CODE="{code}"')
    assert results(machine, 4)[3] == 0x600D


ALIGNMENT = [
    ("ldrd r1, r2, [r0]", True),
    ("strd r1, r2, [r0, #4]", True),
    ("ldm r0, {r1, r2}", True),
    ("stm r0, {r1, r2}", True),
    ("vldr s0, [r0]", True),
    ("vstr s0, [r0, #8]", True),
    ("vldmia r0, {s0, s1}", True),
    ("adds r0, #3; ldrd r1, r2, [r0], #4", False),
    ("subs r0, #1; vldr s0, [r0, #-4]", False),
    ("ldr r1, [r0]", False),
    ("strh r1, [r0]", False),
    ("cmp r0, r0; it ne; ldmne r0, {r1, r2}", False),
    ("ldrd r1, r2, [pc, #4]; nop; nop", False),
]


@pytest.mark.parametrize(("code", "faults"), ALIGNMENT, ids=[a[0] for a in ALIGNMENT])
def test_alignment_in_strict_mode(program: Callable[..., Any], code: str, faults: bool) -> None:
    made = program("fault", f'CODE="ldr r0, =0x20000801; {code}"')
    assert Machine(made.image).run() == "idle"  # the fast mode lets it pass
    machine = Machine(made.image, elf=made.elf, strict=True)
    if not faults:
        assert machine.run() == "idle"
        assert results(machine, 4)[3] == 0x600D
        return
    with pytest.raises(EmulatorFault, match="is not a multiple of 4") as caught:
        machine.run()
    assert caught.value.kind == "alignment"
    assert "in culprit" in caught.value.message


@pytest.mark.parametrize(
    ("image", "model", "words"),
    [
        (b"", None, "0 bytes"),
        (b"\x7fELF" + bytes(100), None, "no initial stack pointer"),
        (bytes(0x30001), None, "196609 bytes"),
        (b"\0\0\x04\x20\1\0\1\0", bytes(655361), "the model region"),
    ],
)
def test_wrong_files_are_refused(image: bytes, model: bytes | None, words: str) -> None:
    pytest.importorskip("unicorn")
    with pytest.raises(InputError, match=words):
        Machine(image, model)


def test_unknown_way_of_counting() -> None:
    pytest.importorskip("unicorn")
    with pytest.raises(InputError, match="count is 'fast'"):
        Machine(b"\0\0\x04\x20\1\0\1\0", count="fast")
