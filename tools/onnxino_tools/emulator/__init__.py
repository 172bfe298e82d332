"""The board in software: an nRF52840 on the Unicorn engine (extra 'emulator'), running the very image that is
flashed."""

from __future__ import annotations

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.link import EmulatorTransport
from onnxino_tools.emulator.machine import Machine
from onnxino_tools.emulator.serve import serve

__all__ = ["EmulatorFault", "EmulatorTransport", "Machine", "serve"]
