"""Training on few images: strong augmentation, one cosine cycle, and a teacher that sees the very same views.

Distillation follows Beyer et al., *Knowledge distillation: a good teacher is patient and consistent* (CVPR 2022):
teacher and student see the same augmented and mixed image, for many epochs; the teacher's answer is the only target.
The loss is Hinton et al., *Distilling the knowledge in a neural network* (2015): T^2 * KL(teacher || student) at
temperature T.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import CLASSES
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from onnxino_tools.files import write_whole

SAVE_EVERY = 60.0  # seconds between checkpoints


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. mixup, cutmix: share of the batches that are mixed so. views: epochs' worth of
    augmented images that are made once, with the teacher's answers to them, and taken in turn; 0: new ones always."""

    epochs: int
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup: int = 5  # epochs
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    temperature: float = 2.0
    views: int = 0


@dataclass(frozen=True)
class Batch:
    """Images float32 [B, 3, H, W], and what the network shall answer: shares [B, 6], from a teacher or from labels."""

    views: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Epoch:
    """Where the training is: epochs done, mean loss of the last one, seconds since the start (or resumption)."""

    done: int
    total: int
    loss: float
    seconds: float


def as_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [N, H, W, 3] -> uint8 [N, 3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def fit(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: Recipe,
    seed: int,
    *,
    teachers: tuple[nn.Module, ...] = (),
    checkpoint: Path | None = None,
    bfloat16: bool = False,
    progress: Callable[[Epoch], None] | None = None,
) -> float:
    """Trains the network in place on images uint8 [N, 3, H, W] and labels int64 [N]; returns the seconds it took.

    With teachers, the mean of their softened answers is the target, and the labels are not used. Goes on from the
    checkpoint where there is one, to the same result as without the interruption (its seconds count).
    """
    network.eval()
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # dropout
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = _optimizer(network, recipe)
    steps = max(1, len(images) // recipe.batch)

    def new(source: torch.Generator) -> Iterator[Batch]:
        return _new(images, labels, recipe, source, teachers, bfloat16)

    first, before = _resume(checkpoint, network, optimizer, generator)
    if first == recipe.epochs:
        return before
    saved = time.monotonic()
    start = saved - before
    kept = [_keep(new(torch.Generator().manual_seed((seed << 16) + k + 1))) for k in range(recipe.views)]
    for epoch in range(first, recipe.epochs):
        network.train()
        batches = _old(kept[epoch % len(kept)], recipe.batch, generator) if kept else new(generator)
        total = 0.0
        for step, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate(epoch * steps + step + 1, steps, recipe)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = network(batch.views.contiguous(memory_format=torch.channels_last))
            loss = _loss(logits.float(), batch.targets, recipe.temperature if teachers else None)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item()
        done = epoch + 1
        now = time.monotonic()
        if checkpoint is not None and (now - saved > SAVE_EVERY or done == recipe.epochs):
            _save(checkpoint, done, now - start, network, optimizer, generator)
            saved = now
        if progress is not None:
            progress(Epoch(done, recipe.epochs, total / steps, now - start))
    network.eval()
    return time.monotonic() - start


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; scales and biases do not decay."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, recipe.learning_rate)


def rate(step: int, steps: int, recipe: Recipe) -> float:
    """Share of the learning rate at a step (from 1): a line up during the warm-up, then half a cosine down to 0."""
    warm, total = min(recipe.warmup, recipe.epochs) * steps, recipe.epochs * steps
    if step < warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _loss(logits: torch.Tensor, targets: torch.Tensor, temperature: float | None) -> torch.Tensor:
    """Cross entropy; with a temperature, the targets are a teacher's answers at it."""
    if temperature is None:
        return -(targets * functional.log_softmax(logits, 1)).sum(1).mean()
    answers = functional.log_softmax(logits / temperature, 1)
    return temperature * temperature * functional.kl_div(answers, targets, reduction="batchmean")


def _new(
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    teachers: tuple[nn.Module, ...],
    bfloat16: bool,
) -> Iterator[Batch]:
    """One epoch of freshly augmented images in batches of one size; what is left over is left out."""
    order = torch.randperm(len(images), generator=generator)
    for step in range(max(1, len(images) // recipe.batch)):
        chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
        views = augment(images[chosen], generator)
        hard = functional.one_hot(labels[chosen], CLASSES).float()
        views, hard = mix(views, hard, recipe, generator)
        if not teachers:
            yield Batch(views, hard * (1 - recipe.label_smoothing) + recipe.label_smoothing / CLASSES)
            continue
        laid = views.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            answers = [functional.softmax(teacher(laid).float() / recipe.temperature, 1) for teacher in teachers]
        yield Batch(views, torch.stack(answers).mean(0))


def _keep(batches: Iterator[Batch]) -> Batch:
    """An epoch's batches in one, the images as uint8: 12 KB each."""
    held = [(batch.views.mul(255).round().to(torch.uint8), batch.targets) for batch in batches]
    return Batch(torch.cat([views for views, _ in held]), torch.cat([targets for _, targets in held]))


def _old(kept: Batch, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """The batches of a kept epoch, shuffled anew."""
    for chosen in torch.randperm(len(kept.views), generator=generator).split(size):
        yield Batch(kept.views[chosen].float().div(255), kept.targets[chosen])


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """uint8 [N, 3, H, W] -> float32 in 0..1; each turned, mirrored, zoomed, shifted, tinted and partly covered."""
    count, _, height, width = images.shape

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    # A quarter turn or none and up to 20 degrees more; mirrored or not; up to 1.3 times larger or smaller.
    angle = torch.randint(0, 4, (count,), generator=generator) * (math.pi / 2) + between(-1, 1) * math.radians(20)
    zoom, aspect = torch.exp(between(-1, 1) * math.log(1.3)), torch.exp(between(-1, 1) * math.log(1.1))
    mirror = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1
    across, down = zoom * aspect, zoom / aspect
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rows = [cosine * across * mirror, -sine * down, between(-0.1, 0.1)]
    rows += [sine * across * mirror, cosine * down, between(-0.1, 0.1)]
    grid = functional.affine_grid(torch.stack(rows, 1).reshape(count, 2, 3), list(images.shape), align_corners=False)
    views = functional.grid_sample(images.float() / 255, grid, padding_mode="reflection", align_corners=False)
    # Contrast, brightness, saturation, and the colour of the light.
    mean = views.mean((1, 2, 3), keepdim=True)
    views = (views - mean) * between(0.7, 1.3, 1, 1, 1) + mean * between(0.7, 1.3, 1, 1, 1)
    grey = views.mean(1, keepdim=True)
    views = grey + (views - grey) * between(0.7, 1.3, 1, 1, 1)
    views = (views * between(0.94, 1.06, 3, 1, 1)).clamp_(0, 1)
    return _cover(views, generator, height, width)


def _cover(views: torch.Tensor, generator: torch.Generator, height: int, width: int) -> torch.Tensor:
    """Half of the images get a rectangle of one colour, with sides of an eighth to three eighths of the image."""
    count = len(views)

    def inside(size: int) -> torch.Tensor:
        centre = torch.randint(0, size, (count, 1), generator=generator)
        half = torch.randint(size // 16, size * 3 // 16 + 1, (count, 1), generator=generator)
        return (torch.arange(size) - centre).abs() < half

    chosen = torch.rand(count, generator=generator) < 0.5
    covered = (inside(height)[:, :, None] & inside(width)[:, None, :] & chosen[:, None, None])[:, None]
    return torch.where(covered, torch.rand(count, 3, 1, 1, generator=generator), views)


def mix(
    views: torch.Tensor, targets: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixup (Zhang et al. 2018, here with an even share), CutMix (Yun et al. 2019) or neither, drawn for the batch."""
    drawn, share = torch.rand(2, generator=generator).tolist()
    other = torch.randperm(len(views), generator=generator)
    if drawn < recipe.mixup:
        return share * views + (1 - share) * views[other], share * targets + (1 - share) * targets[other]
    if drawn < recipe.mixup + recipe.cutmix:
        height, width = views.shape[2:]
        tall, wide = int(height * math.sqrt(1 - share)), int(width * math.sqrt(1 - share))
        y = int(torch.randint(0, height - tall + 1, (1,), generator=generator))
        x = int(torch.randint(0, width - wide + 1, (1,), generator=generator))
        views = views.clone()
        views[:, :, y : y + tall, x : x + wide] = views[other][:, :, y : y + tall, x : x + wide]
        share = 1 - tall * wide / (height * width)
        targets = share * targets + (1 - share) * targets[other]
    return views, targets


def predict(network: nn.Module, images: torch.Tensor, batch: int = 64) -> NDArray[np.float32]:
    """Logits [N, 6] of images uint8 [N, 3, H, W]."""
    network.eval()
    with torch.no_grad():
        parts = [network(part.float().div(255)) for part in images.split(batch)]
    return torch.cat(parts).numpy()


def _resume(
    path: Path | None, network: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> tuple[int, float]:
    """Epochs that are done already, and the seconds they took."""
    if path is None or not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["generator"])
    torch.set_rng_state(state["dropout"])
    return int(state["epochs"]), float(state["seconds"])


def _save(
    path: Path,
    epochs: int,
    seconds: float,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    state = {
        "epochs": epochs,
        "seconds": seconds,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "dropout": torch.get_rng_state(),
    }
    write_whole(path, lambda file: torch.save(state, file))
