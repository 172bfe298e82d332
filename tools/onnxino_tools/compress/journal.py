"""What a compression has done so far, in DIR/checkpoint: after an interruption the same call goes on from there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError, OnnxinoError
from onnxino_tools.files import write_whole

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDER = "checkpoint"
STATE = "run"  # the file that says of which run a checkpoint is
Masks = dict[str, NDArray[np.bool_]]


def fingerprint(*parts: bytes | str) -> str:
    """SHA-256 over everything that decides the result."""
    from onnxino import __version__

    digest = hashlib.sha256(__version__.encode())
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


class Journal:
    """The stages that are done, of one run; nothing is kept where there is no folder.

    `resumed`: whether stages of an earlier, interrupted call were found. Those of another run are forgotten.
    """

    def __init__(self, folder: Path | None, mark: str) -> None:
        self.folder = None if folder is None else folder / FOLDER
        self.resumed = False
        self.other = False  # what lay there belongs to another run
        self._mark = f"{mark[:16]} "  # before each name: of two runs at a time neither takes what is the other's
        if self.folder is None:
            return
        state = self.folder / STATE
        if state.is_file():
            self.resumed = state.read_text("utf-8") == mark
            self.other = not self.resumed
        if not self.resumed:
            shutil.rmtree(self.folder, ignore_errors=True)
            _write(state, mark.encode())

    def training(self, name: str) -> Path | None:
        """Where a training keeps its own checkpoint."""
        return None if self.folder is None else self.folder / f"{self._mark}{name}.training"

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives (plain JSON values), made once."""
        if self.folder is None:
            return make()
        file = self.folder / f"{self._mark}{name}.json"
        if not file.is_file():
            _write(file, json.dumps(make()).encode())
        return json.loads(file.read_text("utf-8"))

    def model(self, name: str, make: Callable[[], tuple[ModelProto, Mapping[str, NDArray[np.bool_]]]]) -> Any:
        """(model, masks) that `make` gives, made once."""
        import onnx

        if self.folder is None:
            return make()
        file, kept = (self.folder / f"{self._mark}{name}{kind}" for kind in (".onnx", ".npz"))
        if not file.is_file():
            model, masks = make()
            named: dict[str, Any] = {f"mask {key}": value for key, value in masks.items()}
            write_whole(kept, lambda stream: np.savez_compressed(stream, **named))
            _write(file, model.SerializeToString(deterministic=True))
            return model, dict(masks)
        with np.load(kept, allow_pickle=False) as archive:
            found: Masks = {key.removeprefix("mask "): archive[key] for key in archive.files}
        return onnx.load_model_from_string(file.read_bytes()), found

    def close(self) -> None:
        """Removes everything: the run is over."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _check_own(folder: Path) -> None:
    """Raises InputError for a folder (or file) that no compression made: it would be removed at the end."""
    if folder.is_dir():
        # A comparison has folders with checkpoints of their own; what was killed at once left a part of a file or none.
        held = [path for path in folder.iterdir() if not path.name.endswith(".part")]
        if not held or (folder / STATE).is_file() or any(folder.glob(f"*/{FOLDER}/{STATE}")):
            return
    elif not folder.exists():
        return
    raise InputError(
        f"'{folder}' is there already, and it is not what a compression keeps there until it is done",
        "give another folder with -o, or give that one another name",
    )


@contextmanager
def tidied(folder: Path | None) -> Generator[None]:
    """What a run leaves in its folder when it ends by an error of the user's is removed; when it is interrupted, or
    cannot be written, it stays. Raises InputError where the folder holds a checkpoint of something else, which would be
    lost."""
    if folder is not None:
        _check_own(folder / FOLDER)
    try:
        yield
    except OnnxinoError as error:
        full = isinstance(error.__cause__, OSError)  # with room for it the same call goes on
        if folder is not None and not full:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            with suppress(OSError):  # other files are in it
                folder.rmdir()
        raise


def _write(path: Path, content: bytes) -> None:
    def write(file: BinaryIO) -> None:
        file.write(content)

    write_whole(path, write)
