"""Fixtures for the tests of compression."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.tools.compress import nets


@pytest.fixture(scope="session")
def network() -> onnx.ModelProto:
    """A classifier of stripes, float32."""
    return nets.network()


@pytest.fixture
def model(network: onnx.ModelProto, tmp_path: Path) -> Path:
    """It as a file."""
    path = tmp_path / "stripes.onnx"
    onnx.save(network, path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """90 images to train, 45 to choose, 30 to test."""
    return nets.save(tmp_path / "stripes.npz")
