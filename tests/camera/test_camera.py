"""Frames of a camera: against Pillow and exact formulas, and the C code against NumPy, byte for byte."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxino import load_model
from onnxino.backends.c import PACKAGE, engine_sources
from onnxino.camera import FITS, FORMATS, Frame, frame_image, frame_input, frame_pixels, frame_size, resize
from onnxino.errors import InputError
from onnxino_converter import convert
from tests.converter.onnx_net import Net, Q
from tests.engine.conftest import SANITIZERS

HERE = Path(__file__).parent
Array = np.ndarray[Any, Any]
Convert = Callable[[bytes, str, int, int, str, list[Frame]], tuple[list[int], Array]]


def random_frame(format: str, width: int, height: int, seed: int) -> Frame:
    """Noise, with runs of the extreme values."""
    generator = np.random.default_rng(seed)
    data = generator.integers(0, 256, frame_size(format, width, height), dtype=np.uint8)
    data[: len(data) // 8] = 0
    data[len(data) // 8 : len(data) // 4] = 255
    return Frame(format, width, height, data.tobytes())


# --- against others ---
def test_resizing_gives_pillows_bytes() -> None:
    """One axis after the other, as Pillow does it; which one it begins with differs between its versions.

    Pillow holds the cut-out in float32: where its edges are no float32, ties (half of 255) round to the other side.
    """
    image_module = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    sizes = [(160, 120, 64, 64), (320, 240, 96, 96), (176, 144, 28, 28), (1, 1, 5, 3), (5, 3, 1, 1)]
    sizes += [tuple(int(v) for v in row) for row in generator.integers(1, 130, (150, 4))]  # type: ignore[misc]
    for width, height, out_x, out_y in sizes:
        image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        spare = Fraction(width * out_y - height * out_x)
        left, top = max(spare / out_y, 0) / 2, max(-spare / out_x, 0) / 2
        for fit, (x, y) in {"stretch": (0.0, 0.0), "crop": (float(left), float(top))}.items():
            rows = image_module.fromarray(image).resize(
                (out_x, height), image_module.Resampling.BILINEAR, box=(x, 0, width - x, height)
            )
            both = rows.resize((out_x, out_y), image_module.Resampling.BILINEAR, box=(0, y, out_x, height - y))
            found, expected = resize(image, out_y, out_x, fit).astype(int), np.asarray(both).astype(int)
            exact = fit == "stretch" or (spare.denominator == 1 and (left * 64) % 1 == 0 and (top * 64) % 1 == 0)
            assert np.abs(found - expected).max() <= (0 if exact else 1), f"{width}x{height} {out_x}x{out_y} {fit}"


def test_cropping_is_what_the_host_does_with_image_files() -> None:
    image_module, operations = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    image = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for side in (28, 64, 96):
        fitted = operations.fit(image_module.fromarray(image), (side, side), image_module.Resampling.BILINEAR)
        np.testing.assert_array_equal(resize(image, side, side), np.asarray(fitted))


def test_grey_is_pillows() -> None:
    image_module = pytest.importorskip("PIL.Image")
    frame = random_frame("rgb565be", 64, 64, 3)
    colours = frame_pixels(frame, 3)
    np.testing.assert_array_equal(
        frame_pixels(frame, 1)[..., 0], np.asarray(image_module.fromarray(colours).convert("L"))
    )


@pytest.mark.parametrize(
    ("format", "data", "rgb"),
    [
        ("rgb565be", b"\xf8\x00", (255, 0, 0)),
        ("rgb565be", b"\x07\xe0", (0, 255, 0)),
        ("rgb565le", b"\x1f\x00", (0, 0, 255)),
        ("rgb565le", b"\xff\xff", (255, 255, 255)),
        ("rgb565be", b"\x08\x41", (8, 8, 8)),
        ("grey", b"\x7f", (127, 127, 127)),
    ],
)
def test_one_pixel(format: str, data: bytes, rgb: tuple[int, ...]) -> None:
    assert tuple(frame_pixels(Frame(format, 1, 1, data), 3)[0, 0]) == rgb


def test_yuv_is_bt601() -> None:
    """Within one of the exact formula for all colours; grey pixels are exact, and the two pixels share their colour."""
    generator = np.random.default_rng(4)
    data = generator.integers(0, 256, 4 * 4096, dtype=np.uint8)
    found = frame_pixels(Frame("yuyv", 2, 4096, data.tobytes()), 3).astype(int)
    y0, u, y1, v = (data.reshape(-1, 4)[:, i].astype(float) for i in range(4))
    for column, y in enumerate((y0, y1)):
        exact = [y + 1.402 * (v - 128), y - 0.344136 * (u - 128) - 0.714136 * (v - 128), y + 1.772 * (u - 128)]
        assert np.abs(found[:, column] - np.clip(np.stack(exact, -1), 0, 255)).max() <= 1.0
    greys = bytes(b for y in range(256) for b in (y, 128))
    np.testing.assert_array_equal(frame_pixels(Frame("yuyv", 256, 1, greys), 3)[0, :, 1], np.arange(256))


# --- C ---
@pytest.fixture(scope="module")
def c_convert(tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """Runs camera.c, compiled with sanitizers: (status, frame bytes, scratch bytes), the inputs' bytes [frames, n]."""
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("camera")
    sources = [*engine_sources(), HERE / "driver.c"]
    options = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-ffp-contract=off"]
    command = [compiler, *options, *SANITIZERS, f"-I{PACKAGE}", *map(str, sources), "-o", str(folder / "driver")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "sanitize" in done.stderr or "asan" in done.stderr:
        pytest.skip(f"{compiler} has no sanitizers here")
    assert done.returncode == 0, done.stderr

    def run(oxm: bytes, format: str, width: int, height: int, fit: str, frames: list[Frame]) -> tuple[list[int], Array]:
        (folder / "m.oxm").write_bytes(oxm)
        (folder / "frames").write_bytes(b"".join(frame.data for frame in frames))
        (folder / "out").write_bytes(b"")
        arguments = [folder / "m.oxm", FORMATS.get(format, format), width, height, FITS.get(fit, fit)]
        program = [str(folder / "driver"), *map(str, arguments), str(folder / "frames"), str(folder / "out")]
        ran = subprocess.run(program, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        data = np.fromfile(folder / "out", np.uint8)
        return [int(part) for part in ran.stdout.split()], data.reshape(len(frames) or 1, -1)

    return run


def picture_model(
    channels: int = 3,
    side: tuple[int, int] = (24, 24),
    layout: str = "NCHW",
    port: str = "float",
    q: Q | None = None,
    preprocessing: dict[str, Any] | None = None,
) -> bytes:
    """A model file with one picture as input; port: float, uint8 or int8; q None with port float: a float model."""
    net = Net(ports="float" if port == "float" else "quantized", unsigned=port == "uint8", opset=17)
    shape = (channels, *side) if layout == "NCHW" else (*side, channels)
    if port == "float" and q is None:
        from onnx import TensorProto, helper

        net.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape]))
        relu = net.op("Relu", ["x"])
        net.outputs.append(helper.make_tensor_value_info(relu, TensorProto.FLOAT, None))
        return convert(net.model(), float=True, preprocessing=preprocessing).model
    x = net.input(shape, q or Q(1 / 128, 0))
    last = net.dq(x)
    if layout == "NHWC":
        last = net.op("Transpose", [last], perm=[0, 3, 1, 2])
    net.output(net.quantize(net.op("MaxPool", [last], kernel_shape=[2, 2], strides=[2, 2]), x.q))
    return convert(net.model(), preprocessing=preprocessing).model


NORMALISED = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
MODELS: dict[str, dict[str, Any]] = {
    "raw uint8": {"port": "uint8"},
    "raw int8, NHWC": {"port": "int8", "layout": "NHWC"},
    "int8 with metadata": {"port": "int8", "preprocessing": {"scale": 0.5, "mean": [3.0], "std": [1.25]}},
    "uint8 with metadata": {"port": "uint8", "preprocessing": {"scale": 1.7, "mean": [9, 30, 2.5]}},
    "quantized, 0..1": {"q": Q(1 / 255, -128)},
    "quantized, 0..255": {"q": Q(1.0, -128), "layout": "NHWC"},
    "quantized with metadata": {"q": Q(0.0186, -14), "preprocessing": NORMALISED},
    "quantized with tiny deviations": {"q": Q(0.02, 3), "preprocessing": {"scale": 1e30, "std": [1e-30]}},
    "one channel": {"channels": 1, "q": Q(1 / 255, -128)},
    "one channel, NHWC, wide": {"channels": 1, "side": (16, 40), "layout": "NHWC", "port": "uint8"},
    "float": {"q": None},
    "float with metadata, tall": {"q": None, "side": (40, 18), "preprocessing": NORMALISED},
    "larger than the frame": {"q": Q(1 / 255, -128), "side": (70, 90)},
}
FRAMES = [("rgb565be", 160, 120), ("rgb565le", 33, 47), ("yuyv", 160, 120), ("grey", 61, 30)]


@pytest.mark.parametrize("name", MODELS)
def test_c_and_numpy_give_the_same_bytes(name: str, c_convert: Convert) -> None:
    """208 frames in all: 13 models x 4 formats and sizes x 2 fits x 2."""
    oxm = picture_model(**MODELS[name])
    model = load_model(oxm)
    for format, width, height in FRAMES:
        for fit in FITS:
            frames = [random_frame(format, width, height, seed) for seed in range(2)]
            (status, size, scratch), found = c_convert(oxm, format, width, height, fit, frames)
            assert (status, size) == (0, len(frames[0].data))
            assert scratch < 30_000
            for frame, row in zip(frames, found, strict=True):
                expected = frame_input(model, frame, fit)
                assert len(np.unique(expected)) > 2 or "tiny" in name
                np.testing.assert_array_equal(row, expected.view(np.uint8).ravel())


def test_the_input_is_what_a_session_makes_of_the_picture() -> None:
    """frame_input = the host's own path from a uint8 picture to the device's tensor."""
    from onnxino import InferenceSession

    for options in MODELS.values():
        oxm = picture_model(**options)
        with InferenceSession(oxm) as session:
            frame = random_frame("rgb565be", 80, 60, 5)
            picture, rule = frame_image(session.model, frame)
            feed = {session.model.inputs[0].name: rule.apply(picture[None])}
            np.testing.assert_array_equal(session.to_device(feed)[0], frame_input(session.model, frame))


def test_extreme_sizes(c_convert: Convert) -> None:
    oxm = picture_model(q=Q(1 / 255, -128), side=(2, 2))
    for width, height in ((1, 1), (4096, 2), (2, 4096)):
        frame = random_frame("rgb565be", width, height, 0)
        (status, *_), found = c_convert(oxm, "rgb565be", width, height, "stretch", [frame])
        assert status == 0
        np.testing.assert_array_equal(found[0], frame_input(load_model(oxm), frame, "stretch").view(np.uint8).ravel())


# --- refusals ---
@pytest.mark.parametrize(
    ("model", "frame", "status", "message"),
    [
        ({"q": Q(1 / 255, -128)}, ("rgb565be", 0, 9), -2, "each side must be 1 to 4096"),
        ({"q": Q(1 / 255, -128)}, ("grey", 4097, 9), -2, "each side must be 1 to 4096"),
        ({"q": Q(1 / 255, -128)}, ("yuyv", 9, 9), -2, "must be even"),
        ({"q": Q(1 / 255, -128), "channels": 4, "side": (6, 6)}, ("grey", 9, 9), -3, "no picture"),
        ({"q": Q(1 / 255, -128), "channels": 3, "side": (6, 3)}, ("grey", 9, 9), -4, "NHWC or NCHW"),
        ({"q": Q(0.1), "preprocessing": {"scale": 1, "mean": [1, 2]}}, ("grey", 9, 9), -5, "2 values"),
        ({"q": Q(0.1)}, ("7", 9, 9), -1, "there is no frame format"),
        ({"q": Q(0.1)}, ("-1", 9, 9), -1, "there is no frame format"),
    ],
)
def test_refusals(
    model: dict[str, Any], frame: tuple[str, int, int], status: int, message: str, c_convert: Convert
) -> None:
    oxm = picture_model(**model)
    assert c_convert(oxm, *frame, "crop", [])[0] == [status]
    with pytest.raises(InputError, match=message):
        frame_input(load_model(oxm), Frame(*frame, bytes(frame_size(*frame))))


def test_an_unknown_fit_and_a_frame_of_another_size(c_convert: Convert) -> None:
    oxm = picture_model(q=Q(0.1))
    assert c_convert(oxm, "grey", 8, 8, "2", [])[0] == [-1]
    with pytest.raises(InputError, match="there is no fit 'middle'"):
        frame_input(load_model(oxm), Frame("grey", 8, 8, bytes(64)), "middle")
    with pytest.raises(InputError, match="the frame has 63 bytes; 8x8 as grey has 64"):
        Frame("grey", 8, 8, bytes(63))


def test_a_layout_that_the_metadata_tells(c_convert: Convert) -> None:
    options = {"q": Q(1 / 255, -128), "side": (6, 3), "preprocessing": {"scale": 1 / 255, "layout": "NCHW"}}
    oxm = picture_model(**options)
    frame = random_frame("grey", 9, 9, 1)
    (status, *_), found = c_convert(oxm, "grey", 9, 9, "crop", [frame])
    assert status == 0
    np.testing.assert_array_equal(found[0], frame_input(load_model(oxm), frame).view(np.uint8).ravel())


@pytest.mark.parametrize(
    ("compiler", "flags"), [("gcc", ["-O1", "-march=native", "-ffp-contract=fast"]), ("clang", ["-O0"])]
)
def test_compilers_agree(compiler: str, flags: list[str], tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, "-std=c11", *flags, f"-I{PACKAGE}", *map(str, engine_sources()), str(HERE / "driver.c")]
    subprocess.run([*command, "-o", str(tmp_path / "driver")], check=True)
    oxm = picture_model(**MODELS["quantized with metadata"])
    frame = random_frame("rgb565be", 160, 120, 7)
    (tmp_path / "m.oxm").write_bytes(oxm)
    (tmp_path / "frame").write_bytes(frame.data)
    arguments = [tmp_path / "m.oxm", 1, 160, 120, 0, tmp_path / "frame", tmp_path / "out"]
    subprocess.run([str(tmp_path / "driver"), *map(str, arguments)], check=True, capture_output=True)
    found = np.fromfile(tmp_path / "out", np.int8)
    np.testing.assert_array_equal(found, frame_input(load_model(oxm), frame).ravel())
