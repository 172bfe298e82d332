"""Every pattern x uint8/int8 x QDQ/QOperator x per tensor/per channel against ONNX Runtime, byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from onnx_net import Net, ort_session, steps
from patterns import BOTH, BOTH_PLAIN, QDQ, QDQ_PLAIN

from onnxino import InferenceSession, load_model
from onnxino.schema.model import Exactness
from onnxino_converter import convert

Case = tuple[str, str, Callable[[Net], None]]


def _fixed(build: Callable[[Net, bool], None], per_channel: bool) -> Callable[[Net], None]:
    return lambda net: build(net, per_channel)


def _cases() -> list[Case]:
    """(name, style, builder) of all patterns."""
    cases: list[Case] = []
    for table, styles in ((BOTH, ("qdq", "qop")), (QDQ, ("qdq",))):
        for name, build in table.items():
            for kind in ("per tensor", "per channel"):
                made = _fixed(build, kind == "per channel")
                cases += [(f"{name} {kind}", style, made) for style in styles]
    for plain, styles in ((BOTH_PLAIN, ("qdq", "qop")), (QDQ_PLAIN, ("qdq",))):
        cases += [(name, style, build) for name, build in plain.items() for style in styles]
    return cases


CASES = _cases()


def compare(net: Net, rows: int = 48) -> tuple[Any, set[Exactness]]:
    """Differences in steps between ONNX Runtime and the NumPy runtime, and the exactness of the operators."""
    model = net.model()
    oracle = ort_session(model)
    converted = convert(model, name="pattern")
    feeds = net.random_feeds(rows)
    expected = oracle.run(None, feeds)
    with InferenceSession(converted.model) as session:
        found = session.run(None, feeds)
    loaded = load_model(converted.model)
    scale = loaded.tensors[loaded.outputs[0].tensor].scale
    return steps(expected[0], found[0], scale), {operator.exactness for operator in loaded.operators}


@pytest.mark.parametrize("ports", ["float", "quantized"])
@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize(("name", "style", "build"), CASES, ids=[f"{style}: {name}" for name, style, _ in CASES])
def test_pattern(name: str, style: str, build: Callable[[Net], None], unsigned: bool, ports: str) -> None:
    net = Net(style=style, unsigned=unsigned, ports=ports)
    build(net)
    different, exactness = compare(net)
    allowed = 1 if Exactness.Step in exactness else 0
    assert int(different.max()) <= allowed, (
        f"{(different > allowed).sum()} of {different.size}, {different.max()} steps"
    )
