"""Compiling C once for the hook and the host backend: the cache, and what is said when it fails."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from onnxino.compile_cache import CompileError, cache_dir, find_compiler, shared_library

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / "tools/onnxino_tools/emulator/block_hook.c"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(tmp_path / "cache with spaces"))
    if find_compiler() is None:
        pytest.skip("no C compiler")
    return tmp_path / "cache with spaces"


def source(folder: Path, number: int) -> Path:
    path = folder / "answer.c"
    path.write_text(f"#ifdef _WIN32\n__declspec(dllexport)\n#endif\nint answer(void) {{ return {number}; }}\n")
    return path


def test_compiled_once(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared_library("answer", [source(tmp_path, 42)])
    assert ctypes.CDLL(str(path)).answer() == 42
    assert path.parent == own_cache == cache_dir()
    monkeypatch.setattr("subprocess.run", None)  # not called again
    assert shared_library("answer", [source(tmp_path, 42)]) == path
    assert [entry.name for entry in own_cache.iterdir()] == [path.name]  # nothing half-made is left


def test_a_change_compiles_anew(tmp_path: Path) -> None:
    first = shared_library("answer", [source(tmp_path, 1)])
    second = shared_library("answer", [source(tmp_path, 2)])
    third = shared_library("answer", [source(tmp_path, 2)], ["-O1"])
    header = tmp_path / "a.h"
    header.write_text("/* 1 */")
    fourth = shared_library("answer", [source(tmp_path, 2)], ["-O1"], [header])
    assert len({first, second, third, fourth}) == 4
    assert ctypes.CDLL(str(second)).answer() == 2


def test_errors_are_told(tmp_path: Path, own_cache: Path) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int answer(void) { return nothing; }\n")
    with pytest.raises(CompileError, match=r"(?s)failed on broken:.*nothing"):
        shared_library("broken", [broken])
    assert list(own_cache.iterdir()) == []


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert find_compiler() is None
    with pytest.raises(CompileError, match="no C compiler found") as caught:
        shared_library("answer", [source(tmp_path, 1)])
    assert caught.value.hint == "pip install 'onnxino[toolchain]'"


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(tmp_path / "file" / "none"))
    with pytest.raises(CompileError, match=r"the folder for compiled code '.*none' cannot be written: ") as caught:
        shared_library("answer", [source(tmp_path, 1)])
    assert "ONNXINO_CACHE_DIR" in str(caught.value.hint)


def test_a_folder_that_cannot_be_written(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    with pytest.raises(CompileError, match=r"cache with spaces' cannot be written: Permission denied"):
        shared_library("answer", [source(tmp_path, 1)])


@pytest.mark.skipif(os.name != "posix", reason="makes an executable file")
def test_a_compiler_that_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "fakecc"
    fake.write_text("not a program")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(CompileError, match="cannot run the C compiler"):
        shared_library("answer", [source(tmp_path, 1)])


def test_the_hook_compiles_without_warnings() -> None:
    shared_library("hook", [HOOK], ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"])
