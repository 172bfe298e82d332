"""What the two pools share: their shape rule."""

from __future__ import annotations

from onnxino.ops import _checks, _window
from onnxino.schema.model import Tensor, Window2D


def check(window: Window2D, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """The same images and channels in and out; the output size is what the window gives, rounded down or up."""
    _checks.require_tensors(inputs, outputs)
    n, height, width, channels = _checks.require_image(inputs[0])
    out_n, out_height, out_width, out_channels = _checks.require_image(outputs[0])
    _checks.require(n == out_n, f"the output has {out_n} images, the input {n}")
    _checks.require(channels == out_channels, f"the output has {out_channels} channels, the input {channels}")
    _window.require_window(window, (height, width), (out_height, out_width), ceil=True)
