"""Compiles ONNX models into .oxm files."""
