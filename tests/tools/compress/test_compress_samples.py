"""Which images train, choose and are reported on; and what is wrong with data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxino.errors import InputError
from onnxino_tools.compress import compress
from onnxino_tools.compress.options import DataOptions
from onnxino_tools.compress.samples import Samples, load_samples
from onnxino_tools.data.dataset import Dataset
from tests.tools.compress import nets


def load(model: onnx.ModelProto, data: Any, **options: Any) -> Samples:
    seed = options.pop("seed", 0)
    return load_samples(model, data, DataOptions(**options), training=True, seed=seed)


def test_splits_are_loaded_apart(network: onnx.ModelProto, data: Path) -> None:
    samples = load(network, data)
    assert samples.train is not None
    assert (len(samples.train), len(samples.validation)) == (90, 45)
    assert samples.evaluate is samples.validation
    assert samples.evaluated == "val"
    tested = load(network, data, evaluate="test")
    assert (len(tested.evaluate), tested.evaluated) == (30, "test")
    images, labels = samples.arrays(samples.validation)
    assert (images.shape, images.dtype, labels.dtype) == ((45, 1, 8, 8), np.float32, np.int64)
    assert images.max() <= 1


def test_a_share_is_held_out_class_by_class(network: onnx.ModelProto, tmp_path: Path) -> None:
    whole = nets.save(tmp_path / "whole.npz", split=None)
    samples = load(network, whole, validation=0.2)
    assert samples.train is not None
    assert len(samples.train) + len(samples.validation) == 165
    assert samples.validation.labels is not None
    assert np.bincount(samples.validation.labels).tolist() == [11, 11, 11]
    seen = {image.tobytes() for image in samples.train.images}
    assert not seen & {image.tobytes() for image in samples.validation.images}
    again, other = load(network, whole, validation=0.2), load(network, whole, validation=0.2, seed=1)
    assert np.array_equal(again.validation.images, samples.validation.images)
    assert not np.array_equal(other.validation.images, samples.validation.images)


def test_a_share_of_split_data_is_one_of_those_that_train(network: onnx.ModelProto, data: Path) -> None:
    samples = load(network, data, validation=0.2)
    assert samples.train is not None
    assert len(samples.train) + len(samples.validation) == 90


def test_a_data_set_in_memory(network: onnx.ModelProto) -> None:
    held = nets.arrays()
    data = Dataset(held["images"], "mine", held["labels"], nets.CLASSES, held["split"])
    samples = load(network, data, evaluate="test", limit=12)
    assert samples.train is not None
    assert [len(d) for d in (samples.train, samples.validation, samples.evaluate)] == [12, 12, 12]
    with pytest.raises(InputError, match="'mine' has no split 'dev'") as caught:
        load(network, data, validation="dev")
    assert "it has: test, train, val" in str(caught.value.hint)
    assert "--validation 0.15" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("changed", "options", "message", "hint"),
    [
        ({"split": None}, {}, "is not split into images that train and images that choose", "--validation 0.15"),
        ({}, {"validation": "dev"}, "has no split 'dev'", "it has: test (30), train (90), val (45)"),
        ({}, {"train": "fit"}, "has no split 'fit'", "it has:"),
        ({}, {"validation": "train"}, "cannot both train and choose", "--validation 0.15"),
        ({}, {"evaluate": "train"}, "cannot be about 'train', the images that train", "--evaluate-split val"),
        ({}, {"evaluate": "train", "validation": 0.2}, "cannot be about 'train', the images that train", ""),
        ({}, {"evaluate": "final"}, "has no split 'final'", "it has:"),
        ({"labels": None, "classes": None}, {}, "has no labels", "array 'labels'"),
        ({"labels": np.full(165, 3), "classes": None}, {}, "labels 3 to 3, the model has 3 outputs", "trained on"),
        ({"labels": np.full(165, -1), "classes": None}, {}, "labels -1 to -1", "trained on"),
        ({"labels": np.full(165, 5)}, {}, "labels 5 to 5 but 3 classes", ""),
        ({"classes": np.array(["a", "b", "c", "d"])}, {}, "4 classes, the model has 3 outputs", ""),
        ({"images": np.zeros((165, 9, 9, 1), np.uint8)}, {}, "9x9x1", ""),
        ({"images": np.zeros((165, 8, 8, 1), np.float32)}, {}, "float32", ""),
        (
            {"images": np.zeros((0, 8, 8, 1), np.uint8), "labels": None, "split": None},
            {"validation": 0.2},
            "no images",
            "",
        ),
    ],
)
def test_data_that_do_not_fit(
    network: onnx.ModelProto, tmp_path: Path, changed: dict[str, Any], options: dict[str, Any], message: str, hint: str
) -> None:
    path = nets.save(tmp_path / "bad.npz", **changed)
    with pytest.raises(InputError) as caught:
        load(network, path, **options)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_data_that_are_not_there(network: onnx.ModelProto, tmp_path: Path) -> None:
    """They were said not to be split."""
    for path in (tmp_path / "none.npz", tmp_path / "text.npz"):
        (tmp_path / "text.npz").write_text("no archive")
        with pytest.raises(InputError) as caught:
            load(network, path)
        assert "split" not in caught.value.message
        assert path.name in caught.value.message


def test_a_share_that_leaves_nothing(network: onnx.ModelProto, tmp_path: Path) -> None:
    pixels, labels = nets.images(3)
    np.savez(tmp_path / "few.npz", images=pixels, labels=labels)
    with pytest.raises(InputError, match="leaves none to train or none to choose"):
        load(network, tmp_path / "few.npz", validation=0.1)


def test_calibration_takes_training_images_alone(network: onnx.ModelProto, data: Path) -> None:
    samples = load(network, data)
    assert samples.train is not None
    (array,) = samples.calibration(20, 0).values()
    assert array.shape == (20, 1, 8, 8)
    known = {image.tobytes() for image in samples.feed(samples.train.images)}
    assert all(image.tobytes() in known for image in array)


def _ending(nodes: list[onnx.NodeProto], inputs: list[str], shape: list[int]) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 8, 8]) for name in inputs]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "odd", ports, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_models_whose_accuracy_means_nothing(tmp_path: Path) -> None:
    data = nets.save(tmp_path / "plain.npz", classes=None)
    two = _ending([helper.make_node("Add", ["a", "b"], ["y"])], ["a", "b"], [1, 1, 8, 8])
    with pytest.raises(InputError, match=r"the model has 2 inputs \(a, b\)"):
        compress(two, data, latency=False)
    image = _ending([helper.make_node("Sigmoid", ["a"], ["y"])], ["a"], [1, 1, 8, 8])
    with pytest.raises(InputError, match="the accuracy cannot be measured: no accuracy: its output 'y'"):
        compress(image, data, latency=False)
