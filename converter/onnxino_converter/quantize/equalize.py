"""Cross-layer equalization."""

from onnxino_converter.quantize.graph import FloatGraph


def equalize_channels(graph: FloatGraph) -> None: ...
