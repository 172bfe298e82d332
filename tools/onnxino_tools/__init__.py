"""The command onnxino."""
