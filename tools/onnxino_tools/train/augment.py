"""Random changes of training images. All of them are drawn from one NumPy generator, and keep shape and range."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from onnxino.errors import InputError
from onnxino_tools.train.settings import Training

SHIFT = 1 / 8  # of the size, each way
CROP_AREA = (0.6, 1.0)  # of the image
CROP_ASPECT = 4 / 3  # from its inverse to it
ANGLE = 15.0  # degrees, each way
COLOUR = 0.3  # factors of brightness, contrast and saturation: 1 +- this
ERASE_SHARE = 0.5  # of the images
ERASE_AREA = (0.02, 0.2)  # of the image
ERASE_ASPECT = 3.3
_MOST_CHANNELS = 4


@dataclass(frozen=True)
class Mixed:
    """Images of which each may be a mixture: `ratio` of it has its own label, the rest that of `others`."""

    images: Tensor
    others: Tensor | None
    ratio: float

    def to(self, device: torch.device) -> Mixed:
        """On the device that computes."""
        return Mixed(self.images.to(device), None if self.others is None else self.others.to(device), self.ratio)


class Augmenter:
    """The augmentations of a training, for images like these. Raises InputError for images that they do not fit."""

    def __init__(self, settings: Training, images: Tensor) -> None:
        self._settings = settings
        self._spatial = bool(settings.augment or settings.cutmix)
        if not self._spatial:
            return
        if images.dim() != 4:
            raise InputError(
                f"augmentation is for images [N, channels, height, width]; these are {list(images.shape)}",
                "leave augment and cutmix away",
            )
        self._last = settings.layout == "nhwc" or (settings.layout == "auto" and _channels_last(images))
        inner = self._inner(images)
        height, width = inner.shape[2:]
        if "rot90" in settings.augment and height != width:
            raise InputError(f"rot90 is for square images; these are {height}x{width}", "take rotate, or flip")
        axes = (0, 2, 3)
        self._low, self._high = inner.amin(axes)[:, None, None], inner.amax(axes)[:, None, None]

    def __call__(self, images: Tensor, labels: Tensor, rng: np.random.Generator) -> Mixed:
        """images float32 [N, ...], labels int64 [N]; the arguments stay as they are."""
        if self._settings.augment:
            inner = self._inner(images)
            for name in self._settings.augment:
                inner = getattr(self, "_" + name.replace("-", "_"))(inner, rng)
            images = self._outer(inner).contiguous()
        return self._mix(images, labels, rng)

    def _inner(self, images: Tensor) -> Tensor:
        """Channels first."""
        return images.permute(0, 3, 1, 2) if self._last else images

    def _outer(self, images: Tensor) -> Tensor:
        return images.permute(0, 2, 3, 1) if self._last else images

    def _flip(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        return torch.where(_coins(rng, len(images)), images.flip(3), images)

    def _flip_vertical(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        return torch.where(_coins(rng, len(images)), images.flip(2), images)

    def _shift(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """By whole pixels; the edge is repeated."""
        places: list[Tensor] = []
        for size in images.shape[2:]:
            reach = int(size * SHIFT)
            offset = torch.from_numpy(rng.integers(-reach, reach + 1, len(images)))
            places.append((torch.arange(size) + offset[:, None]).clamp(0, size - 1))
        samples = torch.arange(len(images))[:, None, None, None]
        channels = torch.arange(images.shape[1])[None, :, None, None]
        return images[samples, channels, places[0][:, None, :, None], places[1][:, None, None, :]]

    def _crop(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """A part of the image, resized to its size."""
        count = len(images)
        area = rng.uniform(*CROP_AREA, count)
        aspect = CROP_ASPECT ** rng.uniform(-1, 1, count)
        wide, high = np.minimum(np.sqrt(area * aspect), 1.0), np.minimum(np.sqrt(area / aspect), 1.0)
        right, down = (rng.uniform(-1, 1, count) * (1 - side) for side in (wide, high))
        nothing = np.zeros(count)
        return _resample(images, [wide, nothing, right, nothing, high, down])

    def _rotate(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        angle = np.deg2rad(rng.uniform(-ANGLE, ANGLE, len(images)))
        cosine, sine, nothing = np.cos(angle), np.sin(angle), np.zeros(len(images))
        ratio = images.shape[3] / images.shape[2]  # coordinates go from -1 to 1 along both axes
        return _resample(images, [cosine, -sine / ratio, nothing, sine * ratio, cosine, nothing])

    def _rot90(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        turns = torch.from_numpy(rng.integers(0, 4, len(images)))
        result = images.clone()
        for turn in (1, 2, 3):
            chosen = turns == turn
            result[chosen] = torch.rot90(images[chosen], turn, [2, 3])
        return result

    def _colour(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Brightness, contrast and saturation, in the range from each channel's least to its greatest value."""
        span = torch.clamp(self._high - self._low, min=1e-6)
        pixels = (images - self._low) / span
        bright, contrast, colour = (
            torch.from_numpy(rng.uniform(1 - COLOUR, 1 + COLOUR, (len(images), 1, 1, 1)).astype(np.float32))
            for _ in range(3)
        )
        pixels = pixels * bright
        pixels = (pixels - pixels.mean((1, 2, 3), keepdim=True)) * contrast + pixels.mean((1, 2, 3), keepdim=True)
        grey = pixels.mean(1, keepdim=True)
        pixels = (pixels - grey) * colour + grey
        return pixels.clamp(0, 1) * span + self._low

    def _erase(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """A rectangle of noise in half of the images (Zhong et al. 2020, Random Erasing Data Augmentation)."""
        result = images.clone()
        height, width = images.shape[2:]
        for k in np.flatnonzero(rng.random(len(images)) < ERASE_SHARE):
            area = rng.uniform(*ERASE_AREA) * height * width
            aspect = ERASE_ASPECT ** rng.uniform(-1, 1)
            rows = min(height, max(1, round((area * aspect) ** 0.5)))
            columns = min(width, max(1, round((area / aspect) ** 0.5)))
            top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
            noise = torch.from_numpy(rng.random((images.shape[1], rows, columns), np.float32))
            noise = noise * (self._high - self._low) + self._low
            result[int(k), :, top : top + rows, left : left + columns] = noise
        return result

    def _mix(self, images: Tensor, labels: Tensor, rng: np.random.Generator) -> Mixed:
        """mixup (Zhang et al. 2018) or cutmix (Yun et al. 2019) of each image with another one of the batch."""
        mixup, cutmix = self._settings.mixup, self._settings.cutmix
        if not mixup and not cutmix:
            return Mixed(images, None, 1.0)
        cuts = bool(cutmix) and (not mixup or rng.random() < 0.5)
        strength = cutmix if cuts else mixup
        share = float(rng.beta(strength, strength))
        order = torch.from_numpy(rng.permutation(len(images)))
        if not cuts:
            share = max(share, 1 - share)  # the greater part is the image's own: else its order in the batch decides
            return Mixed(images * share + images[order] * (1 - share), labels[order], share)
        inner = self._inner(images).clone()
        height, width = inner.shape[2:]
        side = math.sqrt(1 - share)
        rows, columns = round(height * side), round(width * side)
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        part = (slice(None), slice(None), slice(top, top + rows), slice(left, left + columns))
        inner[part] = self._inner(images)[order][part]
        return Mixed(self._outer(inner).contiguous(), labels[order], 1 - rows * columns / (height * width))


def _channels_last(images: Tensor) -> bool:
    return images.shape[3] <= _MOST_CHANNELS < images.shape[1]


def _coins(rng: np.random.Generator, count: int) -> Tensor:
    return torch.from_numpy(rng.random(count) < 0.5)[:, None, None, None]


def _resample(images: Tensor, rows: list[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> Tensor:
    """Takes each pixel from where a 2x3 matrix per image puts it; the image goes on mirrored beyond its edge."""
    matrix = torch.from_numpy(np.stack(rows, 1).astype(np.float32).reshape(-1, 2, 3))
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
