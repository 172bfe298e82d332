"""Building the image: both compilers, reproducible bytes, what the bootloader needs, errors; shared numbers."""

from __future__ import annotations

import json
import re
import shutil
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import onnxino
from onnxino.boards import NANO33BLE
from onnxino.errors import MissingExtraError
from onnxino_tools import build
from onnxino_tools.build import BuildError, Sources, build_firmware, check_image, elf_to_image, find_sources
from onnxino_tools.build_sizes import FLASH_LIMIT, RAM_LIMIT

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = [
    pytest.param("zig", marks=pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed")),
    pytest.param("gcc", marks=pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc")),
]


def _defines(path: Path) -> dict[str, int]:
    found = re.findall(r"#define ONX_(\w+) (0x[0-9A-Fa-f]+|\d+)u?\n", path.read_text("utf-8"))
    return {name: int(value, 0) for name, value in found}


def test_the_firmware_has_the_boards_numbers() -> None:
    c = _defines(ROOT / "firmware" / "boards" / "nano33ble" / "board_config.h")
    board = NANO33BLE
    assert c == {
        "BOARD_ID": board.board_id,
        "BOARD_CLOCK_HZ": board.clock_hz,
        "BOARD_PAGE_SIZE": board.page_size,
        "BOARD_IMAGE_ADDRESS": board.image_address,
        "BOARD_IMAGE_SIZE": board.image_size,
        "BOARD_MODEL_ADDRESS": board.model_address,
        "BOARD_MODEL_SIZE": board.model_size,
        "BOARD_ARENA_SIZE": board.arena_size,
    }
    script = (ROOT / "firmware" / "boards" / "nano33ble" / "linker.ld").read_text("utf-8")
    assert f"ORIGIN = 0x{board.image_address:X}, LENGTH = 0x{board.image_size:X}" in script
    assert f"ORIGIN = 0x{board.ram_address:X}, LENGTH = 0x{board.ram_size:X}" in script
    assert f". = . + 0x{board.arena_size:X};" in script


def test_the_firmware_has_the_packages_version() -> None:
    c = _defines(ROOT / "firmware" / "version.h")
    assert ".".join(str(c[f"FIRMWARE_{part}"]) for part in ("MAJOR", "MINOR", "PATCH")) == onnxino.__version__


@pytest.mark.parametrize("compiler", COMPILERS)
def test_an_image_is_reproducible_wherever_it_is_built(tmp_path: Path, compiler: str) -> None:
    here = find_sources()
    folder = tmp_path / "a path with spaces, 中文"
    there = Sources(folder / "firmware", folder / "onnxino")
    shutil.copytree(here.firmware, there.firmware)
    for part in ("engine", "ops", "camera"):
        shutil.copytree(here.runtime / part, there.runtime / part)
    first = build_firmware(tmp_path / "one", compiler, strict=True)
    second = build_firmware(folder / "two", compiler, sources=there)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".elf").is_file()
    check_image(first.read_bytes())
    assert len(first.read_bytes()) < NANO33BLE.image_size
    assert build.sources_sha256() == build.sources_sha256(sources=there)
    if build.compiler_version(compiler) == _description()["compiler"]:
        assert first.read_bytes() == build.firmware_image()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_firmware_keeps_within_its_memory(tmp_path: Path, compiler: str) -> None:
    built = build.build(tmp_path, compiler)
    sizes = built.sizes
    assert sizes.image == built.path.stat().st_size
    assert 8000 < sizes.firmware <= FLASH_LIMIT
    assert 4096 + 2176 < sizes.ram <= RAM_LIMIT
    assert sizes.arena == NANO33BLE.arena_size
    print(sizes)


def _description() -> dict[str, str]:
    return json.loads(build.prebuilt_path().with_suffix(".json").read_text("utf-8"))


def test_the_committed_image_is_of_todays_sources() -> None:
    assert build.prebuilt_is_fresh(), "run: make firmware"


def test_the_committed_image_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.firmware_image()[:8]
    path = tmp_path / "image.bin"
    monkeypatch.setattr(build, "prebuilt_path", lambda board=NANO33BLE: path)
    with pytest.raises(BuildError, match="cannot be read"):
        build.firmware_image()
    assert not build.prebuilt_is_fresh()
    path.write_bytes(b"image")
    path.with_suffix(".json").write_text('{"sha256": "00"}', "utf-8")
    with pytest.raises(BuildError, match="damaged"):
        build.firmware_image()
    assert not build.prebuilt_is_fresh()


def test_sources_inside_the_installed_package_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "onnxino_tools"
    package.mkdir(parents=True)
    monkeypatch.setattr(build, "__file__", str(package / "build.py"))
    with pytest.raises(BuildError, match="sources were not found"):
        find_sources()
    shutil.copytree(ROOT / "firmware", package / "_firmware")
    assert find_sources().firmware == package / "_firmware"


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BuildError, match="arm-none-eabi-gcc is not on PATH"):
        build_firmware(tmp_path, "gcc")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="toolchain"):
        build_firmware(tmp_path, "zig")


def test_wrong_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no compiler 'rustc'") as error:
        build_firmware(tmp_path, "rustc")
    assert "zig, gcc" in str(error.value.hint)
    with pytest.raises(BuildError, match="no board 'uno'"):
        build_firmware(tmp_path, board="uno")


def test_a_compilers_message_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; sys.exit('main.c:1: error: expected expression')"
    monkeypatch.setattr(build, "find_compiler", lambda compiler: [sys.executable, "-c", script])
    with pytest.raises(BuildError, match=r"exit code 1:\nmain.c:1: error: expected expression"):
        build_firmware(tmp_path)


def _elf(address: int, data: bytes) -> bytes:
    header = bytearray(52)
    header[:6] = b"\x7fELF\x01\x01"
    struct.pack_into("<I", header, 28, 52)
    struct.pack_into("<HH", header, 42, 32, 1)
    return bytes(header) + struct.pack("<8I", 1, 84, address, address, len(data), len(data), 5, 4) + data


GOOD = struct.pack("<II", 0x20002000, 0x10009) + bytes(8)


def test_an_elf_becomes_an_image() -> None:
    assert elf_to_image(_elf(0x10000, GOOD)) == GOOD


@pytest.mark.parametrize(
    ("elf", "message"),
    [
        (b"MZ", "not a 32-bit"),
        (_elf(0x8000, GOOD), "does not fit: it reaches from 0x8000"),
        (_elf(0x3FFF8, GOOD), "does not fit"),
        (_elf(0x10000, b"\0" * 4), "an image of 4 bytes"),
        (_elf(0x10000, struct.pack("<II", 0x10002000, 0x10009)), "no stack pointer"),
        (_elf(0x10000, struct.pack("<II", 0x20002000, 0xFFFFFFFF)), "reset vector 0xFFFFFFFF"),
        (_elf(0x10000, struct.pack("<II", 0x20002000, 0x10008) + bytes(8)), "reset vector 0x00010008"),
    ],
)
def test_what_the_bootloader_would_not_start_is_refused(elf: bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        elf_to_image(elf)


def test_without_ziglang_the_other_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(build.shutil, "which", lambda name: "/bin/gcc" if name == "arm-none-eabi-gcc" else None)
    with pytest.raises(MissingExtraError) as caught:
        build.find_compiler("zig")
    assert "pip install 'onnxino[toolchain]'" in str(caught.value.hint)
    assert "onnxino build --compiler gcc" in str(caught.value.hint)
