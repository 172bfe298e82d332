"""Fixtures for the tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxino.schema.codec import encode
from onnxino_tools.main import main
from tests.tools.models import tiny_model

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def onnxino(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process: (exit code, stdout, stderr). No traceback may ever be printed."""

    def run(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model file with input x [batch, 4, 4, 1] float32 and 3 outputs."""
    path = tmp_path / "tiny.oxm"
    path.write_bytes(encode(tiny_model()))
    return path


@pytest.fixture
def tiny_data(tmp_path: Path) -> Path:
    """12 images of class i: row i is white."""
    path = tmp_path / "tiny.npz"
    np.savez(path, **tiny_arrays())
    return path


def tiny_arrays(count: int = 12) -> dict[str, Any]:
    labels = np.arange(count) % 3
    images = np.zeros((count, 4, 4, 1), np.uint8)
    images[np.arange(count), labels] = 255
    split = np.array(["odd" if i % 2 else "even" for i in range(count)])
    return {"images": images, "labels": labels, "classes": np.array(["top", "middle", "low"]), "split": split}
