"""Import of ONNX classifiers: what is trained, which names stay, what is refused; and export of PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import ConvertError, InputError  # noqa: E402
from onnxino_tools.train import evaluate, from_module, to_module  # noqa: E402
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
    before = initializers(module.to_onnx())
    module(torch.ones(2, 3, 8, 8))
    after = initializers(module.to_onnx())
    name = next(name for name in before if name.endswith(".mean"))
    assert np.abs(after[name] - before[name]).max() > 0
    assert np.abs(after[name] * 10 - before[name] * 9).max() < 100


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


# ---- refusals ----


def _unknown(net: Net) -> None:
    net.op("Einsum", equation="nchw->nc")


def _other_domain(net: Net) -> None:
    net.op("Relu", domain="com.acme")


def _mask(net: Net) -> None:
    net.op("Dropout", outputs=2)


def _indices(net: Net) -> None:
    net.op("MaxPool", kernel_shape=[2, 2], outputs=2)


def _wrap(net: Net) -> None:
    net.op("Pad", net.const("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1])), mode="wrap")


def _cast(net: Net) -> None:
    net.op("Cast", to=TensorProto.FLOAT16)


def _output_shape(net: Net) -> None:
    net.op("ConvTranspose", net.weights("up", 4, 2, 2, 2), output_shape=[9, 9])


def _dilated_average(net: Net) -> None:
    net.op("AveragePool", kernel_shape=[2, 2], dilations=[2, 2])


def _training_mode(net: Net) -> None:
    four = [net.const(f"c{k}", np.ones(4, F)) for k in range(4)]
    net.op("BatchNormalization", *four, training_mode=1, outputs=3)


def _wrong_reshape(net: Net) -> None:
    net.op("Reshape", net.const("shape", np.array([0, 4, 63])))


def _double(net: Net) -> None:
    net.op("Cast", to=TensorProto.FLOAT)
    net.op("Conv", net.const("w", np.ones((2, 4, 1, 1))))


REFUSED: dict[str, tuple[Callable[[Net], None], int, str]] = {
    "unknown operator": (_unknown, 17, r"node 'node_einsum1' \(Einsum\): the operator cannot be trained"),
    "other domain": (_other_domain, 17, r"node 'node_relu1' \(Relu\): the operator cannot be trained"),
    "dropout's mask": (_mask, 17, r"node 'node_dropout1' \(Dropout\): its mask is used; supported for training: "),
    "pool's indices": (_indices, 17, r"node 'node_maxpool1' \(MaxPool\): its indices are used"),
    "pad mode": (_wrap, 19, r"\(Pad\): its mode is wrap; supported for training: constant, reflect, edge"),
    "cast": (_cast, 17, r"\(Cast\): it casts to FLOAT16; supported for training: float32, "),
    "output shape": (_output_shape, 17, r"\(ConvTranspose\): it takes its paddings from the size of its output"),
    "dilated average": (_dilated_average, 19, r"\(AveragePool\): its dilations are \[2, 2\]"),
    "training mode": (_training_mode, 17, r"\(BatchNormalization\): it is in training mode"),
    "reshape": (_wrong_reshape, 17, r"node 'node_reshape1' \(Reshape\): cannot be computed: "),
    "float64": (_double, 17, r"node 'node_conv2' \(Conv\): its weights 'w' are float64; training takes float32"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    build, opset, message = REFUSED[case]
    net = Net(opset=opset)
    net.conv(3, 4)
    build(net)
    model = _unchecked(net)
    with pytest.raises(ConvertError, match=message) as caught:
        to_module(model)
    assert caught.value.hint


def _unchecked(net: Net) -> ModelProto:
    """Without shape inference, which refuses some of these itself."""
    port = helper.make_tensor_value_info("image", TensorProto.FLOAT, net.shape)
    output = helper.make_tensor_value_info(net.last, TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(value, name) for name, value in net.constants.items()]
    graph = helper.make_graph(net.nodes, "net", [port], [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", net.opset)], ir_version=8)


def test_refused_operators_are_counted() -> None:
    net = Net()
    net.conv(3, 4)
    net.op("Round")
    net.op("Floor")
    net.op("Floor")
    with pytest.raises(ConvertError, match=r"Round.*\(and 2 more nodes: Floor\)"):
        to_module(net.model())


def test_quantized_model_is_refused() -> None:
    net = Net()
    net.conv(3, 4)
    net.op("QuantizeLinear", net.const("scale", F(0.1)), net.const("zero", np.uint8(0)))
    net.op("DequantizeLinear", "scale", "zero")
    with pytest.raises(ConvertError, match=r"QuantizeLinear.*cannot be trained") as caught:
        to_module(net.model())
    assert "the float model that it was made from" in str(caught.value.hint)


def test_other_ports_are_refused() -> None:
    net = Net()
    net.conv(3, 4)
    two = net.model()
    two.graph.output.append(helper.make_tensor_value_info("conv0", TensorProto.FLOAT, None))
    with pytest.raises(ConvertError, match="1 inputs and 2 outputs; a classifier has one of each"):
        to_module(two)
    integers = net.model()
    integers.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    with pytest.raises(ConvertError, match="the input 'image' is int8; training takes float32"):
        to_module(integers)
    scalar = net.model()
    del scalar.graph.input[0].type.tensor_type.shape.dim[:]
    with pytest.raises(ConvertError, match="'image' has no axis that counts samples"):
        to_module(scalar)


def test_models_without_weights_are_refused() -> None:
    net = Net()
    net.op("GlobalAveragePool")
    with pytest.raises(ConvertError, match="no weights that could be trained"):
        to_module(net.model())


@pytest.mark.parametrize("size", [64, -1])
def test_models_that_mix_samples_are_refused(size: int) -> None:
    net = Net((1, 3, 4, 4))
    net.conv(3, 4)
    net.op("Reshape", net.const("shape", np.array([size])))
    net.op("Unsqueeze", net.const("axes", np.array([0])))
    with pytest.raises(ConvertError, match="another result for 3 samples together than for each alone") as caught:
        to_module(net.model())
    assert "open batch dimension" in str(caught.value.hint)


def test_sparse_weights_are_refused() -> None:
    model = classifier()
    values = numpy_helper.from_array(np.ones(1, F), "sparse")
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64)), [4])
    )
    with pytest.raises(ConvertError, match="sparse weights"):
        to_module(model)


# ---- from PyTorch ----


def _sequential() -> Any:
    torch.manual_seed(3)
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8, 5),
    )


def test_from_module() -> None:
    module = _sequential().train()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    model = from_module(module, (1, 3, 12, 12))
    assert module.training
    assert module[1].training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    onnx.checker.check_model(model, full_check=True)
    assert [port.name for port in (*model.graph.input, *model.graph.output)] == ["image", "logits"]
    assert [node.op_type for node in model.graph.node].count("BatchNormalization") == 2
    assert "Identity" not in [node.op_type for node in model.graph.node]
    assert set(initializers(model)) >= set(state) - {"1.num_batches_tracked", "4.num_batches_tracked"}
    images = torch.randn(4, 3, 12, 12)
    with torch.no_grad():
        expected = module.eval()(images).numpy()
        np.testing.assert_allclose(to_module(model)(images).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(onnxruntime_of(model, images.numpy()), expected, atol=1e-5)


def test_from_module_takes_views_of_open_batches() -> None:
    class Viewing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 2, 3)
            self.head = torch.nn.Linear(72, 3)

        def forward(self, image: Any) -> Any:
            value = torch.relu(self.conv(image))
            return self.head(value.view(value.size(0), -1))

    module = Viewing().eval()
    images = torch.randn(3, 1, 8, 8)
    model = from_module(module, (1, 1, 8, 8))
    np.testing.assert_allclose(
        onnxruntime_of(model, images.numpy()), to_module(model)(images).detach().numpy(), atol=1e-5
    )
    np.testing.assert_allclose(onnxruntime_of(model, images.numpy()), module(images).detach().numpy(), atol=1e-5)


def test_from_module_of_an_imported_one() -> None:
    model = classifier()
    assert from_module(to_module(model), (1, 1, 28, 28)).SerializeToString() == model.SerializeToString()


def test_from_module_mistakes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"does not take an input of \[1, 4, 12, 12\]") as caught:
        from_module(_sequential(), (1, 4, 12, 12))
    assert "(1, 3, 64, 64)" in str(caught.value.hint)
    with pytest.raises(InputError, match=r"the example's shape is \[3\]"):
        from_module(_sequential(), (3,))
    with pytest.raises(ConvertError, match=r"cannot export the module to ONNX: .*adaptive_avg_pool2d"):
        from_module(torch.nn.AdaptiveAvgPool2d(3), (1, 1, 8, 8))

    class Two(torch.nn.Module):
        def forward(self, image: Any) -> Any:
            return image, image

    with pytest.raises(ConvertError, match="gives a tuple; a classifier gives one tensor"):
        from_module(Two(), (1, 1, 8, 8))
    assert capfd.readouterr().out == ""


def test_evaluate_counts() -> None:
    net = Net(("N", 3))
    net.op("Gemm", net.const("w", np.eye(3, dtype=F) * 2))
    images = np.eye(3, dtype=F)[[0, 1, 2, 0]]
    score = evaluate(to_module(net.model()), (images, np.array([0, 1, 2, 2])), batch=3)
    assert score.accuracy == 0.75
    np.testing.assert_array_equal(score.logits, images * 2)
    wrong, right = np.log(np.exp(2) + 2), np.log(np.exp(2) + 2) - 2
    assert score.loss == pytest.approx((3 * right + wrong) / 4, abs=1e-6)
