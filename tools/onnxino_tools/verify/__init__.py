"""`onnxino verify`: the same inputs through ONNX Runtime and every backend of Onnxino, compared byte by byte."""
