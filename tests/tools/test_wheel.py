"""The wheel: what it carries, and that it runs in an empty environment where there is neither make nor a compiler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("hatchling")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="paths of a POSIX venv")]

CARRIED = {
    "onnxino/engine/onnxino.h",
    "onnxino/ops/conv2d.c",
    "onnxino/ops/conv2d.py",
    "onnxino/schema/model.fbs",
    "onnxino_tools/_firmware/main.c",
    "onnxino_tools/_firmware/boards/nano33ble/linker.ld",
    "onnxino_tools/_firmware/boards/nano33ble/prebuilt/onnxino-nano33ble.bin",
    "onnxino_tools/_firmware/boards/nano33ble/prebuilt/onnxino-nano33ble.json",
    "onnxino_tools/_examples/digits/digits_int8.onnx",
    "onnxino_tools/_examples/digits/digits_test.npz",
    "onnxino_tools/_examples/waste_sorter/waste_sorter_int8.onnx",
    "onnxino_tools/emulator/block_hook.c",
}


def pip(python: str, *argv: str) -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "No matching distribution" in done.stderr:
        pytest.skip(f"no package index in reach: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (path,) = folder.glob("onnxino-*.whl")
    return path


def test_contents(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not CARRIED - names
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"onnxino", "onnxino_converter", "onnxino_tools"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".so", ".o"))]
    assert wheel.stat().st_size < 1_300_000  # 230 KB of examples, 100 KB of firmware; the rest is code


def test_demo_without_make_and_compilers(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    pip(str(binaries / "python"), "install", f"{wheel}[emulator]")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {"PATH": str(empty), "HOME": str(empty), "LANG": "C.UTF-8"}
    start = time.monotonic()
    done = subprocess.run(
        [binaries / "onnxino", "demo", "--json"],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["images"], result["bytes_different"]) == (1000, 0)
    assert result["accuracy"] > 0.96
    operators = sum(layer["cycles"] for layer in result["layers"])  # of one image that ran by itself
    assert result["latency_ms_median"] == pytest.approx(operators / 64_000, rel=0.01)
    assert re.search(r"note: .*cycles are counted once", done.stderr)
    assert seconds < 120
    # What needs an extra that is not there says how to get it.
    for argv, extra in ((["build"], "toolchain"), (["run", "M", "p.png"], "images"), (["verify", "M"], "verify")):
        (empty / "p.png").write_bytes(b"")
        model = next((tmp_path / "venv").rglob("digits_int8.onnx"))
        command = [str(binaries / "onnxino"), *(str(model) if a == "M" else a for a in argv)]
        refused = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
        assert refused.returncode == 1, refused.stderr
        assert f"hint: pip install 'onnxino[{extra}]'" in refused.stderr
