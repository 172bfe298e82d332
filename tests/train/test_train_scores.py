"""Accuracy and loss of a module, and how much each of its weights matters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino_tools.train import evaluate, taylor_scores, to_module  # noqa: E402
from tests.train.networks import Net, content, patterns, small  # noqa: E402

DATA = patterns(96), patterns(48, seed=1)


def test_taylor_scores_are_squared_gradient_times_weight() -> None:
    net = Net(("N", 2))
    weight = np.array([[1.0, -2.0], [0.5, 0.0]], np.float32)
    net.op("Gemm", net.const("w", weight), transB=1)
    images, labels = np.array([[1, 0], [0, 1], [2, 1]], np.float32), np.array([0, 1, 1])
    module = to_module(net.model())
    scores = taylor_scores(module, images, labels, batch=2)
    parts: list[Any] = []
    for part in (slice(0, 2), slice(2, 3)):
        logits = images[part] @ weight.T
        share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        gradient = (share - np.eye(2)[labels[part]]).T @ images[part] / len(images[part])
        parts.append((gradient * weight) ** 2)
    np.testing.assert_allclose(scores["w"], np.mean(parts, axis=0), rtol=1e-5)
    assert scores["w"].dtype == np.float32
    assert scores["w"][1, 1] == 0


def test_taylor_scores_leave_the_module_alone() -> None:
    module = to_module(small()).train()
    before = content(module)
    scores = taylor_scores(module, *DATA[0])
    assert set(scores) == {name for name, _ in module.named_parameters()}
    assert all(scores[name].shape == tuple(p.shape) for name, p in module.named_parameters())
    assert module.training
    assert content(module) == before
    assert all(parameter.grad is None for parameter in module.parameters())


def test_evaluate_counts() -> None:
    net = Net(("N", 3))
    net.op("Gemm", net.const("w", np.eye(3, dtype=np.float32) * 2))
    images = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    score = evaluate(to_module(net.model()), (images, np.array([0, 1, 2, 2])), batch=3)
    assert score.accuracy == 0.75
    np.testing.assert_array_equal(score.logits, images * 2)
    wrong, right = np.log(np.exp(2) + 2), np.log(np.exp(2) + 2) - 2
    assert score.loss == pytest.approx((3 * right + wrong) / 4, abs=1e-6)


def test_arrays_that_cannot_be_written_do() -> None:
    images, labels = DATA[0]
    images = images.copy()
    images.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate(to_module(small()), (images, labels.astype(np.uint8))).logits.shape == (96, 3)
