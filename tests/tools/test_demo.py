"""demo: the digits over a pty, and what it asks for. The waste sorter: test_waste_sorter.py."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from onnxino_tools.commands import demo
from onnxino_tools.commands.serial_eval import matrix
from tests.tools.conftest import Command

pytest.importorskip("unicorn")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no ptys")
def test_digits(onnxino: Command, tmp_path: Path) -> None:
    code, out, err = onnxino("demo", "--data", "digits", "--limit", 30, "-o", tmp_path, "--save", tmp_path / "s.npz")
    assert code == 0
    assert "1/5 convert   digits_int8.onnx -> digits.oxm: 154,784 multiply-adds" in err
    assert "3/5 emulator  the emulated board is running; its serial port is /dev/" in err
    assert "bytes compared   300 with the NumPy reference" in out
    assert "bytes different  0" in out
    assert "estimated by the emulator" in out
    assert "What next:" in err
    assert (tmp_path / "digits.oxm").is_file()
    assert len(np.load(tmp_path / "s.npz")["predictions"]) == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "trashnet"], "--data trashnet needs its images: --data-file F.npz"),
        (["--data", "trashnet", "--data-file", "none.npz"], "there is no file 'none.npz'"),
        (["--data", "trashnet", "--data-file", __file__, "--model", "none.onnx"], "there is no model 'none.onnx'"),
        (["--data-file", "none.npz"], "there is no file 'none.npz'"),
        (["--data", "digits", "--data-file", "none.npz"], "there is no data at 'none.npz'"),
    ],
)
def test_errors(
    onnxino: Command, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(tmp_path))
    code, out, err = onnxino("demo", *arguments)
    assert (code, out) == (1, "")
    assert f"error: {message}" in err


def test_long_class_names_are_cut() -> None:
    assert matrix([[3, 0], [1, 12]], ["a very long class name", "b"]) == [
        "                a very long.   b",
        "  a very long.             3   .",
        "  b                        1  12",
    ]


def test_the_way_back_to_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(tmp_path / ".venv" / "bin" / "onnxino")])
    assert demo._program() == os.path.join(".venv", "bin", "onnxino")
    monkeypatch.setattr("sys.argv", ["main.py"])
    assert demo._program() == "onnxino"
