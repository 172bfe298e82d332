"""The C sources compile without a warning wherever they are promised to, and need no C library."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from onnxino.backends.c import PACKAGE, engine_sources

STRICT = ["-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
M4F = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
ZIG = [sys.executable, "-m", "ziglang", "cc"]
BUILDS = {
    "gcc": ["gcc", "-O2"],
    "clang": ["clang", "-O2"],
    "zig": [*ZIG, "-O2"],
    "zig Cortex-M4F": [*ZIG, "-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4", "-O2"],
    "arm gcc Cortex-M4F": ["arm-none-eabi-gcc", *M4F, "-O2"],
    "arm gcc softfp": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16"],
    "arm gcc Cortex-M0+": ["arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", "-O2"],
}
# What compilers call even in freestanding programs.
ALLOWED = {"memcpy", "memset", "memcmp", "memmove"}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Compiles all sources with one of BUILDS (once) and returns the object files; skips without that compiler."""

    @cache
    def compile_all(name: str) -> list[str]:
        command = BUILDS[name]
        if command[0] == sys.executable:
            if importlib.util.find_spec("ziglang") is None:
                pytest.skip("ziglang is not installed")
        elif shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        folder = tmp_path_factory.mktemp("objects")
        made: list[str] = []
        for source in engine_sources():
            made.append(str(folder / f"{source.stem}.o"))
            line = [*command, *STRICT, f"-I{PACKAGE}", "-c", str(source), "-o", made[-1]]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return made

    return compile_all


Objects = Callable[[str], list[str]]


@pytest.mark.parametrize("name", BUILDS)
def test_compiles_without_warnings(name: str, objects: Objects) -> None:
    assert len(objects(name)) > 15


def nm(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_no_globals_and_no_library(objects: Objects) -> None:
    symbols = [
        line.split(":", 1)[1].split()[-2:] for line in nm("arm-none-eabi-nm", "-A", *objects("arm gcc Cortex-M4F"))
    ]
    defined = {name for kind, name in symbols if kind not in "U"}
    assert not [name for kind, name in symbols if kind in "BbDdCc"], "writable data"
    missing = {name for kind, name in symbols if kind == "U"} - defined - ALLOWED
    assert not {name for name in missing if not name.startswith("__aeabi_")}
    assert not {name for name in missing if name.startswith("__aeabi_d")}, "double arithmetic has no place on this core"


def test_every_global_name_has_the_prefix(objects: Objects) -> None:
    lines = nm("nm", "-g", "--defined-only", *objects("gcc"))
    names = {line.split()[-1] for line in lines if len(line.split()) == 3}
    assert names
    assert all(name.startswith("onx_") for name in names)


def test_texts_can_be_left_out(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    target = tmp_path / "status.o"
    source = str(PACKAGE / "engine" / "status.c")
    line = ["gcc", *STRICT, "-DONX_NO_STATUS_TEXT", f"-I{PACKAGE}", "-c", source, "-o", str(target)]
    subprocess.run(line, check=True)
    assert b"damaged" not in target.read_bytes()


def test_the_public_header_is_c_plus_plus(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    source = tmp_path / "use.cpp"
    source.write_text('#include "engine/onnxino.h"\nonx_session session;\nint main() { return onx_run(&session); }\n')
    subprocess.run(["g++", "-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{PACKAGE}", "-c", str(source),
                    "-o", str(tmp_path / "use.o")], check=True)  # fmt: skip


def test_fast_math_is_refused(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source, target = str(PACKAGE / "ops" / "add.c"), str(tmp_path / "add.o")
    line = ["gcc", "-std=c11", "-ffast-math", f"-I{PACKAGE}", "-c", source, "-o", target]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "without -ffast-math" in done.stderr


@pytest.mark.parametrize("kind", ["c", "h"])
def test_files_are_short_and_say_what_they_are_for(kind: str) -> None:
    for path in sorted(PACKAGE.glob(f"*/*.{kind}")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("/* "), path
        assert max(map(len, lines)) <= 120, path
        assert len(lines) <= 400 or path.name == "model_reader.h", path
