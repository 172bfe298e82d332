"""Compiles ONNX models into .oxm files."""

from __future__ import annotations

from onnxino_converter.converter import Converted, convert

__all__ = ["Converted", "convert"]
