"""Data sets: what is read, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxino.errors import InputError, MissingExtraError
from onnxino_tools.data import PixelOptions, load_dataset
from onnxino_tools.data.dataset import usual_split
from onnxino_tools.data.image_files import read_folder, read_image
from onnxino_tools.data.inputs import evaluated_split, feed_for, image_feed
from tests.tools.conftest import tiny_arrays
from tests.tools.models import FLOAT, INT8, UINT8, port_model

Image = pytest.importorskip("PIL.Image")


def test_npz(tiny_data: Path) -> None:
    data = load_dataset(tiny_data)
    assert len(data) == 12
    assert data.classes == ["top", "middle", "low"]
    assert data.labels is not None
    assert data.labels.tolist()[:4] == [0, 1, 2, 0]


def test_values_under_the_name_of_the_input(tmp_path: Path) -> None:
    """Labels are optional; what calibrates the model feeds it, too."""
    values = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=values, split=np.array(["test", "train"] * 2 + ["test"]))
    data, feed, text = image_feed(port_model([-1, 16], FLOAT), str(tmp_path / "d.npz"), PixelOptions(), split="test")
    assert np.array_equal(feed(data.images), values[::2])
    assert data.labels is None
    assert text == "arrays as they are, float32 [?, 16]"
    with pytest.raises(InputError, match=r"has no array 'images', nor 'z', the model's input, .it has: x, split\)"):
        load_dataset(tmp_path / "d.npz", input_name="z")
    np.savez(tmp_path / "one.npz", x=np.float32(3))
    with pytest.raises(InputError, match="holds a single number as 'x'"):
        load_dataset(tmp_path / "one.npz", input_name="x")


def test_the_usual_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_data = tmp_path / "split.npz"
    np.savez(tiny_data, **tiny_arrays() | {"split": np.array(["train", "test"] * 6)})
    assert usual_split(tiny_data, "test") == "test"
    assert usual_split(tiny_data, "val") is None
    assert evaluated_split(str(tiny_data), None) == "test"
    assert capsys.readouterr().err == (
        f"note: only the split 'test' of '{tiny_data}' is evaluated; for everything give --split all\n"
    )
    assert evaluated_split(str(tiny_data), "all") is None
    assert evaluated_split(str(tiny_data), "train") == "train"
    np.savez(tmp_path / "plain.npz", **_without("split"))
    (tmp_path / "broken.npz").write_bytes(b"PK")
    (tmp_path / "folder" / "test").mkdir(parents=True)  # may be a class
    for name in ("plain.npz", "broken.npz", "none.npz", "x.npy", "folder"):
        assert evaluated_split(str(tmp_path / name), None) is None
    (tmp_path / "folder" / "train").mkdir()
    assert usual_split(tmp_path / "folder", "test") == "test"
    assert "folder" not in capsys.readouterr().err


def test_split_and_limit(tiny_data: Path) -> None:
    data = load_dataset(tiny_data, split="odd", limit=4)
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0, 2, 1]


def test_labels_may_be_names(tmp_path: Path) -> None:
    names = np.array(["low", "top"])
    np.savez(
        tmp_path / "d.npz", images=np.zeros((2, 4, 4, 1), np.uint8), labels=names, classes=np.array(["top", "low"])
    )
    data = load_dataset(tmp_path / "d.npz")
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0]


def _without(key: str, **change: Any) -> dict[str, Any]:
    arrays = tiny_arrays()
    arrays.pop(key, None)
    return arrays | change


@pytest.mark.parametrize(
    ("arrays", "split", "message"),
    [
        (_without("images"), None, "has no array 'images' .it has: labels, classes, split."),
        (_without("", labels=np.zeros(5, np.int64)), None, r"has 12 images but labels of shape \[5\]"),
        (_without("", labels=np.zeros(12)), None, "labels of type float64; expected integers"),
        (_without("", labels=np.full(12, 3)), None, "labels 3 to 3 but 3 classes"),
        (_without("", labels=np.array(["no"] * 12)), None, "labels that are not in classes: no"),
        (_without("split"), "test", "no array 'split'"),
        (tiny_arrays(), "val", "has no split 'val'"),
        (tiny_arrays(0), None, "holds no images"),
    ],
)
def test_bad_archives(tmp_path: Path, arrays: dict[str, Any], split: str | None, message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_dataset(tmp_path / "d.npz", split=split)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.npz", b"no zip", "is not a NumPy archive"),
        ("d.npz", b"PK\3\4 broken", "is not a NumPy archive"),
        ("d.npy", b"nothing", "is not a NumPy array"),
        ("d.txt", b"", "is neither .npz, .npy nor a folder"),
    ],
)
def test_files_that_are_no_data(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_dataset(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no data at"):
        load_dataset(tmp_path / "missing.npz")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="not a NumPy archive"):
        load_dataset(tmp_path / "d.npz")


def _pictures(root: Path, classes: list[str], count: int = 2) -> Path:
    for i, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (12, 8), (i * 40, k, 9)).save(root / name / f"{k}.png")
    return root


def test_folder_of_class_folders(tmp_path: Path) -> None:
    data = read_folder(_pictures(tmp_path / "set", ["glass", "metal"]), (8, 8, 3))
    assert data.images.shape == (4, 8, 8, 3)
    assert data.classes == ["glass", "metal"]
    assert data.labels is not None
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.images[2, 0, 0].tolist() == [40, 0, 9]


def test_the_model_orders_the_classes(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "set", ["glass", "metal"])
    data = read_folder(folder, (8, 8, 3), classes=["metal", "paper", "glass"])
    assert data.labels is not None
    assert data.labels.tolist() == [2, 2, 0, 0]


def test_a_limit_mixes_the_classes(tmp_path: Path) -> None:
    data = read_folder(_pictures(tmp_path / "set", ["a", "b", "c"], 4), (8, 8, 3), limit=3)
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2]


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no class folders"):
        read_folder(tmp_path, (8, 8, 3))
    (tmp_path / "glass").mkdir()
    with pytest.raises(InputError, match="hold no images"):
        read_folder(tmp_path, (8, 8, 3))


@pytest.mark.parametrize(("how", "edges"), [("crop", (60, 60)), ("stretch", (20, 100)), ("pad", (0, 0))])
def test_resize(tmp_path: Path, how: str, edges: tuple[int, int]) -> None:
    """Of a picture of 240x80, squares of 20, 60 and 100: the left and right edge, with pad the upper and lower one."""
    pixels = np.repeat(np.array([20, 60, 100], np.uint8), 80)[None].repeat(80, 0)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    image = read_image(tmp_path / "p.png", 24, 24, 1, how)
    assert image.shape == (24, 24, 1)
    first, last = (image[0, 12, 0], image[-1, 12, 0]) if how == "pad" else (image[12, 0, 0], image[12, -1, 0])
    assert (int(first), int(last)) == pytest.approx(edges, abs=8)  # the filter reaches over the cut


@pytest.mark.parametrize(("channels", "expected"), [(1, [76]), (3, [255, 0, 0]), (4, [255, 0, 0, 255])])
def test_channels(tmp_path: Path, channels: int, expected: list[int]) -> None:
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png", 2, 2, channels)[0, 0].tolist() == expected


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    image = Image.new("L", (2, 4), 0)
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "p.png", exif=exif)
    assert read_image(tmp_path / "p.png", 2, 4, 1)[0, -1, 0] == 255


def test_bad_pictures(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(InputError, match="is not an image that can be read"):
        read_image(tmp_path / "p.png", 2, 2, 3)
    with pytest.raises(InputError, match="there is no file"):
        read_image(tmp_path / "q.png", 2, 2, 3)
    with pytest.raises(InputError, match="has 2 channels"):
        read_image(tmp_path / "p.png", 2, 2, 2)


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingExtraError) as error:
        read_image(tmp_path / "p.png", 2, 2, 3)
    assert error.value.hint == "pip install 'onnxino[images]'"


def _npy(tmp_path: Path, array: np.ndarray) -> str:
    np.save(tmp_path / "a.npy", array)
    return str(tmp_path / "a.npy")


def test_arrays_of_the_models_own_type_pass_as_they_are(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.int8).reshape(2, 6)
    data, feed, _ = image_feed(port_model([-1, 6], INT8), _npy(tmp_path, array), PixelOptions())
    assert np.array_equal(feed(data.images), array)


def test_grey_images_need_no_channel_axis(tmp_path: Path) -> None:
    array = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    data, feed, _ = image_feed(port_model([1, 4, 4, 1], UINT8), _npy(tmp_path, array), PixelOptions())
    assert np.array_equal(feed(data.images), array[..., None])


@pytest.mark.parametrize(
    ("shape", "kind", "array", "message"),
    [
        ([1, 3, 64, 64], FLOAT, np.zeros((2, 32, 32, 3), np.uint8), "images of 32x32x3 .*the model takes 64x64x3"),
        ([1, 3, 64, 64], FLOAT, np.zeros((2, 64, 64, 1), np.uint8), "images of 64x64x1 .*the model takes 64x64x3"),
        (
            [1, 3, 64, 64],
            FLOAT,
            np.zeros((2, 64, 64, 3), np.float32),
            r"holds float32 arrays of shape \[2, 64, 64, 3\]",
        ),
        ([-1, 640], INT8, np.zeros((2, 640), np.uint8), "is not the shape of an image"),
        ([-1, 640], INT8, np.zeros((2, 600), np.int8), r"takes int8 \[\?, 640\]"),
    ],
)
def test_data_of_the_wrong_shape(tmp_path: Path, shape: list[int], kind: Any, array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_feed(port_model(shape, kind), _npy(tmp_path, array), PixelOptions())


def test_the_choice_is_told(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = feed_for(port_model([1, 4, 4, 1]), load_dataset(tiny_data), PixelOptions())
    assert text == "pixel / 255 as float32 (the input's scale is 0.00392157), NHWC 4x4x1"
    assert capsys.readouterr().err == ""
    feed_for(port_model([1, 4, 4, 1], scale=0.02, zero_point=0), load_dataset(tiny_data), PixelOptions())
    assert "note: the model's input covers -2.56 to 2.54" in capsys.readouterr().err


def test_a_model_of_two_inputs_is_refused(tiny_data: Path) -> None:
    model = port_model([1, 4, 4, 1])
    model.inputs = model.inputs * 2
    with pytest.raises(InputError, match="the model has 2 inputs"):
        image_feed(model, str(tiny_data), PixelOptions())
