"""Compression of a trained classifier: prune -> fine-tune or distil -> quantize -> evaluate, by a recipe.

from onnxino_tools.compress import compress
result = compress("net.onnx", "data.npz", {"prune": {"ratio": 0.5}}, output="out")
"""

from onnxino_tools.compress.compare import Comparison, compare
from onnxino_tools.compress.events import Event
from onnxino_tools.compress.options import (
    DataOptions,
    PruneOptions,
    QuantizeOptions,
    Recipe,
    Targets,
    TuneOptions,
)
from onnxino_tools.compress.pipeline import compress
from onnxino_tools.compress.recipe import read_recipe
from onnxino_tools.compress.result import CompressResult, StageResult
from onnxino_tools.compress.rows import Row
from onnxino_tools.compress.targets import TargetMissedError

__all__ = [
    "Comparison",
    "CompressResult",
    "DataOptions",
    "Event",
    "PruneOptions",
    "QuantizeOptions",
    "Recipe",
    "Row",
    "StageResult",
    "TargetMissedError",
    "Targets",
    "TuneOptions",
    "compare",
    "compress",
    "read_recipe",
]
