"""Damaged files: whatever the bytes, the runtime refuses them or runs them without reading or writing outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import engine_models as em
import pytest

from onnxino.schema.codec import encode

Driver = Callable[..., str]


@pytest.fixture(scope="module")
def zoo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zoo") / "zoo.oxm"
    path.write_bytes(encode(em.float_zoo()))
    return path


def test_undamaged_model_runs(driver: Driver, zoo_file: Path) -> None:
    assert driver("run", zoo_file).startswith("0 0 ")


def test_every_truncation_is_refused(driver: Driver, zoo_file: Path) -> None:
    """The driver ends with an error when one is accepted; with a repaired header it may be, but must run cleanly."""
    assert driver("truncate", zoo_file).startswith(f"refused {zoo_file.stat().st_size},")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_flipped_byte_is_refused_and_harmless_with_a_repaired_crc(
    driver: Driver, zoo_file: Path, seed: int
) -> None:
    printed = driver("flip", zoo_file, seed, 5000)
    assert printed.startswith("refused 5000,")
    accepted = int(printed.split()[-1])
    assert 500 < accepted < 4500  # the test reaches both: files that run and files that verification refuses


def test_trailing_bytes_are_ignored(driver: Driver, zoo_file: Path, tmp_path: Path) -> None:
    """On a board, the file lies at the start of a larger region."""
    path = tmp_path / "region.oxm"
    path.write_bytes(zoo_file.read_bytes() + b"\xff" * 4096)
    assert driver("run", path) == driver("run", zoo_file)
