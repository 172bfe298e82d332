"""Opens what a user names as MODEL: a .oxm file, or an .onnx file that is converted on the fly."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from onnxino.errors import ConvertError, InputError
from onnxino_tools import ui


def read_model(path: str, others: Sequence[str] = (), notes: list[str] | None = None) -> bytes:
    """The bytes of the .oxm file, verified. others: what was named beside it, for the hint where they changed places.
    notes: takes what is worth knowing of the model; None: it is said at once.

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
    content, note = convert_model(path)
    if note and notes is None:
        ui.note(note)
    elif note and notes is not None:
        notes.append(note)
    ui.talk(f"model: {file.name} converted on the fly, {ui.size(len(content))}")
    return content


def convert_model(path: str) -> tuple[bytes, str]:
    """The bytes of the .oxm file, the same as of onnxino convert, and what is worth knowing: a model that is not
    quantized is converted as with --float. Raises ConvertError.
    """
    from onnxino_converter import convert
    from onnxino_converter.importer import import_graph, load_source
    from onnxino_converter.pipeline import is_quantized

    try:
        quantized = is_quantized(import_graph(load_source(path).model))
    except ConvertError:  # conversion says it with a hint
        quantized = True
    if quantized:
        return convert(path).model, ""
    note = "the model is not quantized: it runs in float32, which takes about four times the memory of int8"
    return convert(path, float=True).model, f"{note}; onnxino convert --calibrate quantizes it"


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
