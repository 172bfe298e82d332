"""Faults in the line: where they strike, what they do, that they repeat, and how they are described."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bootloader_bench import SECOND, wait

from onnxino.errors import InputError
from onnxino_tools.emulator import EmulatorTransport, Machine
from onnxino_tools.emulator.link_faults import BYTE_KINDS, FaultRule, LinkFaults

pytest.importorskip("unicorn")
DATA = bytes(range(200)) + b"end"


@pytest.fixture
def image(program: Callable[..., Any]) -> bytes:
    image: bytes = program("echo_polled").image
    return image


def echo(image: bytes, faults: LinkFaults, data: bytes = DATA, seconds: float = 0.1) -> bytes:
    """What comes back of `data`."""
    machine = Machine(image, link_faults=faults)
    wait(machine, 0.01)
    machine.line.write(data)
    wait(machine, seconds)
    return machine.line.read()


@pytest.mark.parametrize(
    ("spec", "back"),
    [
        ("to-device.drop=@0", DATA[1:]),
        ("to-device.drop=@5+@7", DATA[:5] + DATA[6:7] + DATA[8:]),
        ("from-device.drop=@5", DATA[:5] + DATA[6:]),
        ("drop=@5", DATA[:5] + DATA[7:]),  # the same number in both directions: 5 there, 6 as fifth on the way back
        ("from-device.duplicate=@3", DATA[:4] + DATA[3:]),
        ("to-device.duplicate=@3,to-device.drop=@3", DATA[:3] + DATA[4:]),
        ("drop=@100000", DATA),
    ],
)
def test_bytes(image: bytes, spec: str, back: bytes) -> None:
    assert echo(image, LinkFaults.parse(spec)) == back


def test_one_bit_flips(image: bytes) -> None:
    back = echo(image, faults := LinkFaults.parse("to-device.flip=@10"))
    assert back[:10] + back[11:] == DATA[:10] + DATA[11:]
    assert (back[10] ^ DATA[10]).bit_count() == 1
    assert faults.counters == {"to-device.flip": 1}


@pytest.mark.parametrize("direction", ["to-device", "from-device"])
def test_stall(image: bytes, direction: str) -> None:
    machine = Machine(image, link_faults=LinkFaults.parse(f"{direction}.stall=@50:200ms"))
    wait(machine, 0.01)
    machine.line.write(DATA)
    wait(machine, 0.15)
    assert machine.line.read() == DATA[:50]
    wait(machine, 0.1)
    assert machine.line.read() == DATA[50:]


@pytest.mark.parametrize("direction", ["to-device", "from-device"])
@pytest.mark.parametrize("at", [0, 1, 60])
def test_unplug_at_a_byte(image: bytes, direction: str, at: int) -> None:
    machine = Machine(image, link_faults=LinkFaults.parse(f"{direction}.unplug=@{at}:300ms"))
    wait(machine, 0.01)
    machine.line.write(DATA)
    wait(machine, 0.2)
    assert not machine.powered
    back = machine.line.read()
    assert len(back) <= at
    assert back == DATA[: len(back)]
    machine.line.write(b"nobody is there")
    wait(machine, 0.2)
    assert machine.powered
    machine.line.write(b"again")
    wait(machine, 0.1)
    assert machine.line.read() == b"again"


def test_brownouts_in_flash_writes() -> None:
    faults = LinkFaults.parse("brownout=@0+@1030+@1031:100ms")
    machine = Machine(bootloader="bl2", link_faults=faults)
    bootloader = machine.startup.bootloader
    assert bootloader is not None
    for count in (1, 2, 3):
        machine.run(until=lambda: machine.bootloader_waits)
        while faults.total < count:
            bootloader.receive(b"S00000000,00001000#" + bytes(4096) + b"Y00000000,0#Y00000000,00001000#")
            machine.run(until=lambda: not bootloader.busy)
            machine.run(max_cycles=1000)
    assert faults.counters == {"brownout": 3}
    assert machine.bus.nvmc.cells.count == 1032
    machine.run(until=lambda: machine.bootloader_waits)


@pytest.mark.parametrize("kind", ["drop", "flip", "duplicate"])
def test_rates(image: bytes, kind: str) -> None:
    sizes = []
    data = bytes(8000)
    for seed in (1, 1, 2):
        faults = LinkFaults([FaultRule(kind, "to-device", rate=0.02)], seed)
        back = echo(image, faults, data, 0.5)
        count = faults.counters[f"to-device.{kind}"]
        assert 110 <= count <= 210  # 160 expected
        changed = {"drop": len(data) - len(back), "duplicate": len(back) - len(data), "flip": sum(map(bool, back))}
        assert changed[kind] == count
        sizes.append((count, back))
    assert sizes[0] == sizes[1] != sizes[2]


def test_bytes_are_numbered_over_all_writes(image: bytes) -> None:
    machine = Machine(image, link_faults=LinkFaults.parse("to-device.drop=@4"))
    for piece in (b"ab", b"c", b"def"):
        machine.line.write(piece)
    wait(machine, 0.05)
    assert machine.line.read() == b"abcdf"


def test_the_transport_goes_through_them(image: bytes) -> None:
    faults = LinkFaults.parse("from-device.drop=@1")
    with EmulatorTransport(Machine(image, link_faults=faults)) as transport:
        transport.write(b"abc")
        back = b""
        while part := transport.read(0.01):
            back += part
    assert back == b"ac"
    assert faults.total == 1


def test_without_faults_the_line_is_what_it_was(image: bytes) -> None:
    machine = Machine(image)
    machine.line.write(DATA)
    machine.run(max_cycles=SECOND // 100)
    assert machine.line.has_data
    assert machine.line.read() == DATA
    assert machine.line.read() == b""


@pytest.mark.parametrize(
    ("spec", "rules", "seed"),
    [
        ("drop=0.5", [FaultRule("drop", rate=0.5)], 0),
        ("seed=7, flip=1e-4", [FaultRule("flip", rate=1e-4)], 7),
        ("from-device.stall=1e-5:50ms", [FaultRule("stall", "from-device", rate=1e-5, seconds=0.05)], 0),
        ("unplug=@5:1s,brownout=@4+7", [FaultRule("unplug", at=(5,), seconds=1), FaultRule("brownout", at=(4, 7))], 0),
        ("to-device.duplicate=@1+@2,", [FaultRule("duplicate", "to-device", at=(1, 2))], 0),
    ],
)  # fmt: skip
def test_descriptions(spec: str, rules: list[FaultRule], seed: int) -> None:
    faults = LinkFaults.parse(spec)
    assert (faults.rules, faults.seed) == (rules, seed)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "names no fault"),
        ("seed=3", "names no fault"),
        ("drop", "'drop' says no '='"),
        ("lose=0.1", "there is no link fault 'lose'; known are drop, flip"),
        ("up.drop=0.1", "there is no direction 'up'"),
        ("drop=often", "'often' in 'drop=often' is neither a rate nor @NUMBER"),
        ("drop=1.0", "drop: neither a rate between 0 and 1"),
        ("drop=-0.1", "drop: neither a rate between 0 and 1"),
        ("drop=0", "drop: neither a rate between 0 and 1"),
        ("drop=nan", "drop: neither a rate between 0 and 1"),
        ("drop=@x", "'x' in 'drop=@x' is no whole number"),
        ("drop=@-1", "'-1' in 'drop=@-1' is no whole number"),
        ("seed=x,drop=0.1", "'x' in 'seed=x' is no whole number"),
        ("stall=0.1:soon", "'soon' in 'stall=0.1:soon' is no time"),
        ("stall=0.1:-1s", "stall: a time of -1 s; above 0 and up to 3600 was expected"),
        ("drop=0.1:1s", "drop: a time of 1 s was given, but it takes none; stall, unplug, brownout do"),
        ("to-device.brownout=@1", "a brown-out happens in a flash write"),
    ],
)
def test_wrong_descriptions(spec: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        LinkFaults.parse(spec)
    assert message in caught.value.message
    assert "is expected" in (caught.value.hint or "")


def test_they_belong_to_one_machine(image: bytes) -> None:
    faults = LinkFaults.parse("drop=0.1")
    Machine(image, link_faults=faults)
    with pytest.raises(InputError, match="belong to another machine"):
        Machine(image, link_faults=faults)


def test_kinds() -> None:
    assert BYTE_KINDS == ("drop", "flip", "duplicate", "stall", "unplug")
