"""Runs a model through the C runtime on this host: the sources of the firmware, compiled once to a shared library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.compile_cache import shared_library
from onnxino.errors import ModelError, OnnxinoError
from onnxino.model import constant_of, dtype_of, shape_of
from onnxino.schema.model import Model

PACKAGE = Path(__file__).resolve().parent.parent
OPTIONS = ("-std=c11", "-O3", "-ffp-contract=off", f"-I{PACKAGE}")
ALIGNMENT = 16  # ONX_ALIGNMENT
FOLDERS = ("engine", "ops", "camera")  # of the C sources
CHUNK = 32  # samples of one call: a fraction of a second


def engine_sources() -> list[Path]:
    """The C files of the runtime, as any program compiles them (with -I of the package's folder)."""
    return [path for folder in FOLDERS for path in sorted((PACKAGE / folder).glob("*.c"))]


def engine_headers() -> list[Path]:
    """The headers that the sources include."""
    return [path for folder in FOLDERS for path in sorted((PACKAGE / folder).glob("*.h"))]


@cache
def load_library() -> ctypes.CDLL:
    """Compiles (once, see compile_cache) and loads the runtime. Raises OnnxinoError where there is no compiler."""
    sources = [*engine_sources(), PACKAGE / "backends" / "c_host.c"]
    path = shared_library("onnxino", sources, OPTIONS, engine_headers())
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise OnnxinoError(f"cannot load the compiled C runtime: {error}", f"delete {path} and try again") from error
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.onx_host_size.argtypes, library.onx_host_size.restype = [], size
    library.onx_host_open.argtypes = [pointer, pointer, size, pointer, size]
    library.onx_host_where.argtypes, library.onx_host_where.restype = [pointer], ctypes.c_uint32
    library.onx_host_run.argtypes = [pointer, size, pointer, pointer]
    library.onx_host_run_all.argtypes = [pointer, size, pointer, pointer]
    library.onx_status_text.argtypes, library.onx_status_text.restype = [ctypes.c_int], ctypes.c_char_p
    return library


def _aligned(size: int) -> NDArray[np.uint8]:
    """Memory of `size` bytes (at least 1) at a multiple of ALIGNMENT."""
    memory = np.zeros(max(size, 1) + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + max(size, 1)]


def _pointers(arrays: list[NDArray[Any] | None]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(None if a is None else a.ctypes.data for a in arrays))


class CBackend:
    """Runs a verified model in C, one sample after the other; the GIL is free meanwhile.

    data: the .oxm file that `model` was read from. Raises ModelError where the C runtime refuses it.
    """

    cycles: NDArray[np.int64] | None = None

    def __init__(self, model: Model, data: bytes) -> None:
        self._model = model
        self._library = load_library()
        self._file = _aligned(len(data))
        self._file[: len(data)] = np.frombuffer(data, np.uint8)
        self._arena = _aligned(model.arena_size)
        self._host = _aligned(int(self._library.onx_host_size()))
        status = self._library.onx_host_open(
            self._host.ctypes.data, self._file.ctypes.data, len(data), self._arena.ctypes.data, model.arena_size
        )
        if status:
            where = int(self._library.onx_host_where(self._host.ctypes.data))
            raise ModelError(f"the C runtime refuses the model: {self._text(status)} (status {status}, at {where})")

    def run(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """[B, *tensor.shape] of each input -> the same of each output."""
        arrays, batch = self._check(inputs)
        outputs = [self._empty(port.tensor, batch) for port in self._model.outputs]
        self._call(self._library.onx_host_run, batch, arrays, list(outputs))
        return outputs

    def run_all(self, inputs: list[NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """Every tensor, aliases and constants too, by its index: [B, *tensor.shape]."""
        arrays, batch = self._check(inputs)
        kept: dict[int, NDArray[Any]] = {}
        written = {port.tensor for port in self._model.inputs}
        written |= {int(index) for operator in self._model.operators for index in operator.outputs}
        written = {self._base(index) for index in written}
        for index, tensor in enumerate(self._model.tensors):
            if tensor.data is not None:
                kept[index] = np.broadcast_to(constant_of(tensor), (batch, *shape_of(tensor)))
            elif self._base(index) in written:
                kept[index] = self._empty(index, batch)
        wanted = [None if t.data is not None else kept.get(i) for i, t in enumerate(self._model.tensors)]
        self._call(self._library.onx_host_run_all, batch, arrays, wanted)
        return kept

    def close(self) -> None:
        """Frees the arena and the copy of the file."""
        self._arena = self._file = self._host = _aligned(0)

    def _base(self, index: int) -> int:
        alias = self._model.tensors[index].alias_of
        return alias if alias >= 0 else index

    def _empty(self, index: int, batch: int) -> NDArray[Any]:
        tensor = self._model.tensors[index]
        return np.empty((batch, *shape_of(tensor)), dtype_of(tensor))

    def _check(self, inputs: list[NDArray[Any]]) -> tuple[list[NDArray[Any]], int]:
        """The inputs as contiguous arrays, and the batch: C reads them without looking at a shape."""
        if not self._file.size > 1:
            raise OnnxinoError("the session is closed")
        batch = len(inputs[0])
        arrays = [np.ascontiguousarray(array) for array in inputs]
        for array, port in zip(arrays, self._model.inputs, strict=True):
            tensor = self._model.tensors[port.tensor]
            expected, dtype = (batch, *shape_of(tensor)), dtype_of(tensor)
            if array.shape != expected or array.dtype != dtype:
                raise ValueError(f"input '{port.name}' is {array.dtype} {array.shape}, expected {dtype} {expected}")
        return arrays, batch

    def _call(
        self,
        function: Callable[..., int],
        batch: int,
        inputs: list[NDArray[Any]],
        outputs: list[NDArray[Any] | None],
    ) -> None:
        """In pieces, between which Python sees an interrupt."""
        for start in range(0, batch, CHUNK):
            piece = slice(start, start + CHUNK)
            read = _pointers([array[piece] for array in inputs])
            write = _pointers([None if array is None else array[piece] for array in outputs])
            status = function(self._host.ctypes.data, min(CHUNK, batch - start), read, write)
            if status:
                raise OnnxinoError(f"the C runtime failed: {self._text(status)} (status {status})")

    def _text(self, status: int) -> str:
        return str(self._library.onx_status_text(status).decode())
