"""What a user gives to be flashed: a firmware image, a model, or something that is neither and gets explained."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxino.boards import NANO33BLE
from onnxino.errors import InputError
from onnxino_tools.flasher.explain import known
from onnxino_tools.flasher.sam_ba import REGION
from onnxino_tools.image_mark import FORMAT, image_crc, read_mark

Source = str | os.PathLike[str] | bytes

_IMAGE_HINT = "onnxino build makes an image; without one, the image that came with Onnxino is flashed"


@dataclass(frozen=True)
class Content:
    """The bytes to flash; at least one of the two. Names are for messages."""

    image: bytes | None
    model: bytes | None
    image_name: str = ""
    model_name: str = ""
    notes: list[str] = field(default_factory=list[str])  # what is worth knowing of them


def read_content(image: Source | None, model: Source | None) -> Content:
    """Reads and checks what is given: paths, or the bytes themselves.

    A model may be an .onnx file: it is converted. Raises InputError, ModelError, ConvertError.
    """
    image_bytes = None if image is None else read_image(image)
    notes: list[str] = []
    model_bytes = None if model is None else read_model(model, notes)
    if image_bytes is not None and model_bytes is not None and len(image_bytes) > NANO33BLE.image_size:
        raise InputError(
            f"the image {_name(image)} of {len(image_bytes):,} bytes reaches into the model's place, "
            f"which begins after {NANO33BLE.image_size:,}",
            "flash an image of Onnxino together with a model",
        )
    return Content(image_bytes, model_bytes, _name(image), _name(model), notes)


def sort_files(files: Sequence[str]) -> tuple[str | None, str | None]:
    """(image, model) among one or two files, told apart by what is in them. Raises InputError."""
    found: dict[str, str] = {}
    for file in files:
        kind = "model" if _is_model(Path(file), _bytes_of(file)) else "image"
        if kind in found:
            raise InputError(f"'{found[kind]}' and '{file}' are both {kind}s", "give one image and one model at most")
        found[kind] = file
    return found.get("image"), found.get("model")


def read_model(source: Source, notes: list[str]) -> bytes:
    """The bytes of an .oxm file, verified; an .onnx file is converted. notes: takes what is worth knowing of it."""
    from onnxino.model import parse_model

    if isinstance(source, bytes):
        parse_model(source)
        return source
    data = _bytes_of(source)
    if data[:4] != b"OXM\x1a" and not os.fspath(source).endswith(".onnx"):
        what = known(data, Path(source)) or ("", "onnxino convert model.onnx makes a model file (.oxm)")
        raise InputError(f"{_name(source)} is {what[0] + ', ' if what[0] else ''}no model", what[1])
    from onnxino_tools import models

    return models.read_model(os.fspath(source), notes=notes)


def read_image(source: Source) -> bytes:
    """The bytes of a flat image that the bootloader would start. Raises InputError."""
    data = source if isinstance(source, bytes) else _bytes_of(source)
    check_image(data, _name(source), None if isinstance(source, bytes) else Path(source))
    return data


def check_image(data: bytes, name: str = "it", path: Path | None = None) -> None:
    """Raises InputError for what is no image for this board, with what it is instead. path: where it was read."""
    if other := known(data, path):
        raise InputError(f"{name} is {other[0]}, no image to flash", other[1])
    if not data:
        raise InputError(f"{name} is empty", _IMAGE_HINT)
    if len(data) > REGION:
        raise InputError(
            f"{name} has {len(data):,} bytes; {REGION:,} fit between the parts of the bootloader", _IMAGE_HINT
        )
    if len(data) < 8:
        raise InputError(f"{name} has {len(data)} bytes, too few for the vectors of an image", _IMAGE_HINT)
    stack, reset = struct.unpack_from("<II", data)
    ram, base = NANO33BLE.ram_address, NANO33BLE.image_address
    if not ram < stack <= ram + NANO33BLE.ram_size:
        raise InputError(
            f"{name} is no image for this board: its first word 0x{stack:08X} is no address in its RAM", _IMAGE_HINT
        )
    if not base <= reset < base + len(data) or reset % 2 == 0:
        raise InputError(
            f"{name} is linked for another place: its reset vector 0x{reset:08X} does not lie within "
            f"0x{base:X} to 0x{base + len(data):X}, where it would be",
            f"link it at 0x{base:X}, behind the bootloader",
        )
    _check_mark(data, name)


def _check_mark(data: bytes, name: str) -> None:
    """Raises InputError for an image of Onnxino that is not whole."""
    mark = read_mark(data)
    if mark is None:
        return
    hint = "download or copy it again; onnxino flash without FILE writes the image that came with Onnxino"
    if mark.format != FORMAT:
        raise InputError(f"{name} is an image of Onnxino of format {mark.format}; this is format {FORMAT}", hint)
    if mark.size != len(data):
        what = "truncated" if len(data) < mark.size else "too long"
        raise InputError(f"{name} is an image of Onnxino that is {what}: {len(data):,} of {mark.size:,} bytes", hint)
    if (crc := image_crc(data)) != mark.crc:
        raise InputError(
            f"{name} is an image of Onnxino that is damaged: CRC-32 0x{crc:08x} instead of 0x{mark.crc:08x}", hint
        )


def _is_model(path: Path, data: bytes) -> bool:
    return data[:4] == b"OXM\x1a" or path.suffix in (".oxm", ".onnx")


def _bytes_of(source: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    if Path(source).is_dir():
        raise InputError(
            f"{_name(source)} is a folder", "give a file: a firmware image (.bin) or a model (.oxm or .onnx)"
        )
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{_name(source)} cannot be read: {error.strerror or error}", _IMAGE_HINT) from None


def _name(source: Source | None) -> str:
    if source is None:
        return ""
    return f"the {len(source):,} bytes given" if isinstance(source, bytes) else f"'{os.fspath(source)}'"
