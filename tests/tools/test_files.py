"""Files that are there complete or not at all, and the check before the work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from onnxino.errors import InputError
from onnxino_tools import files
from onnxino_tools.files import check_writable, write_all, write_whole


def test_the_check_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "a.npz")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "old").write_bytes(b"old")
    check_writable(tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"


@pytest.mark.parametrize("place", ["{tmp}/k/", "{tmp}", "{tmp}/file/a.npz"])
def test_places_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    name = place.format(tmp=tmp_path)
    with pytest.raises(InputError, match=r"is a folder|cannot be written: ") as error:
        check_writable(name)
    assert name in error.value.message
    assert error.value.hint


def test_a_failure_in_the_middle_keeps_the_old_file(tmp_path: Path) -> None:
    def half(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(InputError, match="a' cannot be written: No space left on device"):
        write_whole(tmp_path / "a", half)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"old"}


def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two files fails: the first keeps its old content, too."""
    (tmp_path / "a").write_bytes(b"old")
    real, calls = files._partial, iter(range(9))
    monkeypatch.setattr(files, "_partial", lambda t: real(t) if next(calls) == 0 else tmp_path / "no" / "folder")
    with pytest.raises(InputError, match="cannot be written"):
        write_all(tmp_path, [("a", b"new"), ("b", b"new")])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"old"}


def test_nothing_is_in_place_before_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill at any moment leaves under the names asked for: nothing, or whole files."""
    seen: list[tuple[set[str], bytes]] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        seen.append(({p.name for p in tmp_path.iterdir() if p.suffix != ".part"}, source.read_bytes()))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_all(tmp_path, [("a", b"1" * 99), ("b", b"2" * 99)])
    assert seen == [(set(), b"1" * 99), ({"a"}, b"2" * 99)]
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.skipif(os.name != "posix", reason="symbolic links, modes and special files of POSIX")
def test_what_is_there_keeps_its_kind(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "target").chmod(0o640)
    (tmp_path / "link").symlink_to("target")
    write_all(tmp_path, [("link", b"new")])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o640
    assert files._is_special(Path("/dev/null"))  # written to, never replaced
