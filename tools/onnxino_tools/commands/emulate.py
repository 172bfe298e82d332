"""Run the emulated board; its serial port appears as a pty (Linux, macOS) or on TCP.

Other programs use it like the real board: onnxino serial-eval --port PORT. It runs until Ctrl-C.
"""
