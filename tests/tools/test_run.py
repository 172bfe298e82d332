"""run: images of every kind, top classes, JSON and saved arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxino.schema.codec import encode
from onnxino_tools import inference
from onnxino_tools.examples import example
from tests.tools.conftest import Command, tiny_arrays
from tests.tools.models import tiny_model

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """0.png has its upper row white, 1.png the second, 2.png the third."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.zeros((4, 4), np.uint8)
        pixels[i] = 255
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_a_folder(onnxino: Command, tiny: Path, pictures: Path) -> None:
    code, out, _ = onnxino("run", tiny, pictures, "--top", 2)
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[1:3] for line in lines] == [["0", "127.000"], ["1", "127.000"], ["2", "127.000"]]
    assert lines[0].startswith(str(pictures / "0.png"))


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_json(onnxino: Command, tiny: Path, pictures: Path, backend: str, c_backend_missing: str | None) -> None:
    if backend == "c" and c_backend_missing:
        pytest.skip(c_backend_missing)
    code, out, _ = onnxino("run", tiny, pictures / "1.png", "--json", "--top", 1, "--backend", backend)
    assert code == 0
    assert json.loads(out) == {
        "images": [
            {
                "image": str(pictures / "1.png"),
                "prediction": 1,
                "class": "1",
                "top": [{"class": "1", "value": 127.0}],
                "cycles": None,
            }
        ]
    }


def test_the_models_labels_are_shown(onnxino: Command, tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "m.oxm").write_bytes(encode(tiny_model(labels=["sky", "wood", "earth"])))
    _, out, _ = onnxino("run", tmp_path / "m.oxm", pictures / "2.png")
    assert out.split()[1:] == ["earth", "127.000", "sky", "0.000", "wood", "0.000"]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (1, 4, 4), (1, 4, 4, 1)])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_one_image_without_a_batch(
    onnxino: Command, tiny: Path, tmp_path: Path, shape: tuple[int, ...], kind: str
) -> None:
    if kind == "float32" and shape not in ((4, 4, 1), (1, 4, 4, 1)):
        pytest.skip("not the shape of the model's input")
    pixels = np.zeros((4, 4), kind)
    pixels[1] = 255 if kind == "uint8" else 1
    np.save(tmp_path / "one.npy", pixels.reshape(shape))
    code, out, _ = onnxino("run", tiny, tmp_path / "one.npy", "--top", 1)
    assert (code, out.split()[1:]) == (0, ["1", "127.000"])


def test_names_of_the_data(onnxino: Command, tiny: Path, tiny_data: Path, tmp_path: Path) -> None:
    """Shown where the model has none and there is one for each output; never instead of the model's."""
    assert "[1]   middle 127.000" in onnxino("run", tiny, tiny_data, "--top", 1)[1]
    np.savez(tmp_path / "two.npz", **{**tiny_arrays(2), "classes": np.array(["a", "b"])})
    assert "[1]  1 127.000" in onnxino("run", tiny, tmp_path / "two.npz", "--top", 1)[1]
    (tmp_path / "m.oxm").write_bytes(encode(tiny_model(labels=["sky", "wood", "low"])))
    _, out, err = onnxino("run", tmp_path / "m.oxm", tiny_data, "--top", 1)
    assert "[1]   wood 127.000" in out
    assert "note: classes 'top', 'middle' are not among the model's labels sky, wood, low; the names shown" in err


def test_arrays_and_files_together(
    onnxino: Command, tiny: Path, tiny_data: Path, pictures: Path, tmp_path: Path
) -> None:
    target = tmp_path / "s.npz"
    code, out, _ = onnxino("run", tiny, tiny_data, pictures / "0.png", "--save", target)
    assert code == 0
    assert len(out.splitlines()) == 13
    assert f"{tiny_data}[11]" in out
    with np.load(target) as saved:
        assert saved["predictions"].tolist() == [0, 1, 2] * 4 + [0]
        assert saved["outputs"].shape == (13, 3)
        assert saved["inputs"].shape == (13, 4, 4, 1)
        assert saved["names"][12].endswith("0.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.png"], "there is no file or folder 'no.png'\nhint: IMAGE is an image file"),
        (["{bad}"], "hint: IMAGE is an image file"),
        (["{empty}"], "holds no images"),
        (["{picture}", "--backend", "/dev/ttyNOPE7"], "there is no serial port /dev/ttyNOPE7"),
    ],
)
def test_errors(
    onnxino: Command, tiny: Path, pictures: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_text("no image")
    places = {"bad": tmp_path / "bad.png", "empty": tmp_path / "empty", "picture": pictures / "0.png"}
    code, out, err = onnxino("run", tiny, *(a.format(**places) for a in arguments))
    assert (code, out) == (1, "")
    assert message in err


def test_a_place_that_cannot_be_written_is_told_first(
    onnxino: Command, tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("computed before the check")

    monkeypatch.setattr(inference, "classify", fail)
    code, out, err = onnxino("run", tiny, pictures, "--save", f"{tiny}/s.npz")
    assert (code, out) == (1, "")
    assert "tiny.oxm/s.npz' cannot be written: " in err


def test_a_model_without_image_input(onnxino: Command, tmp_path: Path, pictures: Path) -> None:
    model = tiny_model()
    model.inputs[0].shape = np.array([-1, 16], np.int32)
    model.inputs[0].dimension_names = ["batch", ""]
    (tmp_path / "m.oxm").write_bytes(encode(model))
    code, _, err = onnxino("run", tmp_path / "m.oxm", pictures / "0.png")
    assert code == 1
    assert "input 'x' of shape [?, 16] is not the shape of an image" in err


def test_an_onnx_file_is_converted_on_the_fly(onnxino: Command) -> None:
    code, out, err = onnxino(
        "run", example("digits", "digits_int8.onnx"), example("digits", "digits_test.npz"), "--json"
    )
    answers = json.loads(out)["images"]
    assert code == 0
    assert "model: digits_int8.onnx converted on the fly" in err
    labels = np.load(example("digits", "digits_test.npz"))["labels"]
    right = sum(a["prediction"] == label for a, label in zip(answers, labels, strict=True))
    assert right == 987
