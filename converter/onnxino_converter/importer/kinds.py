"""Tells apart files that are no models but lie beside them: data, images and C sources, by content, then by suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_DATA = "the model comes first, then its data: onnxino convert MODEL.onnx --calibrate {data}"
_IMAGE = "the model comes first, then the images: onnxino run MODEL.oxm {data}"
_SOURCE = "give the model file (.oxm) that was written beside it, or the .onnx model that it was made from"
_IMAGES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n": "PNG", b"GIF8": "GIF"}
_NPY = b"\x93NUMPY"


@dataclass(frozen=True)
class Kind:
    """What a file is, and what to give in its place."""

    name: str
    hint: str


def kind_of(data: bytes, path: Path | None) -> Kind | None:
    """What the file is; None where it may be a model. data: its content, or the first 4096 bytes of it."""
    import shlex

    name = shlex.quote(str(path)) if path is not None else "DATA"
    suffix = path.suffix.lower() if path is not None else ""
    if _is_npz(data) or (suffix == ".npz" and data.startswith(b"PK")):
        return Kind("a NumPy archive (.npz)", _DATA.format(data=name))
    if data.startswith(_NPY):
        return Kind("a NumPy array (.npy)", _DATA.format(data=name))
    for start, kind in _IMAGES.items():
        if data.startswith(start):
            return Kind(f"an image ({kind})", _IMAGE.format(data=name))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return Kind("an image (WebP)", _IMAGE.format(data=name))
    if suffix in (".h", ".c", ".hpp", ".cpp"):
        return Kind("C source", _SOURCE)
    return None


def similar_model(path: Path) -> str | None:
    """The model beside a file that is not there, by a name that is close to its."""
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in (".onnx", ".oxm")]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return str(path.with_name(near[0])) if near else None


def _is_npz(data: bytes) -> bool:
    """A zip file whose first member is an array."""
    if not data.startswith(b"PK\x03\x04"):
        return False
    length = int.from_bytes(data[26:28], "little")
    return data[30 : 30 + length].endswith(b".npy")
