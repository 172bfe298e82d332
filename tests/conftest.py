"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Models and datasets that are no part of the project: $ONNXINO_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("ONNXINO_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no shared models and datasets at {folder}; set ONNXINO_SHARED")
    return folder


@pytest.fixture(scope="session")
def c_backend_missing() -> str | None:
    """Why the C backend cannot run here, or None."""
    try:
        from onnxino.backends.c import CBackend  # noqa: F401
    except ImportError as error:
        return f"the C backend is not there: {error}"
    import shutil
    from importlib.util import find_spec

    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")) and find_spec("ziglang") is None:
        return "neither a C compiler nor ziglang is installed"
    return None


@pytest.fixture(params=["numpy", "c"])
def backend(request: pytest.FixtureRequest, c_backend_missing: str | None) -> str:
    """Name of each backend that computes in this process."""
    if request.param == "c" and c_backend_missing:
        pytest.skip(c_backend_missing)
    return str(request.param)
