"""Whether a model computes on NumPy, in C and in ONNX Runtime the same, operator by operator and at its outputs."""

from __future__ import annotations

from onnx import ModelProto

from onnxino import load_model
from onnxino.schema.model import Exactness, Model
from onnxino_converter import convert
from onnxino_tools.verify.run import random_feeds, verify

INTEGER = {Exactness.Exact, Exactness.Table}


def check(model: ModelProto, inputs: int = 8, *, float: bool = False) -> Model:
    """The converted model. No difference where ONNX Runtime computes on integers, nor at the outputs of a model that
    is exact throughout; elsewhere a step or float32 rounding. C and NumPy share every bit."""
    converted = convert(model, name="net", float=float)
    loaded = load_model(converted.model)
    report, _ = verify(model, converted.model, random_feeds(loaded, inputs), ["numpy", "c"])
    assert report.kept, [o for o in report.operators if not o.kept]
    assert report.operators or report.not_located
    assert report.backends["c"].reference_different == 0
    exactly = {operator.name for operator in loaded.operators if operator.exactness in INTEGER}
    assert not [o for o in report.operators if o.name in exactly and o.bytes_different]
    found = report.backends["numpy"]
    assert found.bytes_compared + found.floats_compared > 0
    if len(exactly) == len(loaded.operators):
        assert found.bytes_different == 0
    assert found.steps <= 2
    assert found.largest <= 1e-3
    return loaded
