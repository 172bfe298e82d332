"""Onnxino: quantized ONNX models on microcontrollers, bit for bit.

from onnxino import InferenceSession

with InferenceSession("model.oxm") as session:
    (probabilities,) = session.run(None, {"input": batch})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxino.model import load_model
    from onnxino.session import InferenceSession, NodeArg, RunResult

from onnxino.errors import ConvertError, InputError, LinkError, MissingExtraError, ModelError, OnnxinoError

__version__ = "0.1.0"

_LAZY = {  # names that need NumPy: loaded when first used, so that `import onnxino` and the command line start at once
    "InferenceSession": "onnxino.session",
    "NodeArg": "onnxino.session",
    "RunResult": "onnxino.session",
    "load_model": "onnxino.model",
}

__all__ = [
    "ConvertError",
    "InferenceSession",
    "InputError",
    "LinkError",
    "MissingExtraError",
    "ModelError",
    "NodeArg",
    "OnnxinoError",
    "RunResult",
    "__version__",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'onnxino' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
