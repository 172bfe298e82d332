"""Reads ONNX models into the graph IR: files, opset differences, shapes."""

from __future__ import annotations

from onnxino_converter.importer.graph import import_graph
from onnxino_converter.importer.source import Source, load_source

__all__ = ["Source", "import_graph", "load_source"]
