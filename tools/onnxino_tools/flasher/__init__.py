"""Writes firmware and models into a board: `flash()`. Nothing here prints or ends the program."""

from __future__ import annotations

from onnxino_tools.flasher.flash import FlashResult, flash

__all__ = ["FlashResult", "flash"]
