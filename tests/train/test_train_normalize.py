"""Normalizations behind folded convolutions in training: nothing changes before, none are left after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino_tools.train import Training, evaluate, fit, to_module  # noqa: E402
from tests.train.networks import Net, classifier, content, digits, equal_graphs, initializers, onnxruntime_of  # noqa: E402

SETTINGS = Training(epochs=2, batch=16, learning_rate=0.005, weight_decay=0.0)


def residual(bias: bool = True, groups: int = 1) -> Any:
    """Convolutions one after the other, and around one the sum; the last is the head."""
    net = Net(("N", 1, 28, 28), seed=2)
    net.conv(1, 4, bias=bias, strides=[2, 2])
    first = net.op("Relu")
    net.conv(4, 4, bias=True, group=groups)
    net.op("Add", first)
    net.op("Relu")
    net.conv(4, 10, bias=True, strides=[2, 2])
    net.op("GlobalAveragePool")
    net.op("Flatten")
    return net.model()


def normalized(model: Any) -> Any:
    module = to_module(model)
    module.normalize(torch.from_numpy(digits(0, 200)[0]))
    return module


@pytest.mark.parametrize("groups", [1, 4])
def test_a_normalization_changes_nothing_at_first(groups: int) -> None:
    model, (images, _) = residual(groups=groups), digits(700, 800)
    module = to_module(model)
    before = content(module)
    assert module.normalize(torch.from_numpy(digits(0, 200)[0])) == ["conv0", "conv2", "conv5"]
    assert module.normalized
    with torch.no_grad():
        once = module(torch.from_numpy(images))
        module.normalize(torch.from_numpy(images[:50]))  # has no effect
        assert torch.equal(module(torch.from_numpy(images)), once)
    with torch.no_grad():
        found = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, onnxruntime_of(model, images), atol=1e-5)
    after = initializers(module.to_onnx())
    for name, value in initializers(to_module(model).to_onnx()).items():
        np.testing.assert_allclose(after[name], value, atol=1e-6)
    assert equal_graphs(module.to_onnx(), to_module(model).to_onnx())
    assert before == content(to_module(model))


def test_what_was_trained_is_folded_into_the_same_graph() -> None:
    model, (images, _) = residual(), digits(700, 800)
    module = normalized(model)
    mask = np.random.default_rng(0).random((4, 4, 3, 3)) < 0.5
    fit(module, digits(0, 300), digits(500, 600), SETTINGS, masks={"block2.conv.weight": mask})
    result = module.to_onnx()
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(onnxruntime_of(result, images), expected, atol=1e-4)
    assert equal_graphs(result, to_module(model).to_onnx())
    weight = initializers(result)["block2.conv.weight"]
    assert (weight[~mask] == 0).all()
    assert (weight[mask] != 0).all()
    for name, value in initializers(model).items():
        assert not np.array_equal(initializers(result)[name], value), name


def test_a_channel_that_never_varies_is_safe() -> None:
    model = residual()
    start = to_module(model)
    with torch.no_grad():
        dict(start.named_parameters())["block0.conv.weight"][1] = 0
    model, (images, _) = start.to_onnx(), digits(700, 800)
    module = normalized(model)
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.from_numpy(images)), onnxruntime_of(model, images), atol=1e-5)
    fit(module, digits(0, 300), digits(500, 600), SETTINGS)
    assert all(np.isfinite(value).all() for value in initializers(module.to_onnx()).values())
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(onnxruntime_of(module.to_onnx(), images), expected, atol=1e-4)


def test_convolutions_that_cannot_take_one_stay_as_they_are() -> None:
    model = residual(bias=False)
    module = to_module(model)
    assert not module.normalized
    assert module.normalize(torch.from_numpy(digits(0, 100)[0])) == ["conv2", "conv5"]
    assert to_module(classifier(norm=True)).normalized
    net = Net(("N", 1, 28, 28))
    net.conv(1, 3, kernel=28, bias=True, pads=[0] * 4)
    net.op("Flatten")
    net.dense(3, 3)
    shared = net.model()
    shared.graph.node[-1].input[2] = shared.graph.node[0].input[2]  # one bias for both
    assert to_module(shared).normalize(torch.from_numpy(digits(0, 100)[0])) == []


def test_a_normalized_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def stop(progress: Any) -> None:
        if progress.epoch == 1:
            raise KeyboardInterrupt

    data, path = (digits(0, 300), digits(500, 600)), tmp_path / "training.ckpt"
    whole = normalized(residual())
    fit(whole, *data, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        fit(normalized(residual()), *data, SETTINGS, checkpoint=path, progress=stop)
    module = normalized(residual())
    assert fit(module, *data, SETTINGS, checkpoint=path).resumed_from == 1
    assert content(module) == content(whole)
    assert evaluate(to_module(module.to_onnx()), data[1]).accuracy == evaluate(module, data[1]).accuracy
