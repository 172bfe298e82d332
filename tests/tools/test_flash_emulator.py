"""flash into the emulated board in this process: both bootloaders, all beginnings, and power that fails."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxino.errors import LinkError
from onnxino.schema.codec import encode
from onnxino_tools.build import firmware_image
from onnxino_tools.flasher import flash
from onnxino_tools.image_mark import seal
from tests.tools.conftest import Command
from tests.tools.models import tiny_model

pytest.importorskip("unicorn")

from onnxino_tools.emulator import Machine
from onnxino_tools.emulator.link_faults import LinkFaults
from onnxino_tools.flasher.emulated import EmulatedPorts

IMAGE = firmware_image()
MODEL = encode(tiny_model())
OLD = seal(IMAGE.replace(b"model", b"MODEL"))  # other texts, on several pages


def flash_of(machine: Machine, address: int, size: int) -> bytes:
    return bytes(machine.memory.flash_read(address, size))


def outside(machine: Machine) -> bytes:
    """Where the bootloader lives, in either generation."""
    return flash_of(machine, 0, 0x10000) + flash_of(machine, 0xE0000, 0x20000)


@pytest.fixture(params=["bl1", "bl2"])
def ports(request: pytest.FixtureRequest) -> Iterator[EmulatedPorts]:
    with EmulatedPorts(request.param) as ports:
        yield ports


@pytest.mark.parametrize("before", ["empty", "sketch", "half"])
def test_beginnings(ports: EmulatedPorts, before: str) -> None:
    memory = ports.machine.memory
    ports.sleep(0.6)  # two resets in a row would be a double-tap
    if before == "sketch":  # whatever it is, it does not crash: an endless loop
        memory.flash_write(0x10000, IMAGE[:4] + b"\x09\x00\x01\x00" + b"\xfe\xe7" * 30_000)
    if before == "half":
        memory.flash_write(0x11000, IMAGE[0x1000:0x8000])
    ports.machine.reset()
    kept = outside(ports.machine)
    if before == "sketch":  # it has no USB: only the reset button helps
        ports.sleep(1.0)
        with pytest.raises(LinkError, match="no board was found"):
            flash(None, MODEL, ports=ports)
        ports.machine.reset()
        ports.sleep(0.2)
        ports.machine.reset()
    result = flash(None, MODEL, ports=ports)
    assert (result.method, result.image, result.model) == ("bootloader", "written", "written")
    assert flash_of(ports.machine, 0x10000, len(IMAGE)) == IMAGE
    assert flash_of(ports.machine, 0x40000, len(MODEL)) == MODEL
    assert result.hello is not None
    assert result.hello.model_name == "tiny"
    assert outside(ports.machine) == kept
    # The firmware is there: 1200 baud starts the bootloader, and nothing differs.
    again = flash(IMAGE, MODEL, ports=ports, method="bootloader")
    assert (again.method, again.pages_written, again.image, again.model) == ("bootloader", 0, "unchanged", "unchanged")
    assert flash(None, MODEL, ports=ports).method == "application"


@pytest.mark.parametrize("seed", range(4))
def test_power_that_fails(seed: int) -> None:
    """At a random moment the power goes, in the middle of an erase or a write too. The next call recovers."""
    rng = random.Random(seed)
    with EmulatedPorts(rng.choice(["bl1", "bl2"])) as ports:
        machine = ports.machine
        if seed % 2 == 0:
            flash(OLD, ports=ports)
        kept = outside(machine)
        for _ in range(2):
            _flash_until(ports, ports.now() + 0.7 + 3.5 * rng.random(), MODEL)
            machine.plug()
            assert outside(machine) == kept
        try:
            result = flash(IMAGE, MODEL, ports=ports)
        except LinkError:
            # The erasing of page 0 was cut off, and what is left of its vectors was started: a double-tap helps.
            machine.reset()
            ports.sleep(0.2)
            machine.reset()
            result = flash(IMAGE, MODEL, ports=ports)
        assert flash_of(machine, 0x10000, len(IMAGE)) == IMAGE
        assert result.hello is not None
        assert result.hello.model_valid
        assert outside(machine) == kept


def _flash_until(ports: EmulatedPorts, moment: float, model: bytes) -> None:
    """Flashes until the power fails at `moment`; the program dies with it."""
    step = ports.step

    def stepping(cycles: int, *, stop_at_data: bool = True) -> None:
        left = int((moment - ports.now()) * ports.machine.board.clock_hz)
        if left <= 0:
            ports.machine.unplug()
            raise KeyboardInterrupt
        step(min(cycles, left), stop_at_data=stop_at_data)

    ports.step = stepping  # type: ignore[method-assign]
    try:
        flash(OLD if int(moment * 1000) % 2 else IMAGE, model, ports=ports, wait=1.0, method="bootloader")
    except (KeyboardInterrupt, LinkError):
        pass
    finally:
        ports.step = step  # type: ignore[method-assign]


def test_the_command(onnxino: Command, tiny: Path, tmp_path: Path) -> None:
    argv = ["flash", tiny, "--port", "emulator", "--state", tmp_path / "board.flash", "--bootloader", "bl1"]
    code, out, err = onnxino(*argv, "--json")
    result = json.loads(out)
    assert (code, result["ok"], result["method"]) == (0, True, "bootloader")
    assert (result["image"], result["model"], result["bootloader"]) == ("written", "written", 1)
    assert "writing" in err
    code, out, _ = onnxino(*argv)
    assert code == 0
    assert "model       unchanged, tiny" in out
    assert "bootloader  BL1, the one of 2019" in out


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["a", "b", "c"], 2, "3 files were given"),
        (["--state", "x"], 2, "--state is for --port emulator"),
        (["--bootloader", "bl1", "--port", "COM7"], 2, "--bootloader is for --port emulator"),
        (["nothing.bin"], 1, "'nothing.bin' cannot be read"),
        ([__file__], 1, "is no image for this board"),
        (["--method", "magic"], 2, "invalid choice"),
    ],
)
def test_errors_of_the_command(onnxino: Command, argv: list[str], code: int, message: str) -> None:
    found, out, err = onnxino("flash", *argv)
    assert (found, out) == (code, "")
    assert message in err


@pytest.mark.parametrize("bootloader", ["bl1", "bl2"])
@pytest.mark.parametrize("spec", ["to-device.unplug=@20+@30000+@60001:700ms", "from-device.unplug=@300+@601:300ms"])
def test_unplugged_while_it_is_written(bootloader: str, spec: str) -> None:
    """It is finished in the same call when the board comes back."""
    machine = Machine(bootloader=bootloader, usb=True, link_faults=LinkFaults.parse(spec), faults="deliver")
    with EmulatedPorts(machine=machine) as ports:
        kept = outside(machine)
        result = flash(IMAGE, MODEL, ports=ports)
        assert result.resumed >= spec.count("@") - 1  # the first may strike before anything is written
        assert flash_of(machine, 0x10000, len(IMAGE)) == IMAGE
        assert flash_of(machine, 0x40000, len(MODEL)) == MODEL
        assert outside(machine) == kept


@pytest.mark.parametrize("operation", [0, 1, 5, 700, 5000, 17000])
def test_power_that_fails_in_a_flash_operation(operation: int) -> None:
    spec = f"seed={operation},brownout=@{operation}:400ms"
    machine = Machine(bootloader="bl2", usb=True, link_faults=LinkFaults.parse(spec), faults="deliver")
    with EmulatedPorts(machine=machine) as ports:
        result = flash(IMAGE, MODEL, ports=ports)
        assert result.resumed <= 1
        assert flash_of(machine, 0x10000, len(IMAGE)) == IMAGE
        assert result.hello is not None
        assert result.hello.model_valid
