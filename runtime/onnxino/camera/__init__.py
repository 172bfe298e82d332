"""A camera's raw frame as a model's image input: the NumPy twin of camera.c, bit for bit (docs/camera.md).

frame = Frame("rgb565be", 160, 120, data)
tensor = frame_input(model, frame)                   # what the board's command FRAME_CONVERT writes into input 0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino import numerics
from onnxino.errors import InputError
from onnxino.model import shape_of
from onnxino.pixels import PixelOptions, PixelRule, choose_rule
from onnxino.schema.model import ElementType, Model

FORMATS = {"grey": 0, "rgb565be": 1, "rgb565le": 2, "yuyv": 3}  # name -> ONX_FRAME_...
FITS = {"crop": 0, "stretch": 1}
SIDE = 4096  # ONX_FRAME_SIDE
_BITS = 22  # of a coefficient behind the point, as in Pillow's resize of 8-bit images


@dataclass(frozen=True)
class Frame:
    """Raw bytes of one picture, row after row.

    format: "grey" (1 byte a pixel), "rgb565be" (2 bytes, high byte first: as the OV7675 sends it), "rgb565le", "yuyv"
    (YUV 4:2:2, full range: Y0 U Y1 V for two pixels). Raises InputError where data has another size.
    """

    format: str
    width: int
    height: int
    data: bytes

    def __post_init__(self) -> None:
        expected = frame_size(self.format, self.width, self.height)
        if len(self.data) != expected:
            raise InputError(
                f"the frame has {len(self.data):,} bytes; {self.width}x{self.height} as {self.format} has {expected:,}"
            )


def frame_size(format: str, width: int, height: int) -> int:
    """Bytes of a frame. Raises InputError for an unknown format, a side outside of 1 to 4096, an odd width of yuyv."""
    if format not in FORMATS:
        raise InputError(f"there is no frame format '{format}'", f"choose from {', '.join(FORMATS)}")
    if not (1 <= width <= SIDE and 1 <= height <= SIDE):
        raise InputError(f"a frame of {width}x{height} pixels: each side must be 1 to {SIDE}")
    if format == "yuyv" and width % 2:
        raise InputError(f"a yuyv frame is {width} pixels wide: two pixels share their colour, so it must be even")
    return width * height * (1 if format == "grey" else 2)


def frame_pixels(frame: Frame, channels: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels], channels 1 (grey) or 3 (RGB).

    RGB565: the upper bits fill the lower ones. YUV: BT.601, full range. Grey of RGB: as Pillow's mode L.
    """
    raw = np.frombuffer(frame.data, np.uint8)
    if frame.format == "grey":
        return np.repeat(raw.reshape(frame.height, frame.width, 1), channels, axis=2)
    pairs = raw.reshape(frame.height, frame.width, 2)
    if frame.format == "yuyv":
        return np.ascontiguousarray(pairs[..., :1]) if channels == 1 else _from_yuv(pairs)
    high = 0 if frame.format == "rgb565be" else 1
    word = pairs[..., high].astype(np.int32) << 8 | pairs[..., 1 - high]
    r, g, b = word >> 11, word >> 5 & 63, word & 31
    rgb = np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], axis=-1)
    if channels == 1:
        rgb = (rgb @ np.array([19595, 38470, 7471]) + 32768 >> 16)[..., None]
    return rgb.astype(np.uint8)


def _from_yuv(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    y = pairs[..., 0].astype(np.int32)
    u, v = (np.repeat(pairs[:, i::2, 1], 2, axis=1).astype(np.int32) - 128 for i in (0, 1))
    parts = (359 * v, -88 * u - 183 * v, 454 * u)
    return np.clip(np.stack([y + (part + 128 >> 8) for part in parts], axis=-1), 0, 255).astype(np.uint8)


def resize(image: NDArray[np.uint8], height: int, width: int, fit: str = "crop") -> NDArray[np.uint8]:
    """uint8 [H, W, C] -> [height, width, C] by a bilinear filter that averages when it shrinks.

    fit: "crop" takes the largest centred part with the proportions of the result, "stretch" distorts. The bytes are
    those of Pillow's resize with Resampling.BILINEAR (of ImageOps.fit for "crop"): first along the rows, then along
    the columns, each result rounded to a byte.
    """
    across, down = _axes(image.shape[1], image.shape[0], width, height, fit)
    rows = _round(np.tensordot(_coefficients(*across), image.astype(np.int64), (1, 1)))  # [width, H, C]
    return _round(np.tensordot(_coefficients(*down), rows.astype(np.int64), (1, 1)))  # [height, width, C]


def _round(sums: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.clip(sums + (1 << _BITS - 1) >> _BITS, 0, 255).astype(np.uint8)


_Axis = tuple[int, int, int, int, int]  # in, out, start, step, unit: see onx_camera_axis in camera.h


def _axes(width: int, height: int, out_x: int, out_y: int, fit: str) -> tuple[_Axis, _Axis]:
    if fit == "stretch":
        return (width, out_x, 0, width, out_x), (height, out_y, 0, height, out_y)
    spare = width * out_y - height * out_x
    if spare >= 0:  # wider than wanted: the height decides the scale
        return (width, out_x, spare, height, out_y), (height, out_y, 0, height, out_y)
    return (width, out_x, 0, width, out_x), (height, out_y, -spare, width, out_x)


def _coefficients(size: int, out: int, start: int, step: int, unit: int) -> NDArray[np.int64]:
    """[out, size]: a triangle around each centre, as wide as the larger of both pixels, normalised to 2^22."""
    centres = start + (2 * np.arange(out, dtype=np.int64) + 1) * step
    reach = 2 * max(step, unit)
    distances = np.abs((2 * np.arange(size, dtype=np.int64) + 1) * unit - centres[:, None])
    weights = np.maximum(reach - distances, 0)
    total = weights.sum(axis=1, keepdims=True)
    return ((weights << _BITS + 1) + total) // (2 * total)


def frame_image(model: Model, frame: Frame, fit: str = "crop") -> tuple[NDArray[np.uint8], PixelRule]:
    """The frame as the model's picture, uint8 [H, W, C], and the rule by which pixels become its input.

    Raises InputError where the model has no single image input of 1 or 3 channels.
    """
    if fit not in FITS:
        raise InputError(f"there is no fit '{fit}'", f"choose from {', '.join(FITS)}")
    if len(model.inputs) != 1:
        raise InputError(f"the model has {len(model.inputs)} inputs; a frame feeds exactly one")
    rule = choose_rule(model, PixelOptions())
    shape = model.inputs[0].shape
    if rule.channels not in (1, 3) or int(shape[0]) > 1 or max(rule.height, rule.width) > SIDE:
        raise InputError(
            f"the model's input {[int(d) for d in shape]} is no picture that a frame can become",
            f"one picture of 1 or 3 channels and up to {SIDE} pixels a side",
        )
    return resize(frame_pixels(frame, rule.channels), rule.height, rule.width, fit), rule


def frame_input(model: Model, frame: Frame, fit: str = "crop") -> NDArray[Any]:
    """The device's input tensor [1, *tensor.shape], int8 or float32. Raises InputError as frame_image does."""
    picture, rule = frame_image(model, frame, fit)
    port = model.inputs[0]
    tensor = model.tensors[port.tensor]
    values: NDArray[Any] = rule.apply(picture[None])
    if port.perm is not None:
        values = values.transpose(tuple(int(p) for p in port.perm))
    if port.type == ElementType.Float32 and tensor.type == ElementType.Int8:
        values = numerics.quantize(values, tensor.scale, tensor.zero_point)
    elif port.type == ElementType.UInt8:
        values = (values ^ np.uint8(0x80)).view(np.int8)
    return np.ascontiguousarray(values).reshape(1, *shape_of(tensor))
