"""What a device's bytes mean: outputs of every element type, predictions, NaN, and indices instead of classes."""

from __future__ import annotations

import numpy as np
import pytest

from onnxino.errors import InputError
from onnxino.schema.model import ArgMax, ElementType, FloatReduce, Model, ReduceFunction
from onnxino_tools.classes import prediction
from onnxino_tools.data import Dataset
from onnxino_tools.evaluate import Evaluation, Inference, joined, match_classes, split_outputs
from tests.model_builder import single

FLOAT, INDEX = ElementType.Float32, ElementType.Int32


def index_model() -> Model:
    return single(ArgMax(axis=1), [[1, 7]], [1], [FLOAT], INDEX)


def float_model() -> Model:
    kernel = FloatReduce(function=ReduceFunction.Max, axes=np.array([1], np.uint8))
    return single(kernel, [[1, 3, 4]], [1, 4], [FLOAT], FLOAT)


def data(*labels: int) -> Dataset:
    return Dataset(np.zeros((len(labels), 7), np.float32), "here", np.array(labels))


def test_outputs_of_every_type_go_there_and_back() -> None:
    model = index_model()
    model.outputs = [model.outputs[0], model.inputs[0]]
    indices = np.array([[3], [6]], np.int32)
    values = np.arange(14, dtype=np.float32).reshape(2, 1, 7) / 3
    rows = joined([indices, values])
    assert rows.shape == (2, 4 + 28)
    first, second = split_outputs(model, rows)
    assert (first.dtype, second.dtype) == (np.int32, np.float32)
    assert np.array_equal(first, indices)
    assert np.array_equal(second, values)


def test_any_nan_is_the_same() -> None:
    bits = np.array([[0x7FC00000, 0x3F800000], [0xFFC00001, 0x3F800000]], np.uint32)
    rows = joined([bits.view(np.float32)])
    assert np.array_equal(rows[0], rows[1])


def test_predictions() -> None:
    assert prediction(np.array([0.5, 0.7, 0.1], np.float32)) == 1
    assert prediction(np.array([-5, 3, 4], np.int8)) == 2
    assert prediction(np.array([4], np.int64)) == 4
    assert prediction(np.array([[4]], np.int32)) == 4
    assert prediction(np.array([4], np.int8)) == 0  # one class, not its index
    assert prediction(np.array([9.0], np.float32)) == 0


def test_an_index_leaves_the_number_of_classes_open() -> None:
    labels, names = match_classes(index_model(), data(0, 5, 2))
    assert labels is not None
    assert labels.tolist() == [0, 5, 2]
    assert names is None
    with pytest.raises(InputError, match="labels -1 to 5"):
        match_classes(index_model(), data(5, -1))


def test_values_for_each_class_fix_it() -> None:
    assert match_classes(float_model(), data(0, 3))[1] == ["0", "1", "2", "3"]
    with pytest.raises(InputError, match="labels 0 to 5, the model has 4 outputs"):
        match_classes(float_model(), data(0, 5))


def test_the_confusion_matrix_grows_with_the_index() -> None:
    result = Evaluation(2, ["a", "b"], np.array([0, 1]))
    for predicted in (0, 3):
        result.done.append(Inference(np.zeros(1), b"", b"", 0.0, predicted))
    assert result.confusion() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
