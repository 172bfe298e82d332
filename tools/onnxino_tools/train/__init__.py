"""Training of ONNX classifiers in PyTorch: fine-tuning, distillation, checkpoints, importance of weights.

The only part of Onnxino that imports PyTorch, and only when one of the names below that need it is first used; without
the extra `train` they raise MissingExtraError. `Training`, `Progress`, `Epoch`, `Start` and `History` need NumPy alone.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from onnxino.errors import MissingExtraError
from onnxino_tools.train.history import Epoch, History, Progress, Start
from onnxino_tools.train.settings import AUGMENTATIONS, Training

if TYPE_CHECKING:
    from onnxino_tools.train.data import Arrays
    from onnxino_tools.train.export import from_module
    from onnxino_tools.train.loop import fit
    from onnxino_tools.train.module import OnnxModule, to_module
    from onnxino_tools.train.scores import Score, evaluate, taylor_scores

__all__ = [
    "AUGMENTATIONS",
    "Arrays",
    "Epoch",
    "History",
    "OnnxModule",
    "Progress",
    "Score",
    "Start",
    "Training",
    "evaluate",
    "fit",
    "from_module",
    "require_torch",
    "taylor_scores",
    "to_module",
]

_FILES = {
    "Arrays": "data",
    "OnnxModule": "module",
    "Score": "scores",
    "evaluate": "scores",
    "fit": "loop",
    "from_module": "export",
    "taylor_scores": "scores",
    "to_module": "module",
}


def require_torch(what: str = "training") -> None:
    """Raises MissingExtraError where PyTorch is not installed; quick, as it does not import it."""
    if find_spec("torch") is None:
        raise MissingExtraError(what, "train")


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    require_torch()
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
