"""docs/operators.md is what the operator tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATOR = ROOT / "docs" / "generate_operators.py"


def test_operators_md_is_fresh() -> None:
    done = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_operator_has_its_row() -> None:
    from onnxino.schema.model import KERNELS
    from onnxino_converter.importer.handlers import MICROSOFT, ONNX

    text = (ROOT / "docs" / "operators.md").read_text("utf-8")
    for name in (*ONNX, *MICROSOFT, *(kernel.__name__ for kernel in KERNELS)):
        assert f"\n| {name} |" in text, name


def test_a_stale_file_is_noticed(tmp_path: Path) -> None:
    """The generator in a copy of the project's folders whose document was edited."""
    for folder in ("runtime", "converter", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / GENERATOR.name).write_bytes(GENERATOR.read_bytes())
    text = (ROOT / "docs" / "operators.md").read_text("utf-8")
    (tmp_path / "docs" / "operators.md").write_text(text.replace("| Softmax |", "| Softmin |"), "utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "docs" / GENERATOR.name, "--check"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "docs/operators.md is older than the operator tables" in done.stderr
    assert "hint: make generate" in done.stderr
