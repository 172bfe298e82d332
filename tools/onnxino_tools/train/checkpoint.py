"""The file from which an interrupted training goes on: written whole or not at all, after each epoch."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import shlex
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from onnxino.errors import InputError
from onnxino_tools.files import write_whole
from onnxino_tools.train.data import Samples
from onnxino_tools.train.settings import Training

FORMAT = 2


def key_of(
    module: nn.Module,
    samples: Mapping[str, Samples | None],
    settings: Training,
    teacher: nn.Module | None,
    masks: Mapping[str, Tensor],
) -> dict[str, str]:
    """What makes a training this one: with all of it equal, going on gives what an uninterrupted run gives."""
    key = {f"setting {name}": repr(value) for name, value in asdict(settings).items()}
    for name, data in samples.items():
        key[f"{name} data"] = "none" if data is None else _checksum([data.images, data.labels])
    key["initial model"] = _state_checksum(module.state_dict())
    key["teacher"] = "none" if teacher is None else _state_checksum(teacher.state_dict())
    key["masks"] = _state_checksum(masks)
    return key


def save(path: Path, key: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """state: tensors, numbers, strings, and lists and dictionaries of them. Raises InputError where the file cannot be
    written; then the one before stays."""

    def write(file: BinaryIO) -> None:
        torch.save({"format": FORMAT, "key": dict(key), **state}, file)

    write_whole(path, write)


def load(path: Path, key: Mapping[str, str]) -> dict[str, Any] | None:
    """The state that was saved, or None where there is no file. Raises InputError for one of another training, and for
    what is no checkpoint."""
    remove = f"give another file, or remove this one to begin anew: rm {shlex.quote(str(path))}"
    if not path.exists():
        return None
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)  # no code out of the file
        theirs = dict(found["key"])
        version = int(found["format"])
    except Exception as error:  # zip, pickle, key, value and runtime errors: whatever is in the file
        raise InputError(f"'{path}' is damaged, or no checkpoint of a training", remove) from error
    if version != FORMAT:
        raise InputError(f"'{path}' is a checkpoint of format {version}; expected {FORMAT}", remove)
    other = [name for name in {**key, **theirs} if key.get(name) != theirs.get(name)]
    if other:
        told = [
            f"{name.removeprefix('setting ')} (there {theirs.get(name)}, here {key.get(name)})"
            if name.startswith("setting")
            else name
            for name in other
        ]
        raise InputError(f"'{path}' is the checkpoint of another training; different: {', '.join(told)}", remove)
    return dict(found)


def _state_checksum(state: Mapping[str, Any]) -> str:
    tensors = [value for value in state.values() if isinstance(value, Tensor)]
    return f"{zlib.crc32(repr(list(state)).encode()):08x}{_checksum(tensors)}"


def _checksum(tensors: Iterable[Tensor]) -> str:
    value = 0
    for tensor in tensors:
        value = zlib.crc32(repr((list(tensor.shape), str(tensor.dtype))).encode(), value)
        value = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), value)
    return f"{value:08x}"
