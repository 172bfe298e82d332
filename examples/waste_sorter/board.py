"""From the trained student to int8, to a model file, and to the emulated board."""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxino import InferenceSession
from onnxino.errors import LinkError
from onnxino_converter import convert

if TYPE_CHECKING:
    from torch import nn

    from onnxino_tools.data import Dataset


@dataclass(frozen=True)
class Measured:
    """What the emulated board did with the images, and what the model takes."""

    images: int
    accuracy: float
    bytes_different: int  # of the outputs, from the NumPy reference
    latency_ms: float  # estimated, at the board's 64 MHz
    model_bytes: int
    arena_bytes: int
    macs: int


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 [N, 64, 64, 3] -> what the networks take: float32 [N, 3, 64, 64] in 0..1."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / 255


def exported(network: nn.Module) -> bytes:
    """The network as float ONNX, input `image` [batch, 3, 64, 64], output `logits`, with the names of the classes."""
    import onnx
    import torch
    from images import CLASSES

    network = network.to(memory_format=torch.contiguous_format).eval()  # pyright: ignore[reportCallIssue]
    batch = {0: "batch"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # dynamo=False needs no further package
        path = Path(folder, "float.onnx")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 64, 64),),
            str(path),
            opset_version=17,
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": batch, "logits": batch},
        )
        model = onnx.load(path)
    onnx.helper.set_model_props(model, {"classes": json.dumps(CLASSES)})
    return model.SerializeToString()


def quantized(network: nn.Module, images: NDArray[np.uint8]) -> bytes:
    """The network as QDQ ONNX; these training images give the ranges of its activations and the mean error of its
    weights' rounding, which the biases take up: without that, one seed of three lost four points of the validation
    split."""
    from onnxino_converter.quantize import quantize

    return quantize(exported(network), {"image": as_input(images)}, bias_correction=True).SerializeToString()


def accuracy(model: Path, data: Dataset) -> float:
    """Share of the images that the int8 model classifies right, on this computer."""
    with InferenceSession(convert(model).model) as session:
        logits = np.concatenate([np.asarray(session.run(None, {"image": as_input(part)})[0]) for part in _parts(data)])
    return float((logits.argmax(1) == data.labels).mean())


def _parts(data: Dataset) -> list[NDArray[np.uint8]]:
    return [data.images[at : at + 64] for at in range(0, len(data), 64)]


def on_board(model: Path, data_file: Path, split: str, limit: int) -> Measured:
    """Runs the first images of a split on the emulated board. Raises LinkError where a byte is not the reference's."""
    from onnxino_tools.api import evaluate

    converted = convert(model)
    result = evaluate(model, data_file, port="emulator", split=split, limit=limit)
    latency = result.latency_ms(50)
    if not result.ok or result.correct is None or latency is None:
        raise LinkError(f"{result.bytes_different} bytes of the emulated board's answers are not the reference's")
    report = converted.report
    sizes = (report["model_bytes"], report["arena_bytes"], report["macs"])
    return Measured(result.images, result.correct / result.images, result.bytes_different, latency, *sizes)
