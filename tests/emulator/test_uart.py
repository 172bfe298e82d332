"""UARTE0: polled and by interrupt, in each way of counting, and the details that a lax model would hide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from emulator_results import results

from onnxino_tools.emulator import EmulatorFault, EmulatorTransport, Machine


def exchange(transport: EmulatorTransport, data: bytes) -> bytes:
    transport.write(data)
    got = b""
    while len(got) < len(data):
        piece = transport.read(1.0)
        if not piece:
            break
        got += piece
    return got


@pytest.mark.parametrize("count", ["native", "python", "off"])
@pytest.mark.parametrize("name", ["echo_polled", "echo_interrupt"])
def test_echo(program: Callable[..., Any], name: str, count: str) -> None:
    machine = Machine(program(name).image, count=count)
    transport = EmulatorTransport(machine)
    for data in (b"a", b"hello", bytes(range(256)) * 2):
        assert exchange(transport, data) == data
    assert machine.warnings == []


def test_interrupts_keep_the_float_context(program: Callable[..., Any]) -> None:
    machine = Machine(program("echo_interrupt").image)
    transport = EmulatorTransport(machine)
    for _ in range(200):
        assert exchange(transport, b"z") == b"z"
        machine.run()  # back to sleep
    wakes, sum_bits = results(machine, 2)
    assert wakes == 200
    assert sum_bits == 0x42C80000  # 100.0


def test_amount_stop_flush_overrun_and_counter(program: Callable[..., Any]) -> None:
    machine = Machine(program("uart_details").image, baud_pacing=True)
    machine.run(max_cycles=1_000_000)
    machine.uart_write(b"12345")
    machine.run(max_cycles=1_000_000)
    machine.uart_write(b"A" + b"bcdefg" + b"lost in the overrun")
    machine.run(max_cycles=64_000_000)
    found = results(machine, 7)
    assert found[0] == 0  # AMOUNT changes at ENDRX only
    assert found[1] == 5
    assert found[2] == 3  # RXTO and ENDRX
    assert found[3] == 6  # the FIFO holds six bytes
    assert found[4] == 1  # OVERRUN, gone after writing it back
    assert found[5] == 5 + 7  # RXDRDY of lost bytes does not come
    assert found[6] == 6
    assert machine.uart_read() == b"bcdefg"


def test_pacing_takes_the_time_of_the_line(program: Callable[..., Any]) -> None:
    machine = Machine(program("echo_polled").image, baud_pacing=True)
    transport = EmulatorTransport(machine)
    transport.read(0.01)
    start = machine.time
    assert exchange(transport, b"x") == b"x"
    assert machine.time - start == pytest.approx(20e-6, rel=0.2)  # 10 bits there and 10 back at 1 Mbaud


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        (1, "easydma", "not in RAM"),
        (2, "uarte", "HFXO"),
        (5, "easydma", "0x2003fffe, 4 bytes"),
    ],
)
def test_misuse_faults(program: Callable[..., Any], case: int, kind: str, words: str) -> None:
    made = program("uart_misuse", f"CASE={case}")
    with pytest.raises(EmulatorFault) as caught:
        Machine(made.image, elf=made.elf).run(max_cycles=1_000_000)
    assert caught.value.kind == kind
    assert words in caught.value.message
    assert "in main" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("case", "words"), [(3, "ENABLE is 4"), (4, "PSEL.TXD")])
def test_misuse_is_noted(run: Callable[..., Machine], case: int, words: str) -> None:
    machine = run("uart_misuse", f"CASE={case}")
    assert machine.uart_read() == b""
    assert [text for text in machine.warnings if words in text]


def test_timeouts_are_emulated_time(program: Callable[..., Any]) -> None:
    machine = Machine(program("echo_polled").image)
    transport = EmulatorTransport(machine)
    assert transport.read(0.25) == b""
    assert machine.time == pytest.approx(0.25, rel=0.01)


def test_a_closed_transport_refuses(program: Callable[..., Any]) -> None:
    from onnxino.errors import LinkError

    with EmulatorTransport(Machine(program("echo_polled").image)) as transport:
        transport.write(b"x")
    transport.close()
    with pytest.raises(LinkError, match="closed"):
        transport.read(0.1)
    with pytest.raises(LinkError, match="closed"):
        transport.write(b"x")


def test_a_fault_reaches_the_link(program: Callable[..., Any]) -> None:
    from onnxino.errors import LinkError

    transport = EmulatorTransport(Machine(program("uart_misuse", "CASE=1").image))
    with pytest.raises(LinkError, match="the device faulted: EasyDMA"):
        transport.read(0.1)
