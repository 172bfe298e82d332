"""Data sets for evaluation: loading them, and how their pixels become a model's input."""

from onnxino.pixels import PixelOptions, PixelRule, choose_rule
from onnxino_tools.data.dataset import Dataset, load_dataset

__all__ = ["Dataset", "PixelOptions", "PixelRule", "choose_rule", "load_dataset"]
