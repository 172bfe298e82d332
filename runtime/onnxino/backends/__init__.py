"""Where a model runs: NumPy and C in this process, the emulator and boards through a link. Loaded when asked for."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino.schema.model import Model

_CHOICE = "numpy, c, emulator or a serial port"


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

    model: verified; data: the .oxm file it was read from. Raises OnnxinoError (no compiler, no such port, ...), and
    InputError for a name that is no backend and cannot be a port.
    """
    _check_name(name)
    if name == "numpy":
        from onnxino.backends.numpy_backend import NumpyBackend

        return NumpyBackend(model)
    if name == "c":
        from onnxino.backends.c import CBackend

        return CBackend(model, data)
    from onnxino.backends.device import DeviceBackend

    return DeviceBackend(model, data, name)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise InputError(f"backend is of type {type(name).__name__}, expected a name", f"choose {_CHOICE}")
    # What serial ports are called: /dev/ttyACM0, COM7, \\.\COM12, socket://host:port.
    if name not in ("numpy", "c", "emulator") and not re.search(r"[/\\]|^com\d+$", name, re.IGNORECASE):
        raise InputError(f"there is no backend '{name}'", f"choose {_CHOICE} ({_ports()})")


def _ports() -> str:
    """The serial ports of this computer, for a hint."""
    try:
        from onnxino_tools.transport import list_ports

        found = [port for port, _ in list_ports()]
    except (ImportError, OSError):  # an installation without the tools, a system without serial ports
        found = []
    return "found: " + ", ".join(found) if found else "none found"
