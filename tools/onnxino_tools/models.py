"""Opens what a user names as MODEL: a .oxm file, or an .onnx file that is converted on the fly."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from onnxino.errors import InputError
from onnxino_tools import ui


def read_model(path: str, others: Sequence[str] = ()) -> bytes:
    """The bytes of the .oxm file, verified. others: what was named beside it, for the hint where they changed places.

    Raises InputError, ModelError or ConvertError.
    """
    from onnxino.model import parse_model

    file = Path(path)
    if not file.is_file():
        from onnxino_converter.importer.kinds import similar_model

        near = similar_model(file)
        hint = "onnxino convert makes a model file (.oxm) of an .onnx file" if near is None else f"did you mean {near}?"
        raise InputError(f"there is no model '{path}'", hint)
    _check_kind(file, others)
    if file.suffix == ".oxm":
        content = file.read_bytes()
        parse_model(content, f"'{path}'")
        return content
    from onnxino_converter import convert

    content = convert(path, float=True).model
    ui.talk(f"model: {file.name} converted on the fly, {ui.size(len(content))}")
    return content


def _check_kind(file: Path, others: Sequence[str]) -> None:
    """Raises InputError where the file is an image, data or C source."""
    from onnxino_converter.importer.kinds import kind_of

    with open(file, "rb") as stream:
        kind = kind_of(stream.read(4096), file)
    if kind is None:
        return
    model = next((other for other in others if Path(other).suffix.lower() in (".oxm", ".onnx")), None)
    hint = kind.hint
    if model is not None:
        hint = f"the model comes first: onnxino run {shlex.quote(model)} {shlex.quote(str(file))}"
    raise InputError(f"'{file}' is {kind.name}; a model (.oxm or .onnx) was expected", hint)
