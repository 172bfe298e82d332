"""Networks that cannot be trained end in an error that names node and operator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import ConvertError  # noqa: E402
from onnxino_tools.train import to_module  # noqa: E402
from tests.train.networks import Net, classifier  # noqa: E402

F = np.float32


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


def _no_kernel(net: Net) -> None:
    net.op("MaxPool")


def _each_place(net: Net) -> None:
    four = [net.const(f"c{k}", np.ones(4, F)) for k in range(4)]
    net.op("BatchNormalization", *four, spatial=0)


def _own_axis(net: Net) -> None:
    net.op("Add", net.const("bias", np.ones(4, F)), broadcast=1, axis=1)


def _reflected_channels(net: Net) -> None:
    net.op("Pad", net.const("pads", np.array([0, 1, 0, 0, 0, 0, 0, 0])), mode="reflect")


def _product(net: Net) -> None:
    net.op("ReduceProd", axes=[2, 3])


def _text(net: Net) -> None:
    net.nodes.append(helper.make_node("Constant", [], ["label"], name="node_label", value_string="cat"))


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
    "no kernel": (_no_kernel, 17, r"\(MaxPool\): it has no kernel_shape; supported for training: pools with"),
    "each place": (_each_place, 8, r"\(BatchNormalization\): it normalizes each place for itself \(spatial = 0\)"),
    "axis of its own": (_own_axis, 6, r"\(Add\): it broadcasts along an axis of its own, as before opset 7"),
    "reflected channels": (_reflected_channels, 17, r"\(Pad\): cannot be computed: mode reflect is only known for"),
    "product": (_product, 17, r"\(ReduceProd\): cannot be computed: ReduceProd is only known for shapes"),
    "text": (_text, 17, r"node 'node_label' \(Constant\): the constant is neither an array nor a number"),
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
