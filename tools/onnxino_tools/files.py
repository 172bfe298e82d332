"""Files that are there complete or not at all, and known to be writable before the work whose result they hold."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from onnxino.errors import InputError

_HINT = "choose another place, or free it: the folder must exist or be creatable, and be writable"
_MADE = (".onnx", ".oxm", ".c", ".h", ".json")
_SEPARATORS = tuple(s for s in (os.sep, os.altsep) if s)


def check_writable(path: str | os.PathLike[str], example: str = "result.npz") -> None:
    """Makes the file's folder and a temporary file in it, which is removed again. Raises InputError if that fails."""
    text = os.fspath(path)
    with _explained(text):
        if text.endswith(_SEPARATORS) or Path(text).is_dir():
            raise InputError(
                f"'{text}' is a folder, the name of a file was expected", f"add a name: {Path(text) / example}"
            )
        target = _target(text)
        if target.exists() and not os.access(target, os.W_OK):
            raise InputError(f"'{text}' cannot be written: Permission denied", _HINT)
        if _is_special(target):
            return
        partial = _partial(target)
        partial.touch(exist_ok=False)
        partial.unlink()


def check_apart(outputs: Sequence[str | os.PathLike[str]], inputs: Sequence[str | os.PathLike[str]]) -> None:
    """Raises InputError where a file to be written is one that is read (or lies in a folder of data), or another one
    to be written: links are followed."""
    taken = {Path(os.path.realpath(path)): f"is read here ('{os.fspath(path)}')" for path in inputs}
    for output in outputs:
        target = Path(os.path.realpath(output))
        clash = taken.get(target)
        if clash is None and target.is_file() and target.suffix.lower() not in _MADE:  # what was made may be made again
            clash = next((said for path, said in taken.items() if path in target.parents and path.is_dir()), None)
        if clash is not None:
            raise InputError(
                f"'{os.fspath(output)}' would be overwritten, but it {clash}", "choose another name for it"
            )
        taken[target] = "is written here already"


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Writes a file through a temporary one beside it, which takes its place at the end; makes the folder.

    What is no regular file (/dev/stdout) is written directly. Raises InputError where it cannot be written.
    """
    _write(os.fspath(path), [(Path(path), write)])


def write_all(folder: Path, files: Sequence[tuple[str, bytes]]) -> None:
    """Writes (name, content) into a folder, which is made: all of them beside their places first, then into them.

    Raises InputError where that fails; then no file is changed but for a failure between two renames.
    """

    def writer(content: bytes) -> Callable[[BinaryIO], None]:
        return lambda file: _discard(file.write(content))

    _write(str(folder), [(folder / name, writer(content)) for name, content in files])


def _write(name: str, files: Sequence[tuple[Path, Callable[[BinaryIO], None]]]) -> None:
    made: list[tuple[Path, Path]] = []
    try:
        with _explained(name):
            for path, write in files:
                target = _target(path)
                if _is_special(target):
                    with open(target, "wb") as file:
                        write(file)
                    continue
                made.append((_partial(target), target))
                with open(made[-1][0], "xb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, made[-1][0])
            while made:
                os.replace(*made[0])
                made.pop(0)
    finally:
        for partial, _ in made:
            with suppress(OSError):
                partial.unlink()


@contextmanager
def _explained(name: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"'{name}' cannot be written: {error.strerror or error}", _HINT) from error


def _target(path: str | os.PathLike[str]) -> Path:
    """Where the content belongs: a symbolic link stays one. Makes the folder."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _is_special(target: Path) -> bool:
    return target.exists() and not target.is_file() and not target.is_dir()


def _partial(target: Path) -> Path:
    # Without the target's name, which may be as long as the file system allows.
    return target.with_name(f".onnxino-{secrets.token_hex(6)}.part")


def _discard(_: object) -> None:
    """For a lambda that returns nothing."""
