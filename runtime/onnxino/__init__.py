"""Onnxino: quantized ONNX models on microcontrollers, bit for bit."""
