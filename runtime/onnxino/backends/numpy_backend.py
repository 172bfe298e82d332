"""The reference backend: every operator in NumPy, vectorised over the batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from onnxino.model import lifetimes, root, shape_of, tensor_bytes
from onnxino.ops import OPERATORS
from onnxino.schema.model import Model

# Of the largest activation over all samples of a piece; float32 and indices take up to 8 times that.
CHUNK_BYTES = 1 << 22


class NumpyBackend:
    """Runs a verified model. Constants are arrays of batch 1 that are repeated without a copy."""

    cycles: NDArray[np.int64] | None = None

    def __init__(self, model: Model) -> None:
        self._model = model
        largest = max((tensor_bytes(tensor) for tensor in model.tensors), default=1)
        self._samples = max(1, CHUNK_BYTES // largest)
        self._last = {index: life.last for index, life in lifetimes(model).items()}

    def run(self, inputs: list[NDArray[np.int8]]) -> list[NDArray[np.int8]]:
        """int8 [B, *tensor.shape] of each input -> the same of each output."""
        parts = [self._run_chunk(chunk) for chunk in self._chunks(inputs)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def run_all(self, inputs: list[NDArray[np.int8]]) -> dict[int, NDArray[np.int8]]:
        """Every tensor, aliases and constants too, by its index: [B, *tensor.shape]."""
        arrays = self._execute(inputs, keep=True)
        batch = len(inputs[0])
        return {
            index: self._read(arrays, index, batch)
            for index, tensor in enumerate(self._model.tensors)
            if root(self._model, index) in arrays or tensor.data is not None
        }

    def _chunks(self, inputs: list[NDArray[np.int8]]) -> Iterator[list[NDArray[np.int8]]]:
        """A large batch in pieces, so that memory does not grow with it."""
        for start in range(0, len(inputs[0]), self._samples):
            yield [array[start : start + self._samples] for array in inputs]

    def _run_chunk(self, inputs: list[NDArray[np.int8]]) -> list[NDArray[np.int8]]:
        arrays = self._execute(inputs, keep=False)
        return [self._read(arrays, port.tensor, len(inputs[0])) for port in self._model.outputs]

    def close(self) -> None:
        """Nothing to free."""

    def _execute(self, inputs: list[NDArray[np.int8]], *, keep: bool) -> dict[int, NDArray[np.int8]]:
        """Arrays by root tensor; unless `keep`, each is dropped after its last reader."""
        model = self._model
        arrays = {root(model, port.tensor): array for port, array in zip(model.inputs, inputs, strict=True)}
        batch = len(inputs[0])
        for number, operator in enumerate(model.operators):
            read = [self._read(arrays, int(index), batch) for index in operator.inputs]
            outputs = [model.tensors[int(index)] for index in operator.outputs]
            results = OPERATORS[type(operator.kernel)].run(operator.kernel, read, outputs)
            for index, result in zip(operator.outputs, results, strict=True):
                arrays[root(model, int(index))] = result
            if not keep:
                arrays = {index: array for index, array in arrays.items() if self._last[index] > number}
        return arrays

    def _read(self, arrays: dict[int, NDArray[np.int8]], index: int, batch: int) -> NDArray[np.int8]:
        """A tensor in its own shape, whatever tensor holds its bytes."""
        tensor = self._model.tensors[index]
        shape = (batch, *shape_of(tensor))
        if tensor.data is not None:
            return np.broadcast_to(tensor.data.view(np.int8).reshape(shape[1:]), shape)
        return arrays[root(self._model, index)].reshape(shape)
