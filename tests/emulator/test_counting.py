"""Instructions are counted exactly, cycles by the static model: hand-counted pieces of code, in both counters."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emulator_results import results

from onnxino_tools.emulator import EmulatorFault, EmulatorTransport, Machine

# code, instructions, cycles
PIECES = [
    ("nop", 1, 1),
    ("1: subs r2, #1; bne 1b", 200, 100 * 2 + 99 * 2),
    ("ldr r3, [r0]", 1, 2),
    ("ldr r3, [r0]; ldr r4, [r0, #4]", 2, 3),
    ("ldr r3, [r0]; ldr r4, [r3]", 2, 4),
    ("ldr r3, [r0]; nop; ldr r4, [r0]", 3, 5),
    ("str r3, [r0]", 1, 1),
    ("movs r4, #4; nop; str r3, [r0, r4]", 3, 4),
    ("movs r4, #4; str r3, [r0, r4]", 2, 4),  # the address comes from the instruction before: 1 more
    ("adds r0, #4; ldr r3, [r0]", 2, 4),
    ("cmp r0, #4; ldr r3, [r0]", 2, 3),
    ("ldrd r3, r4, [r0]", 1, 3),
    ("ldm r0, {r3, r4, r5}", 1, 4),
    ("push {r3, r4}; pop {r3, r4}", 2, 6),
    ("movs r4, #7; udiv r3, r2, r4", 2, 7),
    ("mul r3, r2, r2; smlad r3, r3, r3, r3; smull r3, r4, r2, r2", 3, 3),
    ("vadd.f32 s0, s0, s1", 1, 1),
    ("vadd.f32 s0, s0, s1; vmul.f32 s1, s0, s0", 2, 3),  # an FPU result used at once: 1 more
    ("vadd.f32 s0, s0, s1; nop; vmul.f32 s1, s0, s0", 3, 3),
    ("vfma.f32 s0, s1, s1", 1, 3),
    ("vadd.f32 s0, s1, s1; vfma.f32 s0, s1, s1", 2, 5),  # the accumulator counts as used
    ("vdiv.f32 s0, s1, s1", 1, 14),
    ("vldr s0, [r0]", 1, 2),
    ("vadd.f32 s0, s0, s1; vstr s0, [r0]", 2, 4),
    ("vldmia r0, {s0, s1}", 1, 3),
    ("cmp r2, #5; ite eq; moveq r3, #1; movne r3, #2", 4, 4),  # skipped instructions are counted
    ("cmp r2, #5; itt eq; ldreq r3, [r0]; ldreq r4, [r0, #4]", 4, 5),
    ("cmp r2, #100; it eq; beq.w 1f; nop; 1: nop", 4, 6),
    ("cbz r3, 1f; nop; 1: nop", 2, 4),
    ("cbnz r3, 1f; nop; 1: nop", 3, 3),
    ("bl 1f; b 2f; 1: bx lr; 2: nop", 4, 10),
    ("tbb [pc, r3]; .byte 1, 1; 1: nop", 2, 5),
    ("1: nop; nop; nop; subs r2, #1; it ne; bne.w 1b", 600, 600 + 99 * 2),
    (".rept 700; adds r3, #1; .endr", 700, 700),  # longer than one translated block
    (".rept 300; ldr r3, [r0]; ldr r4, [r0]; .endr", 600, 601),
]


@pytest.fixture(scope="module")
def measure(program: Callable[..., Any]) -> Callable[[str, str], tuple[int, int]]:
    """Instructions and cycles of a piece of code: the difference to a program without it."""

    def totals(code: str, count: str) -> tuple[int, int]:
        machine = Machine(program("counting", f'CODE="{code}"').image, count=count)
        machine.run()
        return machine.instructions, machine.cycles

    empty = {count: totals("", count) for count in ("native", "python")}

    def run(code: str, count: str) -> tuple[int, int]:
        instructions, cycles = totals(code, count)
        return instructions - empty[count][0], cycles - empty[count][1]

    return run


@pytest.mark.parametrize(("code", "instructions", "cycles"), PIECES, ids=[piece[0][:40] for piece in PIECES])
def test_pieces(measure: Callable[[str, str], tuple[int, int]], code: str, instructions: int, cycles: int) -> None:
    assert measure(code, "native") == (instructions, cycles)
    assert measure(code, "python") == (instructions, cycles)


def test_a_block_that_faults_counts_what_ran(program: Callable[..., Any]) -> None:
    counts = []
    for rest in ("", "adds r1, #1; ldr r2, [r0]; muls r1, r1"):
        machine = Machine(program("fault", f'CODE="movs r1, #1; ldr r0, =0x60000000; ldr r3, [r0]; {rest}"').image)
        with pytest.raises(EmulatorFault):
            machine.run()
        counts.append((machine.instructions, machine.cycles))
    assert counts[0] == counts[1]


def test_max_instructions(program: Callable[..., Any]) -> None:
    machine = Machine(program("counting", 'CODE="1: adds r3, #1; b 1b"').image)
    assert machine.run(max_instructions=10_000) == "limit"
    assert 10_000 <= machine.instructions < 10_010
    assert machine.run(max_instructions=10) == "limit"
    assert machine.run(max_cycles=1000) == "limit"


def test_wait_states(program: Callable[..., Any]) -> None:
    """A literal load from the image, and loads of all sizes from the model region."""
    code = (
        "ldr r3, =0x40000; ldr r4, [r3]; ldrb r4, [r3, #1]; ldr r4, [r3, #2]; ldrd r4, r5, [r3]; ldm r3, {r4, r5, r6}"
    )
    made = program("counting", f'CODE="{code}"')
    model = bytes(range(1, 65))
    cycles = {}
    for count in ("native", "python"):
        for states in (0, 2):
            machine = Machine(made.image, model, count=count, wait_states=states)
            machine.run()
            cycles[count, states] = machine.cycles
            assert machine.core["r6"] == 0x0C0B0A09
            if states:
                assert machine.flash_reads == 1 + 1 + 2 + 2 + 3
    literals = 2  # the addresses of CPACR and of the buffer
    assert cycles["native", 2] - cycles["native", 0] == 2 * (9 + literals)
    assert cycles["python", 2] == cycles["native", 2]


def test_cyccnt_is_the_estimate(program: Callable[..., Any]) -> None:
    machine = Machine(program("speed").image)
    transport = EmulatorTransport(machine)
    transport.read(0.001)
    before = machine.cycles
    transport.write(b"\x05")
    assert transport.read(5.0)
    shown = results(machine, 1)[0]
    assert shown == pytest.approx(machine.cycles - before, rel=0.001)
    assert shown > 100_000


def test_native_counting_costs_less_than_half_the_speed(program: Callable[..., Any]) -> None:
    image = program("speed").image
    best = {"native": 1e9, "off": 1e9}
    transports = {count: EmulatorTransport(Machine(image, count=count)) for count in best}
    for _ in range(4):  # the best of several, interleaved: other programs run on this computer too
        for count, transport in transports.items():
            transport.write(b"\xc8")
            start = time.perf_counter()
            assert transport.read(60.0)
            best[count] = min(best[count], time.perf_counter() - start)
    assert transports["native"].machine.counting == "native"
    assert transports["off"].machine.counting == "off"
    assert best["native"] < 2 * best["off"]


def test_without_a_compiler_one_request_is_counted_and_repeated(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxino.compile_cache.find_compiler", lambda: None)
    machine = Machine(program("speed").image)
    assert machine.counting == "python"
    assert machine.count_note is not None
    assert "no C compiler" in machine.count_note
    machine = Machine(program("speed").image, count="off")
    assert machine.count_note is None


def test_native_without_a_compiler_is_an_error(program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino.compile_cache import CompileError

    monkeypatch.setattr("onnxino.compile_cache.find_compiler", lambda: None)
    with pytest.raises(CompileError, match="no C compiler found"):
        Machine(program("speed").image, count="native")


def test_costs_agree_with_the_yardstick(shared: Path, program: Callable[..., Any]) -> None:
    """Each instruction of a program costs what the model that published figures were counted with says, FPU stalls
    apart."""
    path = shared / "design" / "m4_cycle_model.py"
    if not path.is_file():
        pytest.skip("the cycle model of the published figures is not there")
    spec = importlib.util.spec_from_file_location("m4_cycle_model", path)
    assert spec is not None
    assert spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    import capstone

    from onnxino_tools.emulator import costs

    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB + capstone.CS_MODE_MCLASS)
    engine.detail = True
    firmware = Path(__file__).resolve().parents[2] / "firmware/boards/nano33ble/prebuilt/onnxino-nano33ble.bin"
    image = firmware.read_bytes() if firmware.is_file() else program("fp_context").image
    compared, at = 0, 0x100
    while at < len(image) - 4:
        before, last = None, None
        for insn in engine.disasm(image[at:], 0x10000 + at):
            mine = costs.instruction(insn)
            cycles = costs.cost(mine, last)
            if last is not None and last.name in costs._FLOAT_RESULT:
                cycles = costs._base_cost(mine, last)
            assert cycles == model.cost(insn, before, agu=True), f"{before} {insn}"
            kind = {None: "", "cond": "maybe", "always": "always"}[model.branch_kind(insn)]
            assert mine.branch == kind, str(insn)
            before, last = insn, mine
            compared += 1
            at += insn.size
        at += 2
    assert compared > 500
