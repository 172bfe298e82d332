"""Checks samples, masks and teachers against the module, and hands samples out as tensors."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onnxino.errors import ConvertError, InputError
from onnxino_tools import ui
from onnxino_tools.train.module import OnnxModule, to_module

if TYPE_CHECKING:
    from onnx import ModelProto

# Images float32 [N, ...] as the model takes them, labels int64 [N].
Arrays = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Samples:
    """images: float32 [N, ...]; labels: int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """In order; the last one may be smaller."""
        for start in range(0, len(self), size):
            yield self.images[start : start + size], self.labels[start : start + size]


def device_of(module: nn.Module) -> torch.device:
    """Where the module computes."""
    return next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))


def logits_of(module: nn.Module, images: Tensor) -> Tensor:
    """float32 [N, classes] of a module that gives logits, or of an ONNX one; axes of size 1 behind the classes go."""
    result: Tensor = module.logits(images) if isinstance(module, OnnxModule) else module(images)
    while result.dim() > 2 and result.shape[-1] == 1:
        result = result.squeeze(-1)
    return result


def samples_of(arrays: Arrays, module: nn.Module, what: str) -> Samples:
    """Raises InputError for data that are empty, of other types, shapes or numbers than expected, or not finite.

    what: how messages call the data ("training", "validation").
    """
    if len(arrays) != 2:
        raise InputError(f"the {what} data are {len(arrays)} arrays; expected two: images and labels")
    images, labels = np.asarray(arrays[0]), np.asarray(arrays[1])
    if not images.size or not labels.size:
        raise InputError(f"there are no {what} samples", "give at least one image with its label; check the split")
    if images.dtype.kind != "f":
        raise InputError(
            f"the {what} images are {images.dtype}; expected float32, as the model takes them",
            "for pixels, for example: (images / 255).astype('float32')",
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"the {what} labels are {labels.dtype} {list(labels.shape)}; expected whole numbers [N]",
            "one-hot labels become numbers by labels.argmax(1)" if labels.ndim == 2 else None,
        )
    if len(images) != len(labels):
        raise InputError(f"there are {ui.counted(len(images), f'{what} image')} and {ui.counted(len(labels), 'label')}")
    _check_shape(images, module, what)
    if not np.isfinite(images).all():
        raise InputError(f"the {what} images hold NaN or infinity", "leave those samples away")
    images = np.ascontiguousarray(images, np.float32)
    if not images.flags.writeable:  # torch warns of an array that it could not write into
        images = images.copy()
    return Samples(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


def _check_shape(images: NDArray[Any], module: nn.Module, what: str) -> None:
    if not isinstance(module, OnnxModule):
        return
    expected, found = module.input_shape, images.shape
    fits = len(expected) == len(found) and all(
        e is None or e == f for e, f in zip(expected[1:], found[1:], strict=True)
    )
    if fits:
        return
    wanted = ["N", *("?" if size is None else size for size in expected[1:])]
    hint = "resize or crop them as the model was trained"
    for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
        if len(found) == len(expected) == 4 and [found[k] for k in order[1:]] == expected[1:]:
            hint = f"the axes are in another order: images.transpose{order}"
    raise InputError(f"the {what} images are {list(found)}; the model takes [{', '.join(map(str, wanted))}]", hint)


def check_labels(samples: Samples, classes: int, what: str) -> None:
    """Raises InputError for labels for which the model has no output."""
    least, most = int(samples.labels.min()), int(samples.labels.max())
    if least < 0 or most >= classes:
        raise InputError(
            f"the {what} labels go from {least} to {most}; the model has {ui.counted(classes, 'output')}, "
            f"so 0 to {classes - 1} were expected",
            "check that the model was made for these classes, and that labels count from 0",
        )


def class_count(module: nn.Module, images: Tensor, who: str) -> int:
    """How many classes the module tells apart. Raises InputError where it does not take such images.

    images: a few samples; who: how messages call the module.
    """
    was_training = module.training
    try:
        with torch.no_grad():
            result: Any = logits_of(module.eval(), images.to(device_of(module)))
    except (RuntimeError, ValueError, ConvertError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{who} does not take images of {list(images.shape)}: {reason}", "give images as the model takes them"
        ) from error
    finally:
        module.train(was_training)
    if not isinstance(result, Tensor) or result.dim() != 2 or len(result) != len(images):
        shape = list(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise InputError(f"{who} gives {shape} for {len(images)} images; expected logits [N, classes]")
    return int(result.shape[1])


def teacher_of(
    teacher: nn.Module | ModelProto | Path | str | None, module: nn.Module, images: Tensor, classes: int
) -> nn.Module | None:
    """The teacher as a module in evaluation mode (a copy, so that it stays as it is). Raises InputError for one with
    another number of classes, ConvertError for an ONNX model that cannot be read."""
    if teacher is None:
        return None
    own = deepcopy(teacher) if isinstance(teacher, nn.Module) else to_module(teacher)
    own = own.to(device_of(module)).eval().requires_grad_(False)
    found = class_count(own, images, "the teacher")
    if found != classes:
        raise InputError(
            f"the teacher has {found:,} classes, the student {classes:,}",
            "a teacher must have been trained on the same classes in the same order",
        )
    return own


def masks_of(masks: Mapping[str, NDArray[Any]] | None, module: nn.Module) -> dict[str, Tensor]:
    """Parameter name -> 1 where a weight is kept, 0 where not. Raises InputError for unknown names and other shapes."""
    known = dict(module.named_parameters())
    result: dict[str, Tensor] = {}
    for name, mask in (masks or {}).items():
        if name not in known:
            raise InputError(f"there is a mask for '{name}', which is no parameter of the model", _near(name, known))
        found, expected = tuple(np.shape(mask)), tuple(known[name].shape)
        if found != expected:
            raise InputError(f"the mask for '{name}' is {list(found)}, the parameter {list(expected)}")
        result[name] = torch.from_numpy(np.array(mask, np.float32)).ne(0).to(known[name])
    return result


def _near(name: str, known: Mapping[str, object]) -> str | None:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    return f"did you mean '{near[0]}'?" if near else None
