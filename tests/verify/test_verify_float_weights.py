"""Float32 weights that ONNX Runtime quantizes by itself: the part is run as its optimizer makes it, not as written."""

from __future__ import annotations

import numpy as np

from onnxino import load_model
from onnxino.schema.model import Conv2D
from onnxino_converter import convert
from onnxino_tools.verify import parts
from onnxino_tools.verify.run import random_feeds, verify
from tests.converter.onnx_net import Net, Q


def _net() -> Net:
    """Conv with float32 weights between quantized tensors; a Transpose moves its result out of ONNX Runtime's sight."""
    net = Net(batch=1)
    generator = np.random.default_rng(3)
    x = net.dq(net.input((3, 8, 8), Q(0.02, -3)))
    weights = net.const(generator.normal(0, 0.4, (4, 3, 3, 3)).astype(np.float32))
    bias = net.const(generator.normal(0, 0.4, 4).astype(np.float32))
    relu = net.op("Relu", [net.op("Conv", [x, weights, bias])])
    moved = net.quantize(net.op("Transpose", [relu], perm=[0, 2, 3, 1]), Q(0.05, -128))
    net.output(net.quantize(net.op("Mul", [net.dq(moved), net.dq(moved)]), Q(0.5, -128)))
    return net


def test_a_convolution_with_float_weights_keeps_its_promise() -> None:
    model = _net().model()
    oxm = convert(model).model
    loaded = load_model(oxm)
    assert any(isinstance(operator.kernel, Conv2D) for operator in loaded.operators)
    report, _ = verify(model, oxm, random_feeds(loaded, 8), ["numpy"])
    assert report.kept, [o for o in report.operators if not o.kept]
    assert sum(operator.bytes_compared for operator in report.operators) > 0


def test_as_written_it_would_differ() -> None:
    """Without the optimizer the float weights stay float, and the comparison raises a false alarm: so this test shows
    that the model above is such a case."""
    import pytest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.Parts, "_has_float_weights", lambda *_: False)
        model = _net().model()
        oxm = convert(model).model
        report, _ = verify(model, oxm, random_feeds(load_model(oxm), 8), ["numpy"])
        assert sum(operator.bytes_different for operator in report.operators) > 0
