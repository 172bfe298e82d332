"""How pixels become a model's input: every rule, every override, every doubt."""

from __future__ import annotations

import numpy as np
import pytest

from onnxino.errors import InputError
from onnxino.schema.model import ElementType, Preprocessing
from onnxino_tools.data import PixelOptions, choose_rule
from tests.tools.models import FLOAT, INT8, UINT8, port_model

NONE = PixelOptions()
PIXELS = np.array([0, 1, 127, 128, 255], np.uint8)


def _line(kind: ElementType, scale: float = 1 / 255, options: PixelOptions = NONE, **more: object) -> np.ndarray:
    model = port_model([1, 1, 1, 5], kind, scale, **more)  # type: ignore[arg-type]
    rule = choose_rule(model, PixelOptions(options.scale, options.mean, options.std, "NCHW"))
    return rule.apply(PIXELS.reshape(1, 1, 5, 1)).reshape(-1)


@pytest.mark.parametrize(
    ("kind", "scale", "expected"),
    [
        (UINT8, 1.0, PIXELS),
        (INT8, 0.02, PIXELS.astype(np.int16) - 128),
        (FLOAT, 1 / 255, PIXELS.astype(np.float32) / np.float32(255)),
        (FLOAT, 127 / 255, PIXELS.astype(np.float32) / np.float32(255)),
        (FLOAT, 0.50197, PIXELS.astype(np.float32)),  # times 255 is 128.002
        (FLOAT, 1.0, PIXELS.astype(np.float32)),
    ],
)
def test_the_port_suggests_a_rule(kind: ElementType, scale: float, expected: np.ndarray) -> None:
    line = _line(kind, scale)
    assert line.dtype == {UINT8: np.uint8, INT8: np.int8, FLOAT: np.float32}[kind]
    assert line.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (FLOAT, PixelOptions(scale=1.0), [0, 1, 127, 128, 255]),
        (FLOAT, PixelOptions(scale=1.0, mean=[127.0], std=[2.0]), [-63.5, -63.0, 0, 0.5, 64]),
        (UINT8, PixelOptions(scale=0.5), [0, 0, 64, 64, 128]),  # 0.5, 63.5 and 127.5 to even
        (INT8, PixelOptions(scale=1.0, mean=[100.0]), [-100, -99, 27, 28, 127]),  # 155 is clamped
    ],
)
def test_options_come_first(kind: ElementType, options: PixelOptions, expected: list[float]) -> None:
    stored = Preprocessing(scale=7.0)
    assert _line(kind, options=options, preprocessing=stored).tolist() == expected


def test_metadata_comes_before_the_port() -> None:
    stored = Preprocessing(scale=2.0, mean=np.array([1.0], np.float32), std=np.array([4.0], np.float32))
    assert _line(FLOAT, preprocessing=stored).tolist() == [-0.25, 0.25, 63.25, 63.75, 127.25]


def test_each_channel_has_its_own_mean() -> None:
    model = port_model([1, 3, 2, 2])
    rule = choose_rule(model, PixelOptions(scale=1.0, mean=[1.0, 2.0, 3.0], std=[1.0, 2.0, 4.0]))
    image = np.full((1, 2, 2, 3), 11, np.uint8)
    assert rule.apply(image)[0, :, 1, 1].tolist() == [10.0, 4.5, 2.0]


@pytest.mark.parametrize(
    ("shape", "image", "layout", "size"),
    [
        ([1, 3, 64, 48], None, "NCHW", (64, 48, 3)),
        ([-1, 64, 48, 3], None, "NHWC", (64, 48, 3)),
        ([-1, 49, 10, 1], None, "NHWC", (49, 10, 1)),
        ([1, 3, 8, 3], (3, 8, 3), "NHWC", (3, 8, 3)),
        ([1, 3, 8, 3], (8, 3, 3), "NCHW", (8, 3, 3)),
        ([1, 7, 8, 9], (8, 9, 7), "NCHW", (8, 9, 7)),
    ],
)
def test_the_layout_is_read_off_the_shape(
    shape: list[int], image: tuple[int, ...] | None, layout: str, size: tuple[int, int, int]
) -> None:
    rule = choose_rule(port_model(shape), NONE, image)
    assert (rule.layout, (rule.height, rule.width, rule.channels)) == (layout, size)


def test_pixels_go_where_the_layout_says() -> None:
    image = np.arange(30, dtype=np.uint8).reshape(1, 2, 5, 3)
    first = choose_rule(port_model([1, 3, 2, 5], UINT8), NONE).apply(image)
    last = choose_rule(port_model([1, 2, 5, 3], UINT8), NONE).apply(image)
    assert np.array_equal(first, image.transpose(0, 3, 1, 2))
    assert np.array_equal(last, image)


def test_a_layout_that_could_be_either_is_asked_for() -> None:
    with pytest.raises(InputError, match="could be NHWC or NCHW") as error:
        choose_rule(port_model([1, 3, 8, 3]), NONE)
    assert error.value.hint is not None
    assert "--layout NCHW" in error.value.hint


def test_what_is_no_image_is_asked_for() -> None:
    with pytest.raises(InputError, match=r"'x' of shape \[\?, 640\] is not the shape of an image") as error:
        choose_rule(port_model([-1, 640], INT8), NONE)
    assert error.value.hint is not None
    assert ".npy" in error.value.hint


def test_a_mean_for_other_channels_is_refused() -> None:
    with pytest.raises(InputError, match="--mean has 2 values, the model's input has 3 channels"):
        choose_rule(port_model([1, 3, 8, 8]), PixelOptions(scale=1.0, mean=[1.0, 2.0]))


@pytest.mark.parametrize(
    ("scale", "zero_point", "doubtful"),
    [(1 / 255, -128, False), (1.0, -128, False), (0.0186, -14, True), (0.0001, -128, True)],
)
def test_a_range_that_does_not_fit_is_doubted(scale: float, zero_point: int, doubtful: bool) -> None:
    rule = choose_rule(port_model([1, 3, 8, 8], FLOAT, scale, zero_point), NONE)
    assert (rule.doubt is not None) == doubtful


def test_what_is_stored_in_a_model() -> None:
    assert NONE.metadata() is None
    assert PixelOptions(scale=2.0, mean=[1.0]).metadata() == {"scale": 2.0, "mean": [1.0]}
    with pytest.raises(InputError, match="--layout alone"):
        PixelOptions(layout="NCHW").metadata()


def test_a_float_model_takes_0_to_1_with_a_doubt() -> None:
    model = port_model([1, 1, 1, 5], FLOAT)
    model.tensors[0].type = ElementType.Float32
    rule = choose_rule(model, PixelOptions(layout="NCHW"))
    expected = PIXELS.astype(np.float32) / np.float32(255)
    assert rule.apply(PIXELS.reshape(1, 1, 5, 1)).reshape(-1).tolist() == expected.tolist()
    assert rule.doubt is not None
    assert "--scale, --mean and --std" in rule.doubt
    assert choose_rule(model, PixelOptions(scale=1.0, layout="NCHW")).doubt is None


def test_an_int64_input_takes_no_pixels() -> None:
    model = port_model([1, 1, 1, 5], ElementType.Int64)
    with pytest.raises(InputError, match="takes int64, which pixels are not"):
        choose_rule(model, NONE)
