"""What a file is that somebody wants to flash and that is no image, by content, then by suffix; and the next step."""

from __future__ import annotations

import shlex
from pathlib import Path

_PICTURE = "flash takes firmware and models; a picture is classified by: onnxino run MODEL.oxm {file}"
_DATA = (
    "flash takes firmware and models; data goes to the board by: onnxino serial-eval --model MODEL.oxm --data {file}"
)
_EXPORT = "in the Arduino IDE: Sketch, Export Compiled Binary; then flash the .bin that it writes"
_ONNX = "export the model to ONNX where it was trained; onnxino flash MODEL.onnx then converts and writes it"
_MODEL = "give the model file (.oxm) that was written beside it, or the .onnx model that it was made from"

_STARTS = {
    b"\x7fELF": ("an ELF file", "flash the .bin beside it; onnxino build and the Arduino IDE write both"),
    b"OXM\x1a": ("a model (.oxm)", "give it as the model: onnxino flash MODEL.oxm"),
    b"UF2\n": ("a UF2 file", "this board's bootloader takes flat images (.bin)"),
    b"\x93NUMPY": ("a NumPy array (.npy)", _DATA),
    b"\x89PNG": ("a picture (PNG)", _PICTURE),
    b"\xff\xd8\xff": ("a picture (JPEG)", _PICTURE),
    b"GIF8": ("a picture (GIF)", _PICTURE),
}
_SUFFIXES = {
    ".ino": ("a sketch's source text", _EXPORT),
    ".c": ("C source", _MODEL),
    ".h": ("C source", _MODEL),
    ".cpp": ("C++ source", _EXPORT),
    ".npz": ("a NumPy archive (.npz)", _DATA),
    ".tflite": ("a TensorFlow Lite model", _ONNX),
    ".keras": ("a Keras model", _ONNX),
    ".h5": ("a Keras model", _ONNX),
    ".pt": ("a PyTorch model", _ONNX),
    ".pth": ("a PyTorch model", _ONNX),
}
_HEX = (
    "flash the .bin beside it, which the Arduino IDE writes too; or: "
    "arm-none-eabi-objcopy -I ihex -O binary {file} F.bin"
)


def known(data: bytes, path: Path | None) -> tuple[str, str] | None:
    """(what other kind of file it is, what to do about it); None where it may be an image. path: None for bytes."""
    found = _find(data, path)
    name = "FILE" if path is None else shlex.quote(str(path))
    return None if found is None else (found[0], found[1].replace("{file}", name))


def _find(data: bytes, path: Path | None) -> tuple[str, str] | None:
    for start, what in _STARTS.items():
        if data.startswith(start):
            return what
    if data[:1] == b":" and data[1:9].isalnum():
        return "an Intel HEX file", _HEX
    if data[:1] == b"\x08" and b"onnx" in data[:4096].lower():
        return "an ONNX model", "give it as the model: onnxino flash MODEL.onnx"
    if path is not None and (what := _SUFFIXES.get(path.suffix.lower())):
        return what
    if data[:4] == b"PK\x03\x04":
        return "a ZIP archive", "unpack it, and flash the .bin inside"
    return None
