"""Loads model files and answers questions about them: shapes, sizes, aliases, lifetimes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ModelError
from onnxino.schema.codec import decode
from onnxino.schema.model import ElementType, Model, Tensor

DTYPES: dict[ElementType, type[np.generic]] = {  # what device tensors may be; int64 is a type of ports only
    ElementType.Int8: np.int8,
    ElementType.UInt8: np.uint8,
    ElementType.Int16: np.int16,
    ElementType.UInt16: np.uint16,
    ElementType.Int32: np.int32,
    ElementType.Float32: np.float32,
}


def load_model(source: str | os.PathLike[str] | bytes) -> Model:
    """Reads and verifies a .oxm file, given as path or as its bytes. Raises ModelError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return parse_model(bytes(source))
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise ModelError(f"'{os.fspath(source)}' cannot be read: {error.strerror}") from error
    return parse_model(data, f"'{os.fspath(source)}'")


def parse_model(data: bytes, where: str = "the model") -> Model:
    """Decodes and verifies the bytes of a .oxm file, called `where` in errors. Raises ModelError."""
    from onnxino.verify_model import verify_model  # here, because the operators import this module

    model = decode(data, where)
    try:
        verify_model(model)
    except ModelError as error:
        raise ModelError(f"{where} is damaged: {error.message}", error.hint or "convert the ONNX file again") from error
    return model


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The device shape as plain integers."""
    return tuple(int(d) for d in tensor.shape)


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes that the tensor takes on the device."""
    return math.prod(shape_of(tensor)) * dtype_of(tensor).itemsize


def dtype_of(tensor: Tensor) -> np.dtype[Any]:
    """What the elements of the tensor's arrays are."""
    return np.dtype(DTYPES[tensor.type])


def constant_of(tensor: Tensor) -> NDArray[Any]:
    """The values of a constant, [*shape]."""
    assert tensor.data is not None
    return tensor.data.view(dtype_of(tensor)).reshape(shape_of(tensor))


def root(model: Model, index: int) -> int:
    """The tensor whose bytes tensor `index` has: itself, unless it is an alias."""
    alias = model.tensors[index].alias_of
    return index if alias < 0 else alias


@dataclass(frozen=True)
class Lifetime:
    """First and last operator during which a tensor's bytes are in use: inputs from -1, outputs to len(operators)."""

    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether both are in use at some moment."""
        return self.first <= other.last and other.first <= self.last


def lifetimes(model: Model) -> dict[int, Lifetime]:
    """The lifetime of each activation that is written; aliases count as the tensor whose bytes they are."""
    first = {root(model, port.tensor): -1 for port in model.inputs}
    last: dict[int, int] = {}
    for number, operator in enumerate(model.operators):
        for index in _roots(model, operator.inputs):
            last[index] = number
        for index in _roots(model, operator.outputs):
            first.setdefault(index, number)
    for port in model.outputs:
        last[root(model, port.tensor)] = len(model.operators)
    return {index: Lifetime(begin, max(begin, last.get(index, begin))) for index, begin in first.items()}


def _roots(model: Model, indices: Iterable[int]) -> list[int]:
    return [root(model, int(i)) for i in indices]
