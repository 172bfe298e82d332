"""Where a model runs: NumPy and C in this process, the emulator and boards through a link. Loaded when asked for."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Model


class Backend(Protocol):
    """Runs device tensors: arrays [B, *tensor.shape] of the tensors' types, in the order of the model's ports."""

    cycles: NDArray[np.int64] | None
    """[B] CPU cycles of each sample of the last run; None where the backend does not count."""

    def run(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Computes the outputs of a batch."""
        ...

    def run_all(self, inputs: list[NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """The same, with every tensor by its index. Raises OnnxinoError where only outputs can be had."""
        ...

    def close(self) -> None:
        """Frees memory, processes and ports."""
        ...


def open_backend(name: str, model: Model, data: bytes) -> Backend:
    """Opens "numpy", "c", "emulator", or a board behind a serial port or URL.

    model: verified; data: the .oxm file it was read from. Raises OnnxinoError (no compiler, no such port, ...).
    """
    if name == "numpy":
        from onnxino.backends.numpy_backend import NumpyBackend

        return NumpyBackend(model)
    if name == "c":
        from onnxino.backends.c import CBackend

        return CBackend(model, data)
    from onnxino.backends.device import DeviceBackend

    return DeviceBackend(model, data, name)
