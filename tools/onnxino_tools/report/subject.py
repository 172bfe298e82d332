"""Opens the model that is reported on: an ONNX model, which is converted whether or not it fits a board, or a .oxm."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import ConvertError
from onnxino.schema.model import ElementType, Model, Weights

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, repr=False)
class Subject:
    """content: the .oxm file; facts: what the converter reports of it; onnx_bytes: size of the ONNX model with its
    external data, None where only a .oxm was given."""

    name: str
    file: str | None
    content: bytes
    model: Model
    facts: dict[str, Any]
    onnx_bytes: int | None

    @property
    def sha256(self) -> str:
        """Of the .oxm file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def kind(self) -> str:
        """ "int8", "float32" or "mixed": what the weights are, or without weights the activations."""
        kinds = {w.type for w in (weights_of(operator.kernel) for operator in self.model.operators) if w is not None}
        kinds = kinds or {t.type for t in self.model.tensors if t.type in (ElementType.Int8, ElementType.Float32)}
        names = {"float32" if kind == ElementType.Float32 else "int8" for kind in kinds}
        return names.pop() if len(names) == 1 else "mixed"


def weights_of(kernel: object) -> Weights | None:
    """An operator's weights; None where it has none."""
    weights = getattr(kernel, "weights", None)
    return weights if isinstance(weights, Weights) else None


def open_subject(source: str | os.PathLike[str] | bytes | ModelProto) -> Subject:
    """Reads a .oxm file (or its bytes), or converts an ONNX model, a float one to float32.

    Raises InputError, ModelError or ConvertError.
    """
    from onnxino import load_model
    from onnxino_converter.report import make_report

    if isinstance(source, bytes):
        model = load_model(source)
        return Subject(model.name, None, source, model, make_report(model, len(source)), None)
    if not isinstance(source, str | os.PathLike):
        return _converted(source, None, source.ByteSize())
    path = Path(source)
    if path.suffix.lower() == ".onnx" and path.is_file():
        return _converted(path, str(path), onnx_size(path))
    from onnxino_tools.models import read_model

    content = read_model(str(path))
    model = load_model(content)
    size = None if path.suffix.lower() == ".oxm" else path.stat().st_size
    return Subject(model.name, str(path), content, model, make_report(model, len(content)), size)


def _converted(source: Path | ModelProto, file: str | None, size: int) -> Subject:
    """As `onnxino convert` does it, with --float where the model is not quantized; where it does not fit, for no
    board."""
    from onnxino import load_model
    from onnxino_converter import convert

    try:
        converted = convert(source, float=not _quantized(source))
    except ConvertError:
        converted = convert(source, float=True, board=None)
    return Subject(converted.name, file, converted.model, load_model(converted.model), converted.report, size)


def _quantized(source: Path | ModelProto) -> bool:
    from onnxino_converter.importer import import_graph, load_source
    from onnxino_converter.pipeline import is_quantized

    return is_quantized(import_graph(load_source(source).model))


def onnx_size(path: Path) -> int:
    """Bytes of an ONNX file and of the files beside it that hold its weights."""
    size = path.stat().st_size
    beside = {entry.value for tensor in _tensors(path) for entry in tensor.external_data if entry.key == "location"}
    return size + sum((path.parent / name).stat().st_size for name in beside if (path.parent / name).is_file())


def _tensors(path: Path) -> list[Any]:
    from google.protobuf.message import DecodeError
    from onnx import ModelProto as Proto

    try:
        return list(Proto.FromString(path.read_bytes()).graph.initializer)
    except DecodeError:  # a damaged file: conversion says what is wrong
        return []
