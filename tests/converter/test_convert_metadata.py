"""Labels and preprocessing, from options and from the ONNX file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_net import Net
from patterns import softmax

from onnxino import load_model
from onnxino_converter import convert


def model(**props: str) -> Any:
    net = Net()
    softmax(net, (3,))
    made = net.model()
    for key, value in props.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    return made


@pytest.mark.parametrize(
    ("key", "text", "labels"),
    [
        ("labels", '["a", "b", "c"]', ["a", "b", "c"]),
        ("names", "{0: 'a', 1: 'b', 2: 'c'}", ["a", "b", "c"]),
        ("classes", '{"2": "c", "1": "b", "0": "a"}', ["a", "b", "c"]),
        ("class_names", "a, b,c", ["a", "b", "c"]),
        ("Class_Labels", "('a', 'b', 'c')", ["a", "b", "c"]),
        ("labels", '["a", "b"]', None),
        ("labels", "{1: 'a', 5: 'b', 2: 'c'}", None),
        ("labels", "{'x': 'a'}", None),
        ("labels", "12", None),
        ("other", '["a", "b", "c"]', None),
    ],
)
def test_labels_of_the_file(key: str, text: str, labels: list[str] | None) -> None:
    metadata = load_model(convert(model(**{key: text})).model).metadata
    assert (metadata.class_labels if metadata else None) == labels


def test_given_labels_win() -> None:
    metadata = load_model(convert(model(labels="x,y,z"), labels=["a", "b", "c"]).model).metadata
    assert metadata is not None
    assert metadata.class_labels == ["a", "b", "c"]


def test_preprocessing() -> None:
    options = {"scale": np.float32(1 / 255), "mean": np.float32([0.5, 0.4, 0.3]), "std": 0.25, "layout": "NCHW"}
    metadata = load_model(convert(model(), preprocessing=options).model).metadata
    assert metadata is not None
    prepared = metadata.preprocessing
    assert prepared is not None
    assert prepared.mean is not None
    assert prepared.std is not None
    assert (prepared.scale, prepared.layout) == (pytest.approx(1 / 255), "NCHW")
    assert prepared.mean.tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert prepared.std.tolist() == [0.25]
