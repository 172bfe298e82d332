"""Whole networks: a torchvision-shaped ResNet-18, and models that others trained; pruned, quantized and converted."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxino_converter import convert
from onnxino_converter.prune import effect, groups, prune
from onnxino_converter.quantize import quantize
from tests.converter.prune.oracle import constants, distinct, inputs, left, pruned
from tests.converter.prune.resnet18 import resnet18

MODELS = {
    "trashnet/base.onnx": 11,
    "mlperf_tiny/ic_float.onnx": 9,
    "wild/w17_float_micro_kws.onnx": 5,
    "wild/w23_alibaba_vww_pruned_float.onnx": 27,
}


@pytest.fixture(scope="module")
def whole() -> onnx.ModelProto:
    return resnet18()


def test_resnet18_is_torchvisions(whole: onnx.ModelProto) -> None:
    """11,689,512 parameters and 1.814 G multiplications at 224 x 224."""
    found = effect(whole)
    assert found["parameters"] == 11_689_512
    assert found["macs"] == 1_814_073_344


def test_half_of_resnet18_by_l1(whole: onnx.ModelProto) -> None:
    """What is left has the shapes of a ResNet-18 of half the width."""
    result = prune(whole, granularity="channel", ratio=0.5, criterion="l1")
    half = resnet18(width=32)
    found, expected = effect(result.model), effect(half)
    assert (found["macs"], found["parameters"]) == (expected["macs"], expected["parameters"])
    shapes = {name: array.shape for name, array in constants(half).items()}
    assert {name: array.shape for name, array in constants(result.model).items()} == shapes
    assert len(result.changes) == 20
    assert all(change.after * 2 == change.before for change in result.changes)
    assert [s.node for s in result.skipped] == ["fc"]
    share = found["macs"] / effect(whole)["macs"]
    assert 0.25 < share < 0.28  # a quarter; the first layer reads three channels as before


@pytest.mark.parametrize("options", [{}, {"criterion": "bn", "scope": "global"}, {"criterion": "l2", "multiple": 4}])
def test_narrow_resnet18_computes_what_it_did_without_the_rest(options: dict[str, Any]) -> None:
    pruned(distinct(resnet18(size=64, width=12, classes=10)), ratio=0.5, **options)


def test_resnet18_groups_by_stage() -> None:
    found = {group.name: group.layers for group in groups(resnet18(size=64, width=8, classes=10))}
    assert found["conv1"] == ("conv1", "layer1.0.conv2", "layer1.1.conv2")
    assert found["layer2.0.conv2"] == ("layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv2")
    assert len(found) == 12


def test_pruned_resnet18_quantizes_and_converts() -> None:
    model = resnet18(size=64, width=8, classes=10)
    sizes = [_converted(net) for net in (model, prune(model, granularity="channel", ratio=0.5).model)]
    assert sizes[1] < 0.5 * sizes[0]


def _converted(model: Any) -> int:
    """Bytes of the .oxm file."""
    return len(convert(quantize(model, inputs(model, 4)), name="net").model)


@pytest.mark.parametrize("name", MODELS)
def test_shared_models(name: str, shared: Path) -> None:
    model = distinct(onnx.load(shared / "models" / name))
    result = pruned(model, ratio=0.5)
    assert len(result.changes) == MODELS[name]
    assert all(change.after == change.before - round(change.before / 2) for change in result.changes)
    assert len(result.skipped) == 1  # the classes
    assert _converted(result.model) < _converted(model)
    for options in ({"scope": "global"}, {"criterion": "l2", "multiple": 4}):
        again = pruned(model, ratio=0.3, **options)
        assert min(left(again).values()) >= 1


@pytest.mark.parametrize("name", MODELS)
def test_shared_models_by_weights(name: str, shared: Path) -> None:
    model = onnx.load(shared / "models" / name)
    for options in ({"granularity": "weight", "ratio": 0.5, "scope": "global"}, {"granularity": "n:m"}):
        result = prune(model, **options)
        onnx.checker.check_model(result.model, full_check=True)
        assert effect(result.model)["nonzero"] < effect(model)["nonzero"]


def test_zeros_do_not_make_the_model_file_smaller(shared: Path) -> None:
    """docs/pruning.md says so; the day they do, it should say something else. Compressed by zlib they do."""
    model = onnx.load(shared / "models" / "trashnet" / "base.onnx")
    sparse = prune(model, granularity="weight", ratio=0.8, scope="global").model
    files = [convert(quantize(net, inputs(net, 8)), name="net").model for net in (model, sparse)]
    assert len(files[0]) == pytest.approx(len(files[1]), rel=0.01)
    packed = [len(zlib.compress(file, 9)) for file in files]
    assert packed[1] < 0.6 * packed[0]
    assert np.isclose(effect(sparse)["nonzero"] / effect(model)["nonzero"], 0.2, atol=0.02)
