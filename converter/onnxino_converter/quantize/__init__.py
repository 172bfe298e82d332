"""Quantizes a float ONNX model: small passes from a float graph to a QDQ graph that ONNX Runtime runs in integers."""

from __future__ import annotations

from onnxino_converter.quantize.quantizer import quantize
from onnxino_converter.quantize.settings import METHODS, Settings

__all__ = ["METHODS", "Settings", "quantize"]
