"""Import of ONNX classifiers: what is trained, which names stay, and what computes as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino_tools.train import to_module  # noqa: E402
from tests.train.networks import Net, classifier, equal_graphs, initializers, onnxruntime_of  # noqa: E402

F = np.float32


def names(module: Any) -> list[str]:
    return [name for name, _ in module.named_parameters()]


def test_parameters_have_the_names_of_initializers() -> None:
    model = classifier()
    module = to_module(model)
    statistics = {name for name in initializers(model) if name.endswith((".mean", ".var"))}
    assert len(statistics) == 4
    assert set(names(module)) == set(initializers(model)) - statistics
    assert set(module.state_dict()) == set(initializers(model))
    assert not module.training


def test_same_graph_comes_out() -> None:
    model = classifier()
    module = to_module(model)
    assert module.to_onnx().SerializeToString() == model.SerializeToString()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1)
    changed = module.to_onnx()
    assert equal_graphs(changed, model)
    for name, value in initializers(changed).items():
        old = initializers(model)[name]
        np.testing.assert_array_equal(value, old if name.endswith((".mean", ".var")) else old + F(0.1))


def test_the_state_is_loaded_by_name() -> None:
    """torch takes what stands before a dot for a submodule."""
    one, other = to_module(classifier(seed=1)), to_module(classifier(seed=2))
    other.load_state_dict(one.state_dict())
    assert other.to_onnx().SerializeToString() == one.to_onnx().SerializeToString()
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*no\.such"):
        other.load_state_dict({**one.state_dict(), "no.such": torch.zeros(1)})


def test_normalizations_learn_their_statistics() -> None:
    net = Net()
    net.conv(3, 4)
    net.norm(4, momentum=0.8)
    net.op("GlobalAveragePool")
    model = net.model()
    module = to_module(model)
    images = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(F)
    module.train()
    module(torch.from_numpy(images))
    inner = module.eval().tensors(torch.from_numpy(images), [module.tensor_names()[0]])
    values = next(iter(inner.values())).detach().numpy().transpose(1, 0, 2, 3).reshape(4, -1)
    old, new = initializers(model), initializers(module.to_onnx())
    mean, var = (next(name for name in old if name.endswith(end)) for end in (".mean", ".var"))
    np.testing.assert_allclose(new[mean], old[mean] * 0.8 + values.mean(1) * 0.2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(new[var], old[var] * 0.8 + values.var(1, ddof=1) * 0.2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_momentum_that_would_learn_nothing_is_not_taken(momentum: float) -> None:
    net = Net()
    net.conv(3, 4)
    net.norm(4, momentum=momentum)
    module = to_module(net.model()).train()
    images = torch.ones(2, 3, 8, 8)
    conv = module.tensor_names()[0]
    batch = module.tensors(images, [conv])[conv].detach().numpy().mean((0, 2, 3))
    before = initializers(net.model())
    module(images)
    name = next(name for name in before if name.endswith(".mean"))
    np.testing.assert_allclose(initializers(module.to_onnx())[name], before[name] * 0.9 + batch * 0.1, rtol=1e-5)


def test_dropout_drops_in_training_only() -> None:
    net = Net((2, 4))
    net.dense(4, 64)
    net.op("Dropout", net.const("ratio", F(0.5)))
    module = to_module(net.model())
    images = torch.ones(2, 4)
    assert torch.equal(module(images), module(images))
    assert 20 < int((module.train()(images) == 0).sum()) < 108


@pytest.mark.parametrize("closing", ["Softmax", "LogSoftmax", None])
def test_logits_are_before_a_closing_softmax(closing: str | None) -> None:
    net = Net(("N", 4))
    net.dense(4, 3)
    if closing:
        net.op(closing, axis=-1)
        net.op("Identity")
    module = to_module(net.model())
    assert module.has_softmax == (closing is not None)
    images = np.eye(4, dtype=F)
    weight, bias = initializers(net.model()).values()
    logits = images @ (weight if weight.ndim == 2 else bias).T
    np.testing.assert_allclose(module.logits(torch.from_numpy(images)).detach().numpy(), logits, atol=1e-6)
    np.testing.assert_allclose(
        module(torch.from_numpy(images)).detach().numpy(), onnxruntime_of(net.model(), images), atol=1e-6
    )


def test_constants_that_prepare_the_input_stay() -> None:
    net = Net()
    net.op("Sub", net.const("pixel.mean", np.array([0.1, 0.2, 0.3], F).reshape(3, 1, 1)))
    net.op("Div", net.const("pixel.std", np.array([0.1, 0.2, 0.3], F).reshape(3, 1, 1)))
    net.conv(3, 4)
    trunk = net.last
    net.op("Add", net.const("three", F(3)))
    net.op("Clip", net.const("zero", F(0)), net.const("six", F(6)))
    net.op("Mul", trunk)
    net.op("Div", net.const("a sixth's inverse", np.array([6], F)))
    net.op("Mul", net.const("scale", np.ones((4, 1, 1), F)))
    net.op("Add", net.const("shift", np.zeros((1, 4, 1, 1), F)))
    assert names(to_module(net.model())) == ["block2.conv.weight", "scale", "shift"]


def test_equal_arrays_that_an_exporter_merged_learn_apart() -> None:
    """Scales of 1 and variances of 1 are one initializer in optimized models."""
    net = Net()
    for channels in (3, 4):
        net.conv(channels, 4)
        ones, zeros = net.const("ones", np.ones(4, F)), net.const("zeros", np.zeros(4, F))
        net.op("BatchNormalization", ones, zeros, zeros, ones)
    model = net.model()
    module = to_module(model)
    images = np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(F)
    np.testing.assert_allclose(
        module(torch.from_numpy(images)).detach().numpy(), onnxruntime_of(model, images), atol=1e-5
    )
    module.train()(torch.from_numpy(images))
    state = module.state_dict()
    assert {"ones", "zeros"} <= set(names(module))
    assert torch.equal(state["ones"], torch.ones(4))
    assert torch.equal(state["zeros"], torch.zeros(4))
    statistics = [name for name in state if name.endswith(("_mean", "_variance"))]
    assert len(statistics) == 4
    assert all(not torch.equal(state[name], state[name].round()) for name in statistics)
    np.testing.assert_allclose(
        module.eval()(torch.from_numpy(images)).detach().numpy(), onnxruntime_of(module.to_onnx(), images), atol=1e-4
    )


def test_models_from_elsewhere(shared: Path) -> None:
    paths = ["mlperf_tiny/ic_float", "trashnet/base", "trashnet/struct50", "wild/w17_float_micro_kws"]
    for path in [*paths, "wild/w23_alibaba_vww_pruned_float"]:
        model = onnx.load(shared / "models" / f"{path}.onnx")
        module = to_module(model)
        images = np.random.default_rng(0).random((2, *(d or 1 for d in module.input_shape[1:])), F)
        expected = np.concatenate([onnxruntime_of(model, image[None]) for image in images])
        with torch.no_grad():
            np.testing.assert_allclose(module(torch.from_numpy(images)).numpy(), expected, atol=1e-5)
