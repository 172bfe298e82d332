"""Random networks against ONNX Runtime: not one byte may differ."""

from __future__ import annotations

import pytest
from onnx_net import ort_session, steps
from random_nets import random_net

from onnxino import InferenceSession, load_model
from onnxino.schema.model import Exactness
from onnxino_converter import convert


@pytest.mark.parametrize("first", range(0, 80, 10))
def test_random_networks(first: int) -> None:
    for seed in range(first, first + 10):
        net = random_net(seed)
        model = net.model()
        given = net.random_feeds(6, seed)
        expected = ort_session(model).run(None, given)
        converted = convert(model, name="random")
        loaded = load_model(converted.model)
        exact = all(operator.exactness != Exactness.Step for operator in loaded.operators)
        with InferenceSession(converted.model) as session:
            found = session.run(None, given)
        off = steps(expected[0], found[0], loaded.tensors[loaded.outputs[0].tensor].scale)
        assert exact, f"seed {seed}: {[(o.name, o.exactness.name) for o in loaded.operators]}"
        assert off.max() == 0, f"seed {seed}: {(off > 0).sum()} of {off.size} differ, by {off.max()} at most"
