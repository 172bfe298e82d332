"""How pixels become a model's input: the rule is read off the model, taken from its metadata, or given by the user.

    integer port     uint8: the raw byte; int8: the raw byte - 128
    float port       0..255 where the scale of the first QuantizeLinear times 255 is at least 128,
                     else 0..1 (pixel / 255), as for a float model
    options given    (pixel * scale - mean) / std; for an integer port rounded to nearest even and clamped

The options on the command line come before the model's metadata, and that before what the port suggests.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino.schema.model import ElementType, Model

DTYPES: dict[ElementType, type[np.generic]] = {
    ElementType.Int8: np.int8,
    ElementType.UInt8: np.uint8,
    ElementType.Float32: np.float32,
    ElementType.Int64: np.int64,
}
_CHANNELS = ((1, 3), (4,))  # numbers of channels by which an image-shaped input is recognised, likelier ones first


@dataclass(frozen=True)
class PixelOptions:
    """What the user said; None where nothing was said."""

    scale: float | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    layout: str | None = None

    def metadata(self) -> dict[str, Any] | None:
        """What convert stores in a model, or None where nothing was said. Raises InputError for a layout alone."""
        if self == PixelOptions():
            return None
        if self.scale is None:
            raise InputError(
                "--layout alone cannot be stored in a model", "give --scale as well (1 for pixels of 0..255)"
            )
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class PixelRule:
    """A table for each channel, and where the axes go.

    table: [C, 256] in the port's dtype; layout: "NHWC" or "NCHW"; height, width, channels of the image;
    description: what was chosen, and why.
    """

    table: NDArray[Any]
    layout: str
    height: int
    width: int
    channels: int
    description: str
    doubt: str | None = None

    def apply(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 [B, H, W, C] -> the port's dtype and layout."""
        values = np.stack([self.table[c][images[..., c]] for c in range(self.channels)], axis=-1)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if self.layout == "NCHW" else values


def choose_rule(model: Model, options: PixelOptions, image_shape: tuple[int, ...] | None = None) -> PixelRule:
    """The rule for the model's only input; image_shape (H, W, C) of the data settles a layout that could be either.

    Raises InputError where it cannot be known, and says which option decides.
    """
    port = model.inputs[0]
    if port.type == ElementType.Int64:
        raise InputError(
            f"the input '{port.name}' takes int64, which pixels are not", "give arrays of exactly the model's shape"
        )
    stored = model.metadata.preprocessing if model.metadata is not None else None
    layout_wish = options.layout or (stored.layout if stored is not None else None)
    shape = tuple(int(d) for d in port.shape)
    layout, height, width, channels = _layout(port.name, shape, layout_wish, image_shape)
    axes = f"{layout} {'x'.join(str(d) for d in shape[1:])}"
    if options.scale is not None:
        values = _affine(options.scale, options.mean, options.std, channels)
        source = "as given"
    elif stored is not None:
        mean, std = (None if v is None else [float(x) for x in v] for v in (stored.mean, stored.std))
        values = _affine(stored.scale, mean, std, channels)
        source = "from the model's metadata"
    else:
        table, text, doubt = _suggested(model, channels)
        return PixelRule(table, layout, height, width, channels, f"{text}, {axes}", doubt)
    dtype = DTYPES[port.type]
    if dtype is not np.float32:
        info = np.iinfo(np.int8 if dtype is np.int8 else np.uint8)
        values = np.clip(np.rint(values), info.min, info.max)
    text = f"(pixel * scale - mean) / std {source}, {np.dtype(dtype).name} {axes}"
    return PixelRule(values.astype(dtype), layout, height, width, channels, text)


def _suggested(model: Model, channels: int) -> tuple[NDArray[Any], str, str | None]:
    """Table [C, 256], description, doubt: what the port alone suggests."""
    port = model.inputs[0]
    pixels = np.arange(256)
    doubt = None
    if port.type == ElementType.UInt8:
        line, text = pixels.astype(np.uint8), "raw bytes (uint8 input)"
    elif port.type == ElementType.Int8:
        line, text = (pixels - 128).astype(np.int8), "raw bytes - 128 (int8 input)"
    elif model.tensors[port.tensor].type == ElementType.Float32:
        line, text = pixels.astype(np.float32) / np.float32(255), "pixel / 255 as float32 (a float model)"
        doubt = "a float model does not tell what pixels become: if not pixel / 255, give --scale, --mean and --std"
    else:
        tensor = model.tensors[port.tensor]
        if tensor.scale * 255 >= 128:
            line, text = pixels.astype(np.float32), f"0..255 as float32 (the input's scale is {tensor.scale:.6g})"
        else:
            line = pixels.astype(np.float32) / np.float32(255)
            text = f"pixel / 255 as float32 (the input's scale is {tensor.scale:.6g})"
        low, high = ((v - tensor.zero_point) * tensor.scale for v in (-128, 127))
        top = float(line[255])
        if low < -0.1 * top or high > 1.5 * top or high < 0.5 * top:
            doubt = (
                f"the model's input covers {low:.3g} to {high:.3g}, which is not 0 to {top:.3g}: "
                "was it trained on normalised pixels? Then give --scale, --mean and --std"
            )
    return np.broadcast_to(line, (channels, 256)), text, doubt


def _affine(scale: float, mean: list[float] | None, std: list[float] | None, channels: int) -> NDArray[np.float32]:
    """[C, 256] float32: (pixel * scale - mean) / std."""
    pixels = np.arange(256, dtype=np.float32) * np.float32(scale)
    m, s = (_per_channel(name, v, channels) for name, v in (("--mean", mean or [0.0]), ("--std", std or [1.0])))
    with np.errstate(over="ignore"):  # a tiny deviation: infinity saturates
        return (pixels[None, :] - m[:, None]) / s[:, None]


def _per_channel(option: str, values: list[float], channels: int) -> NDArray[np.float32]:
    if len(values) not in (1, channels):
        raise InputError(
            f"{option} has {len(values)} values, the model's input has {channels} channels", "give one, or one for each"
        )
    return np.broadcast_to(np.array(values, np.float32), (channels,))


def _layout(
    name: str, shape: tuple[int, ...], wish: str | None, image: tuple[int, ...] | None
) -> tuple[str, int, int, int]:
    """Layout, height, width, channels of an image-shaped port."""
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise InputError(
            f"input '{name}' of shape {text_of(shape)} is not the shape of an image",
            "give a .npy with arrays of exactly this shape and the model's own type",
        )
    found = {
        "NHWC": (shape[1], shape[2], shape[3]),
        "NCHW": (shape[2], shape[3], shape[1]),
    }
    if wish is not None:
        return (wish, *found[wish])
    by_channels = [[k for k, v in found.items() if v[2] in channels] for channels in _CHANNELS]
    likely = next(filter(None, by_channels), list(found))
    if len(likely) > 1 and image is not None:
        likely = [k for k in likely if found[k] == image] or likely
    if len(likely) > 1:
        raise InputError(
            f"input '{name}' of shape {text_of(shape)} could be NHWC or NCHW",
            "say which: --layout NHWC or --layout NCHW",
        )
    return (likely[0], *found[likely[0]])


def text_of(shape: tuple[int, ...]) -> str:
    """For example [?, 3, 64, 64]."""
    return "[" + ", ".join("?" if d < 0 else str(d) for d in shape) + "]"
