"""The waste sorter: its images, its training in small, what it writes, and the demo that shows it."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import sys
import urllib.error
import zipfile
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from onnxino.errors import InputError, MissingExtraError
from tests.tools.conftest import Command

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "waste_sorter"
MODEL, RESULTS = FOLDER / "waste_sorter_int8.onnx", FOLDER / "results.json"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No test sees the images in the user's cache, or leaves any there."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def images() -> ModuleType:
    return importlib.import_module("images")


@pytest.fixture
def training() -> ModuleType:
    pytest.importorskip("torch")
    return importlib.import_module("training")


def archive(names: list[str], size: tuple[int, int] = (512, 384)) -> bytes:
    """A zip like the data set's: photographs whose left and right quarters are black; the middle has its own grey."""
    image = pytest.importorskip("PIL.Image")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for number, name in enumerate(names):
            pixels = np.zeros((size[1], size[0], 3), np.uint8)
            pixels[:, 64:448] = 100 + number
            jpeg = io.BytesIO()
            image.fromarray(pixels).save(jpeg, "PNG")
            zipped.writestr(f"dataset-resized/{name[:5]}/{name}", jpeg.getvalue())
            zipped.writestr(f"__MACOSX/dataset-resized/{name[:5]}/{name}", b"")
    return packed.getvalue()


def test_the_archive_becomes_squares_in_the_official_splits(images: ModuleType) -> None:
    lists = {"train": b"paper2.jpg 2\nglass1.jpg 1\n", "val": b"trash7.jpg 6\n", "test": b"cardboard3.jpg 3"}
    arrays = images.prepare(archive(["glass1.jpg", "paper2.jpg", "trash7.jpg", "cardboard3.jpg"]), lists)
    assert list(arrays["names"]) == ["cardboard3.jpg", "glass1.jpg", "paper2.jpg", "trash7.jpg"]
    assert [arrays["classes"][label] for label in arrays["labels"]] == ["cardboard", "glass", "paper", "trash"]
    assert list(arrays["split"]) == ["test", "train", "train", "val"]
    assert arrays["images"].shape == (4, 64, 64, 3)
    # No image took another's place, and of the black sides only the filter's last weights are left.
    assert [int(image[32, 32, 0]) for image in arrays["images"]] == [103, 100, 101, 102]
    assert arrays["images"][:, :, 1:-1].min() == 100
    assert arrays["images"].min() > 85


def test_an_image_that_the_archive_lacks_is_named(images: ModuleType) -> None:
    with pytest.raises(InputError, match=r"the archive lacks 1 of 2 images, the first is paper2\.jpg"):
        images.prepare(archive(["glass1.jpg"]), {"train": b"paper2.jpg 2\nglass1.jpg 1"})


def test_a_download_is_checked(images: ModuleType) -> None:
    right = images.Source("https://example.org/a.zip", hashlib.sha256(b"abc").hexdigest())
    assert images.download(right, lambda _: b"abc") == b"abc"
    with pytest.raises(InputError, match=r"https://example\.org/a\.zip is another file: 4 bytes with SHA-256"):
        images.download(right, lambda _: b"abcd")

    def offline(_: str) -> bytes:
        raise urllib.error.URLError("no route to host")

    with pytest.raises(InputError, match=r"cannot be downloaded: .*no route to host") as caught:
        images.download(right, offline)
    assert caught.value.hint is not None
    assert "--data-file" in caught.value.hint


def test_what_was_downloaded_stays_in_the_cache(
    images: ModuleType, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = {"train": b"glass1.jpg 1", "val": b"paper2.jpg 2", "test": b"trash7.jpg 6"}
    files = {"a": archive(["glass1.jpg", "paper2.jpg", "trash7.jpg"]), **lists}
    sources = {name: images.Source(name, hashlib.sha256(content).hexdigest()) for name, content in files.items()}
    asked: list[str] = []

    def fetch(address: str) -> bytes:
        asked.append(address)
        return files[address]

    monkeypatch.setattr(images, "IMAGES", sources.pop("a"))
    monkeypatch.setattr(images, "LISTS", sources)
    monkeypatch.setattr(images, "_fetch", fetch)
    said: list[str] = []
    for _ in range(2):
        assert images.find_images(None, said.append) == own_cache / "trashnet_64.npz"
    assert asked == ["a", "train", "val", "test"]
    assert len(said) == 1
    assert len(images.load(own_cache / "trashnet_64.npz", "val")) == 1
    given = Path("given.npz")
    assert images.find_images(given, said.append) == given


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": np.zeros((2, 32, 32, 3), np.uint8)}, r"holds images of uint8 \[32, 32, 3\]; expected uint8 \[64"),
        ({"images": np.zeros((2, 64, 64, 3), np.float32)}, r"holds images of float32 \[64, 64, 3\]"),
        ({"classes": np.array(["a", "b"])}, "has the classes a, b; expected cardboard, glass, metal"),
        ({"split": np.array(["test", "test"])}, "has no split 'train'"),
    ],
)
def test_other_data_are_refused(images: ModuleType, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    arrays = {
        "images": np.zeros((2, 64, 64, 3), np.uint8),
        "labels": np.zeros(2, np.uint8),
        "split": np.array(["train", "train"]),
        "classes": np.array(images.CLASSES),
    }
    np.savez(tmp_path / "d.npz", **(arrays | changed))
    with pytest.raises(InputError, match=message):
        images.load(tmp_path / "d.npz", "train")


def test_the_shared_images_are_the_official_split(images: ModuleType, shared: Path) -> None:
    path = shared / "datasets" / "trashnet_64.npz"
    assert {split: len(images.load(path, split)) for split in images.SPLITS} == images.SPLITS


def test_views_differ_stay_in_range_and_repeat(training: ModuleType) -> None:
    import torch

    batch = torch.arange(8 * 3 * 64 * 64).remainder(251).to(torch.uint8).reshape(8, 3, 64, 64)
    one, two, three = (training.augment(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.allclose(one, three, atol=0.1)
    assert 0 <= float(one.min()) < float(one.max()) <= 1


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_targets_are_mixed_as_the_pixels_are(training: ModuleType, mixup: float, cutmix: float) -> None:
    import torch

    targets = torch.eye(6)
    views = targets[:, :, None, None].expand(6, 6, 64, 64)  # channel c is white where the class is c
    recipe = training.Recipe(1, mixup=mixup, cutmix=cutmix)
    for seed in range(5):
        seen, expected = training.mix(views, targets, recipe, torch.Generator().manual_seed(seed))
        assert torch.allclose(seen.mean((2, 3)), expected, atol=1e-5)
        assert torch.equal(expected, targets) == (mixup + cutmix == 0)


def test_the_learning_rate_rises_and_falls_to_zero(training: ModuleType) -> None:
    recipe = training.Recipe(10, warmup=2)
    rates = [training.rate(step, 5, recipe) for step in range(1, 51)]
    assert rates[9] == 1
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0)


class _Cut(Exception):
    """The power goes."""


@pytest.mark.parametrize(("taught", "views"), [(False, 0), (True, 0), (True, 3)])
def test_a_training_that_was_cut_short_ends_the_same(
    training: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taught: bool, views: int
) -> None:
    import torch
    from torch import nn

    def network() -> nn.Module:
        torch.manual_seed(0)
        body = [nn.Conv2d(3, 4, 3, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*body, nn.Dropout(0.5), nn.Linear(4, 6))

    pixels = torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8)
    labels = torch.arange(16) % 6
    recipe = training.Recipe(4, batch=8, warmup=1, mixup=0.5, cutmix=0.5, views=views)
    teachers = (network().eval(),) if taught else ()

    def cut(epoch: Any) -> None:
        if epoch.done == 2:
            raise _Cut

    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    whole, broken = network(), network()
    training.fit(whole, pixels, labels, recipe, 3, teachers=teachers)
    with pytest.raises(_Cut):
        training.fit(broken, pixels, labels, recipe, 3, teachers=teachers, checkpoint=tmp_path / "c", progress=cut)
    again, seen = network(), []
    seconds = training.fit(
        again, pixels, labels, recipe, 3, teachers=teachers, checkpoint=tmp_path / "c", progress=seen.append
    )
    assert [epoch.done for epoch in seen] == [3, 4]
    assert seconds == pytest.approx(seen[-1].seconds, abs=1)
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    first = network().state_dict()
    assert any(not torch.equal(first[name], value) for name, value in again.state_dict().items())


def test_the_student_fits_the_board() -> None:
    pytest.importorskip("torch")
    from onnxino_converter import convert

    board, networks = importlib.import_module("board"), importlib.import_module("networks")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), np.uint8)
    converted = convert(board.quantized(networks.student(), pixels))
    assert converted.report["model_bytes"] <= 60_000
    assert converted.report["arena_bytes"] <= 65_536
    assert converted.report["macs"] <= 8_000_000
    assert {o["kernel"] for o in converted.report["operators"]} == {"Conv2D", "Mean2D", "FullyConnected"}


@pytest.fixture
def script() -> Generator[ModuleType]:
    """The script, which sets up PyTorch for its whole process: that is taken back for the tests that follow."""
    sys.modules.pop("train", None)
    yield importlib.import_module("train")
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.use_deterministic_algorithms(False)


def test_quick(script: ModuleType, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("unicorn")
    data = shared / "datasets" / "trashnet_64.npz"
    argv = ["--quick", "--data-file", str(data), "-o", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert script.main(argv) == 0
    out, err = capsys.readouterr()
    assert "val split, 12 images, mean of 1 seed:" in out
    assert "seed 0: teacher: " in err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    for name in ("teacher_accuracy", "student_float_accuracy", "student_int8_accuracy"):
        assert results[name]["mean"] == results[name]["per_seed"][0]
    assert results["bytes_different"] == 0
    assert results["latency_ms"] > 0
    first = (tmp_path / "out" / "waste_sorter_int8.onnx").read_bytes()
    # Once more: nothing is trained again, and the model is the same.
    assert script.main([*argv, "--validation-only"]) == 0
    assert (tmp_path / "out" / "waste_sorter_int8.onnx").read_bytes() == first


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--quick"], 1, "a trial would replace the results beside this script"),
        (["--epochs", "3"], 1, "a trial would replace the results beside this script"),
        (["--epochs", "0"], 2, "argument --epochs: invalid positive value: '0'"),
        (["--data-file", "none.npz", "-o", "out"], 1, "there is no data at 'none.npz'"),
    ],
)
def test_mistakes(
    script: ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    argv: list[str],
    code: int,
    message: str,
) -> None:
    if code == 1:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    assert script.main(argv) == code
    assert message in capsys.readouterr().err


def test_without_torch(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="Training needs the extra 'train'"):
        script.needs()


def test_the_committed_results_are_the_committed_models(shared: Path) -> None:
    """The bytes, and on the validation split the accuracy, that the script measured."""
    from onnxino_converter import convert

    board = importlib.import_module("board")
    results = json.loads(RESULTS.read_text())
    converted = convert(MODEL)
    assert converted.report["model_bytes"] == results["model_bytes"] <= 60_000
    assert converted.report["arena_bytes"] == results["arena_bytes"] <= 65_536
    assert converted.report["macs"] == results["macs"]
    data = importlib.import_module("images").load(shared / "datasets" / "trashnet_64.npz", "val")
    expected = results["student_int8_validation_accuracy"]["per_seed"][results["chosen_seed"]]
    assert board.accuracy(MODEL, data) == pytest.approx(expected, abs=1e-4)


def test_the_readme_tells_the_results() -> None:
    results, text = json.loads(RESULTS.read_text()), (FOLDER / "README.md").read_text()
    for name in ("teacher_accuracy", "student_float_accuracy", "student_int8_accuracy"):
        assert f"{results[name]['mean'] * 100:.1f} %" in text
    for name in ("model_bytes", "arena_bytes", "macs"):
        assert f"{results[name]:,}" in text


def test_the_demo_takes_the_waste_sorter_where_its_images_are(onnxino: Command, shared: Path, own_cache: Path) -> None:
    pytest.importorskip("unicorn")
    own_cache.mkdir()
    (own_cache / "trashnet_64.npz").write_bytes((shared / "datasets" / "trashnet_64.npz").read_bytes())
    code, out, err = onnxino("demo", "--limit", 6, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["images"], result["bytes_different"]) == (6, 0)
    assert len(result["confusion_matrix"]) == len(result["classes"]) == 6
    assert f"note: TrashNet's images are at hand ({own_cache / 'trashnet_64.npz'}), so this is the waste sorter" in err
    assert "waste_sorter_int8.onnx -> waste_sorter.oxm" in err


def test_the_demo_takes_the_images_that_are_given(onnxino: Command, shared: Path) -> None:
    pytest.importorskip("unicorn")
    code, _, err = onnxino("demo", "--data-file", shared / "datasets" / "trashnet_64.npz", "--limit", 2)
    assert code == 0
    assert "waste_sorter_int8.onnx -> waste_sorter.oxm" in err
    assert "note: TrashNet" not in err


def test_the_demo_takes_digits_where_no_waste_is_at_hand(onnxino: Command) -> None:
    pytest.importorskip("unicorn")
    code, out, err = onnxino("demo", "--limit", 2, "--json")
    assert code == 0
    assert len(json.loads(out)["classes"]) == 10
    assert "note: TrashNet's images are not at hand, so these are digits" in err
