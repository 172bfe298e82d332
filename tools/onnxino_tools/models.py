"""Opens what a user names as MODEL: a .oxm file, or an .onnx file that is converted on the fly."""

from __future__ import annotations

from pathlib import Path

from onnxino.errors import InputError
from onnxino_tools import ui


def read_model(path: str) -> bytes:
    """The bytes of the .oxm file, verified. Raises InputError, ModelError or ConvertError."""
    from onnxino.model import parse_model

    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no model '{path}'", "onnxino convert model.onnx makes a model file (.oxm)")
    if file.suffix == ".oxm":
        content = file.read_bytes()
        parse_model(content, f"'{path}'")
        return content
    from onnxino_converter import convert

    content = convert(path, float=True).model
    ui.talk(f"model: {file.name} converted on the fly, {ui.size(len(content))}")
    return content
