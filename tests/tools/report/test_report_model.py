"""What a report says of the model alone: sizes, weights, work, latency, upload; and of its baseline."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxino import InferenceSession
from onnxino.errors import ConvertError, InputError, MissingExtraError
from onnxino_converter import convert
from onnxino_tools.build import firmware_image
from onnxino_tools.data import Dataset
from onnxino_tools.report import measure
from onnxino_tools.report.layers import BINS, histogram
from onnxino_tools.report.pictures import LARGEST, picture, png
from onnxino_tools.report.upload import upload_time
from tests.tools.report.models import images, linear, pictures

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL = DIGITS / "digits_int8.onnx"


def test_sizes_and_work_are_those_of_the_conversion() -> None:
    converted = convert(MODEL)
    report = measure(MODEL, latency=False)
    sizes = report.sizes
    assert sizes.onnx == MODEL.stat().st_size
    assert sizes.model == len(converted.model)
    assert sizes.flash == len(converted.model) + len(firmware_image())
    assert sizes.arena == converted.report["arena_bytes"]
    assert sizes.weights == converted.report["weight_bytes"]
    for name in ("macs", "parameters", "nonzero"):
        assert getattr(report, name) == converted.report[name]
        assert sum(getattr(layer, name) for layer in report.layers) == converted.report[name]


@pytest.mark.parametrize("given", ["path", "bytes", "ModelProto"])
def test_whatever_the_model_is_given_as(given: str, tmp_path: Path) -> None:
    content = convert(MODEL).model
    (tmp_path / "digits.oxm").write_bytes(content)
    source = {"path": tmp_path / "digits.oxm", "bytes": content, "ModelProto": onnx.load(str(MODEL))}[given]
    report = measure(source, DIGITS / "digits_test.npz", limit=50, latency=False)
    expected = measure(MODEL, DIGITS / "digits_test.npz", limit=50, latency=False)
    assert report.accuracy == expected.accuracy
    assert report.layers == expected.layers
    assert (report.sizes.onnx is None) == (given != "ModelProto")


def test_weights_beside_the_onnx_file_count(tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    onnx.save_model(
        linear((3, 8, 8), 64), str(path), save_as_external_data=True, location="weights.bin", size_threshold=16
    )
    size = path.stat().st_size + (tmp_path / "weights.bin").stat().st_size
    assert (tmp_path / "weights.bin").stat().st_size > 40_000
    assert measure(path, latency=False).sizes.onnx == size


def test_zeros_among_the_weights() -> None:
    weights = np.ones((192, 4), np.float32)
    weights[:48] = 0
    report = measure(linear((3, 8, 8), 4, weights=weights), latency=False)
    (layer,) = [layer for layer in report.layers if layer.parameters]
    assert (report.parameters, report.nonzero, layer.zero_share) == (768, 576, 0.25)
    assert layer.histogram is not None
    assert sum(layer.histogram.counts) == 576
    assert layer.histogram.counts[-1] == 576  # all are the greatest


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_histogram(dtype: type) -> None:
    """Every weight but the zeros is in the bin of its value; NaN is in none."""
    values = np.arange(-127, 128).astype(dtype)
    found = histogram(values)
    assert found.counts == [5] * (BINS // 2) + [4] + [5] * (BINS // 2)
    assert found.end == (127.5 if dtype == np.int8 else 127)
    if dtype == np.float32:
        broken = histogram(np.array([1, np.nan, np.inf, -2], np.float32))
        assert (sum(broken.counts), broken.not_finite, broken.end) == (2, 2, 2.0)
    assert sum(histogram(np.zeros(9, dtype)).counts) == 0
    assert histogram(np.array([-128], np.int8)).counts[0] == 1


def test_latency_is_the_emulators() -> None:
    pytest.importorskip("unicorn")
    report = measure(MODEL, DIGITS / "digits_test.npz", limit=1)
    with np.load(DIGITS / "digits_test.npz") as data:
        pixels = data["images"][:1]
    with InferenceSession(str(MODEL), "emulator") as session:
        session.run(None, {"image": (pixels.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)})
        cycles = session.cycles
    assert report.latency is not None
    assert cycles is not None
    assert report.latency.cycles == pytest.approx(int(cycles[0]), rel=0.001)
    assert report.latency.ms == report.latency.cycles / 64_000
    per_operator = [layer.cycles for layer in report.layers]
    assert 0.9 * report.latency.cycles < sum(c or 0 for c in per_operator) <= report.latency.cycles


def test_latency_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino.backends import device

    def missing(_: bytes) -> None:
        raise MissingExtraError("the emulator", "emulator")

    monkeypatch.setattr(device, "_emulator", missing)
    report = measure(MODEL)
    assert report.latency is None
    assert report.latency_note is not None
    assert "the extra 'emulator'" in report.latency_note
    assert "pip install" in report.latency_note
    assert report.as_dict()["latency"]["ms"] is None


def test_a_model_that_does_not_fit() -> None:
    report = measure(linear((3, 200, 200), 2), Dataset(images(2, (200, 200, 3)), "large", np.array([0, 1])))
    assert not report.fit.fits
    assert report.latency is None
    assert report.fit.flash_over == report.sizes.model - 655_360 > 0
    assert report.fit.arena_over == report.sizes.arena - 229_376 > 0
    said = " ".join(report.notes)
    assert f"{report.fit.flash_over:,} more than the 655,360" in said
    assert f"{report.fit.arena_over:,} more than the 229,376" in said
    assert report.upload is None
    assert report.as_dict()["upload"] is None
    assert report.accuracy is not None  # it runs on this computer


def test_more_outputs_than_a_device_takes() -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Relu" if k % 2 else "Sigmoid", ["y" if k < 2 else f"z{k - 2}"], [f"z{k}"]) for k in range(9)
    ]
    model = linear((4,), 2, nodes=nodes, more=[(f"z{k}", onnx.TensorProto.FLOAT, ["n", 2]) for k in range(9)])
    report = measure(model)
    assert report.fit.ports_over == 2
    assert "more than 8 inputs or outputs" in " ".join(report.notes)


@pytest.mark.parametrize("usb", [False, True], ids=["uart", "usb"])
def test_upload_time_is_the_emulators(usb: bool) -> None:
    pytest.importorskip("unicorn")
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink

    content = convert(MODEL).model
    machine = Machine(firmware_image(), usb=usb, baud_pacing=not usb)
    with DeviceLink(EmulatorTransport(machine)) as link:
        link.hello()
        start = machine.time
        link.load_model(content)
        measured = machine.time - start
    estimate = upload_time(content)
    assert (estimate.usb_s if usb else estimate.uart_s) == pytest.approx(measured, rel=0.03)


def test_the_baseline() -> None:
    """A model with half of the weights, and the same one with the outputs of two classes exchanged."""
    weights = np.random.default_rng(0).normal(size=(192, 4)).astype(np.float32)
    data = pictures(count=200)
    baseline = linear((3, 8, 8), 4, weights=weights)
    same = measure(baseline, data, baseline=baseline, latency=False).comparison
    assert same is not None
    assert {r for r in same.ratios().values() if r is not None} == {1.0}
    assert same.accuracy is not None
    assert (same.accuracy.difference, same.accuracy.error) == (0, 0)
    half = weights.copy()
    half[::2] = 0
    report = measure(linear((3, 8, 8), 4, weights=half), data, baseline=baseline, latency=False)
    found = report.comparison
    assert found is not None
    assert found.ratios()["nonzero"] == 2.0
    assert found.ratios()["latency_ms"] is None
    assert found.accuracy is not None
    assert report.baseline is not None
    assert report.accuracy is not None
    assert report.baseline.accuracy is not None
    assert found.accuracy.difference == pytest.approx(report.accuracy.top1 - report.baseline.accuracy.top1)
    assert found.accuracy.model_only - found.accuracy.baseline_only == round(found.accuracy.difference * 200)
    assert report.as_dict()["baseline"]["ratios"]["nonzero"] == 2.0


def test_int8_against_float(shared: Path) -> None:
    """The same network: a fourth of the bytes of weights, and nothing else gone."""
    folder = shared / "models" / "trashnet"
    report = measure(folder / "base_qdq.onnx", baseline=folder / "base.onnx", latency=False)
    assert report.comparison is not None
    ratios = report.comparison.ratios()
    assert (ratios["weight_bytes"], ratios["macs"], ratios["parameters"]) == (4.0, 1.0, 1.0)


def test_a_baseline_for_other_images() -> None:
    """Its sizes are compared all the same."""
    report = measure(linear((3, 8, 8), 4), pictures(), baseline=linear((3, 16, 16), 4), latency=False)
    assert report.accuracy is not None
    assert report.comparison is not None
    assert report.comparison.accuracy is None
    assert report.comparison.ratios()["parameters"] == 4.0
    assert any(note.startswith("no accuracy of the baseline: ") for note in report.notes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.onnx", None, "there is no model"),
        ("broken.onnx", b"\xff\xff\xff not a model", "broken.onnx"),
        ("picture.oxm", b"\x89PNG\r\n\x1a\n" + bytes(40), "a model .* was expected"),
        ("broken.oxm", b"OXM\x1a" + bytes(60), "broken.oxm"),
    ],
)
def test_what_is_no_model(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    from onnxino.errors import OnnxinoError

    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(OnnxinoError, match=message):
        measure(tmp_path / name)


def test_a_model_that_cannot_be_converted() -> None:
    model = linear((4,), 2)
    model.graph.node[1].op_type = "Hardmax"
    del model.graph.node[1].input[1:]
    with pytest.raises(ConvertError, match="Hardmax"):
        measure(model)


def test_a_fixed_batch() -> None:
    model = linear((4,), 2)
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 8
    with pytest.raises(InputError, match="8 samples at once"):
        measure(model, Dataset(np.zeros((3, 4), np.float32), "zeros", np.zeros(3, np.int64)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(channels: int) -> None:
    """Read back by another program."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 9, channels), dtype=np.uint8)
    with image.open(io.BytesIO(png(pixels))) as file:
        file.load()
        assert file.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        assert np.array_equal(np.asarray(file).reshape(pixels.shape), pixels)


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [
        ((8, 10), np.uint8, (10, 8)),
        ((8, 10, 3), np.uint8, (10, 8)),
        ((3, 8, 10), np.float32, (10, 8)),
        ((300, 200, 3), np.uint8, (50, 75)),
        ((97, 1000), np.float64, (91, 9)),
        ((40,), np.float32, None),
        ((2, 40), np.float32, None),
        ((40,), np.uint8, None),
    ],
)
def test_what_a_sample_is_shown_as(shape: tuple[int, ...], dtype: type, size: tuple[int, int] | None) -> None:
    found = picture(np.arange(np.prod(shape)).reshape(shape).astype(dtype))
    assert found is not None
    if size is None:
        assert found.line is not None
        assert len(found.line) <= LARGEST
        assert all(0 <= value <= 1 for value in found.line)
    else:
        assert (found.width, found.height) == size
        assert max(size) <= LARGEST


def test_shrinking_averages() -> None:
    pixels = np.zeros((200, 200, 1), np.uint8)
    pixels[:, 100:] = 200
    from onnxino_tools.report.pictures import shrink

    small = shrink(pixels)
    assert small.shape == (67, 67, 1)
    assert small[0, 0, 0] == 0
    assert small[-1, -1, 0] == 200
    assert small[0, 33, 0] == round(200 * 2 / 3)  # columns 99 to 101


@pytest.mark.parametrize("sample", [np.full((8, 8), np.nan), np.array(["a", "b"]), np.array([1.0]), np.zeros((8, 8))])
def test_samples_that_are_hard_to_show(sample: np.ndarray) -> None:
    picture(sample)
