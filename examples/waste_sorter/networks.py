"""The two networks of the waste sorter: a teacher that fits no microcontroller, and the student that does.

Both take float32 [N, 3, 64, 64] in 0..1 and give 6 logits. Plain 3x3 convolutions throughout: they are what a
microcontroller multiplies fastest, and what trains fastest on a CPU.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CLASSES = 6
STUDENT = ((16, 2), (24, 2), (36, 2), (36, 1), (44, 2), (40, 1))  # channels and stride of each convolution


def convolution(inputs: int, outputs: int, stride: int = 1, kernel: int = 3, *, relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalization (which the quantizer folds into the convolution) and ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def classifier(channels: int, dropout: float = 0.0) -> nn.Sequential:
    """Mean over the image, and one dense layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, CLASSES))


class Residual(nn.Module):
    """Two convolutions around which the input goes, as in ResNet-D: where the size changes, by a mean and a 1x1."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(inputs, outputs, stride), convolution(outputs, outputs, relu=False))
        changes = stride > 1 or inputs != outputs
        around = [nn.AvgPool2d(stride), convolution(inputs, outputs, kernel=1, relu=False)] if changes else []
        self.around = nn.Sequential(*around)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(images) + self.around(images))


def student() -> nn.Sequential:
    """Six convolutions, of which four halve the image: 32x32, 16x16, 8x8, 8x8, 4x4, 4x4."""
    layers: list[nn.Module] = []
    channels = 3
    for outputs, stride in STUDENT:
        layers.append(convolution(channels, outputs, stride))
        channels = outputs
    return nn.Sequential(*layers, classifier(channels))


def teacher() -> nn.Sequential:
    """A residual network of 13 convolutions in a row: 32x32, then two blocks each of 16x16, 8x8 and 4x4."""
    blocks = [Residual(24, 48, 2), Residual(48, 48), Residual(48, 96, 2), Residual(96, 96), Residual(96, 160, 2)]
    return nn.Sequential(convolution(3, 24, 2), *blocks, Residual(160, 160), classifier(160, dropout=0.2))
