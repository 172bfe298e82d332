"""What training minimizes: cross entropy, distance from a teacher's soft targets, and from its features."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from onnxino.errors import InputError
from onnxino_tools.train.augment import Mixed
from onnxino_tools.train.data import logits_of
from onnxino_tools.train.module import OnnxModule
from onnxino_tools.train.settings import Training


class Tap:
    """A module whose inner tensors can be read: by the name of a tensor or node of an ONNX graph, or of a submodule.

    Raises InputError for an unknown name. who: how messages call the module.
    """

    def __init__(self, module: nn.Module, names: Sequence[str], who: str) -> None:
        self.module = module
        if isinstance(module, OnnxModule):
            known = module.tensor_names()
        else:
            known = [str(name) for name, _ in module.named_modules() if name]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, 3, 0.4) or known[:5]
                raise InputError(f"{who} has no layer '{name}'", f"it has, for example: {', '.join(near)}")
        self._names = list(names)

    def __call__(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and the inner tensors in the order of their names."""
        if not self._names:
            return logits_of(self.module, images), []
        if isinstance(self.module, OnnxModule):
            logits, found = self.module.with_tensors(images, self._names)
            return logits, [found[name] for name in self._names]
        kept: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def hook(_: nn.Module, __: Any, output: Tensor) -> None:
                kept[name] = output

            return hook

        hooks = [self.module.get_submodule(name).register_forward_hook(keep(name)) for name in self._names]
        try:
            logits = logits_of(self.module, images)
        finally:
            for hook in hooks:
                hook.remove()
        return logits, [kept[name] for name in self._names]


class Features(nn.Module):
    """Mean squared distance between a student's features, projected by a learned 1x1 convolution, and a teacher's
    (Romero et al. 2015, FitNets). Features are [N, channels, height, width], averaged where the teacher's are larger,
    or [N, channels]."""

    def __init__(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        super().__init__()
        self.projections = nn.ModuleList()
        for own, wanted in zip(student, teacher, strict=True):
            if own.dim() != wanted.dim() or own.dim() not in (2, 4):
                raise InputError(
                    f"a student's features {list(own.shape)} and a teacher's {list(wanted.shape)} do not go together",
                    "choose layers that both give [N, channels, height, width], or both [N, channels]",
                )
            kind: Any = nn.Conv2d if own.dim() == 4 else nn.Linear
            size = (1,) if own.dim() == 4 else ()
            self.projections.append(kind(own.shape[1], wanted.shape[1], *size))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        total = student[0].new_zeros(())
        for projection, own, wanted in zip(self.projections, student, teacher, strict=True):
            projected: Tensor = projection(own)
            if projected.shape[2:] != wanted.shape[2:]:
                common = min(projected.shape[2], wanted.shape[2]), min(projected.shape[3], wanted.shape[3])
                projected = functional.adaptive_avg_pool2d(projected, common)
                wanted = functional.adaptive_avg_pool2d(wanted, common)
            total = total + functional.mse_loss(projected, wanted)
        return total


def label_loss(logits: Tensor, labels: Tensor, mixed: Mixed, smoothing: float) -> Tensor:
    """Mean cross entropy; of mixed images with both labels in their ratio."""
    loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    if mixed.others is None:
        return loss
    return loss * mixed.ratio + functional.cross_entropy(logits, mixed.others, label_smoothing=smoothing) * (
        1 - mixed.ratio
    )


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean Kullback-Leibler divergence of the outputs at a temperature T, times T^2, which keeps its gradients as great
    as those of the labels (Hinton, Vinyals, Dean 2015, Distilling the Knowledge in a Neural Network, section 2)."""
    own = torch.log_softmax(student / temperature, 1)
    wanted = torch.log_softmax(teacher / temperature, 1)
    return functional.kl_div(own, wanted, reduction="batchmean", log_target=True) * temperature**2


class Objective:
    """The loss of a batch: (1 - alpha) * labels + alpha * soft targets + feature_weight * features."""

    def __init__(self, module: nn.Module, teacher: nn.Module | None, settings: Training, example: Tensor) -> None:
        """example: a few images, from which the sizes of features are taken. Raises InputError."""
        self._settings = settings
        if settings.feature_layers and teacher is None:
            raise InputError("feature matching needs a teacher", "give a teacher, or leave feature_layers away")
        pairs = settings.feature_layers
        self._student = Tap(module, [pair[0] for pair in pairs], "the student")
        self._teacher = None
        if teacher is not None and (settings.alpha or pairs):
            self._teacher = Tap(teacher, [pair[1] for pair in pairs], "the teacher")
        self.features: Features | None = None
        if pairs and self._teacher is not None:
            was_training = module.training
            with torch.no_grad():
                module.eval()
                self.features = Features(self._student(example)[1], self._teacher(example)[1]).to(example.device)
                module.train(was_training)

    def __call__(self, mixed: Mixed, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (a mean over the batch), and the logits [N, classes]."""
        settings = self._settings
        logits, own = self._student(mixed.images)
        labelled = label_loss(logits, labels, mixed, settings.label_smoothing)
        if self._teacher is None:
            return labelled, logits
        with torch.no_grad():
            wanted, hints = self._teacher(mixed.images)
        loss = labelled * (1 - settings.alpha)
        if settings.alpha:
            loss = loss + soft_loss(logits, wanted, settings.temperature) * settings.alpha
        if self.features is not None:
            loss = loss + self.features(own, hints) * settings.feature_weight
        return loss, logits
