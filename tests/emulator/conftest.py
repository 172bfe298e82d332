"""Compiles small programs for the emulated chip, with arm-none-eabi-gcc or ziglang."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onnxino_tools.emulator import Machine

SOURCES = Path(__file__).with_name("firmware")
_GCC = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
_ZIG = [
    sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp",
    "-fno-sanitize=all", "-Wl,-e,start",
]  # fmt: skip
_FLAGS = [
    "-O2",
    "-std=gnu11",
    "-ffreestanding",
    "-fno-strict-aliasing",
    "-nostdlib",
    "-static",
    "-ffp-contract=off",
    "-Wno-array-bounds",
]


@dataclass(frozen=True)
class Program:
    """A flat image linked at 0x10000, and the ELF that it comes from."""

    image: bytes
    elf: bytes


@pytest.fixture(scope="session")
def compiler() -> list[str]:
    if shutil.which("arm-none-eabi-gcc"):
        return _GCC
    if find_spec("ziglang") is not None:
        return _ZIG
    pytest.skip("neither arm-none-eabi-gcc nor ziglang is installed: the test programs cannot be compiled")


@pytest.fixture(scope="session")
def program(compiler: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Program]:
    """program("echo_polled", "DEFINE=1") compiles tests/emulator/firmware/echo_polled.c."""
    pytest.importorskip("unicorn")
    pytest.importorskip("capstone")
    folder = tmp_path_factory.mktemp("programs")
    made: dict[tuple[str, ...], Program] = {}

    def build(name: str, *defines: str) -> Program:
        key = (name, *defines)
        if key not in made:
            elf = folder / f"{name}{len(made)}.elf"
            command = [
                *compiler,
                *_FLAGS,
                *(f"-D{d}" for d in defines),
                "-I",
                str(SOURCES),
                "-T",
                str(SOURCES / "link.ld"),
            ]
            done = subprocess.run(
                [*command, "-o", str(elf), str(SOURCES / f"{name}.c"), str(SOURCES / "chip.c")],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            made[key] = Program(_flat(elf.read_bytes()), elf.read_bytes())
        return made[key]

    return build


def _flat(elf: bytes) -> bytes:
    """The loadable segments from 0x10000 on."""
    offset, size, count = *struct.unpack_from("<I", elf, 28), *struct.unpack_from("<HH", elf, 42)
    image = bytearray()
    for i in range(count):
        kind, start, _, address, length, *_ = struct.unpack_from("<8I", elf, offset + i * size)
        if kind == 1 and length and 0x10000 <= address < 0x40000:
            at = address - 0x10000
            image.extend(b"\0" * (at + length - len(image)))
            image[at : at + length] = elf[start : start + length]
    return bytes(image)


@pytest.fixture
def run(program: Callable[..., Program]) -> Callable[..., Machine]:
    """run("flash", "DEFINE", count="python") runs a program to its end (asleep) and returns the machine."""
    from onnxino_tools.emulator import Machine

    def start(name: str, *defines: str, **options: object) -> Machine:
        made = program(name, *defines)
        machine = Machine(made.image, elf=made.elf, **options)  # type: ignore[arg-type]
        assert machine.run(max_cycles=640_000_000) == "idle"
        return machine

    return start
