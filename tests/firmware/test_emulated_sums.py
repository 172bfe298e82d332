"""Float32 sums, pools and reductions on the emulated Cortex-M4F, from both compilers: the bits that NumPy gives."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

pytest.importorskip("unicorn", reason="the emulator needs unicorn")

from onnxino.backends import open_backend
from onnxino.model import load_model
from onnxino.schema import model as s
from onnxino.schema.codec import encode
from onnxino_tools.build import build_firmware
from onnxino_tools.emulator import EmulatorTransport, Machine
from onnxino_tools.link import DeviceLink
from tests.model_builder import requantization, single, weights, window
from tests.ops import float_cases as fc

f32 = np.float32
REAL, INT8, INT32 = s.ElementType.Float32, s.ElementType.Int8, s.ElementType.Int32
OHWI = s.WeightLayout.OHWI
IMAGE = [1, 5, 4, 6]


def bias(count: int) -> Any:
    return fc.values(9, (count,))


def cases() -> dict[str, tuple[s.Kernel, list[list[int]], list[int], s.ElementType, s.ElementType]]:
    """Kernel, shapes of inputs and output, their types."""
    pool = window((3, 2), (2, 1), (1, 1, 1, 0))
    same = window((3, 3), pads=(1, 1, 1, 1))
    _, real, _ = fc.weights(1, OHWI, (7, 3, 3, 6), 0)
    _, depthwise, _ = fc.weights(2, OHWI, (6, 3, 3, 1), 0)
    _, dense, scale = fc.weights(3, OHWI, (9, 24), 9)
    integer = weights(OHWI, np.random.default_rng(4).integers(-128, 128, (5, 24)))
    sums = s.FullyConnected(weights=integer, bias=np.arange(5, dtype=np.int32), requantization=requantization(0.013, 0))
    found: dict[str, tuple[s.Kernel, list[list[int]], list[int], s.ElementType, s.ElementType]] = {
        "conv": (s.FloatConv2D(window=same, weights=real, bias=bias(7)), [IMAGE], [1, 5, 4, 7], REAL, REAL),
        "depthwise": (
            s.FloatConv2D(window=same, group=6, weights=depthwise, bias=bias(6), minimum=0.0, maximum=6.0),
            [IMAGE], IMAGE, REAL, REAL,
        ),
        "dense": (
            s.FloatFullyConnected(weights=dense, weight_scale=scale, bias=bias(9)), [[5, 24]], [5, 9], REAL, REAL
        ),
        "product": (s.FloatMatMul(), [[2, 3, 7], [7, 5]], [2, 3, 5], REAL, REAL),
        "max": (s.FloatMaxPool2D(window=pool), [IMAGE], [1, 3, 4, 6], REAL, REAL),
        "average": (s.FloatAveragePool2D(window=pool), [IMAGE], [1, 3, 4, 6], REAL, REAL),
        "index": (s.ArgMax(axis=3), [IMAGE], [1, 5, 4], REAL, INT32),
        "index of int8": (s.ArgMax(axis=1, smallest=True, last=True), [IMAGE], [1, 4, 6], INT8, INT32),
        "sums": (sums, [[3, 24]], [3, 5], INT8, REAL),
    }  # fmt: skip
    for function in s.ReduceFunction:
        kernel = s.FloatReduce(function=function, axes=np.array([1, 3], np.uint8))
        found[function.name] = (kernel, [IMAGE], [1, 1, 4, 1], REAL, REAL)
    return found


@pytest.fixture(scope="module", params=["zig", "gcc"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if request.param == "gcc" and not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no arm-none-eabi-gcc")
    if request.param == "zig" and find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    return build_firmware(tmp_path_factory.mktemp(request.param), request.param).read_bytes()


@pytest.mark.parametrize("name", cases())
def test_the_board_gives_the_same_bits(name: str, image: bytes) -> None:
    kernel, shapes, output, reads, writes = cases()[name]
    data = encode(single(kernel, shapes, output, [reads] * len(shapes), writes))
    link = DeviceLink(EmulatorTransport(Machine(image, data)))
    reference = open_backend("numpy", load_model(data), data)
    for kind in ("normal", "extremes", "zeros", "subnormal"):
        inputs = [fc.values(seed, shape, kind) for seed, shape in enumerate(shapes)]
        if reads == INT8:
            inputs = [np.random.default_rng(1).integers(-128, 128, shape, np.int8) for shape in shapes]
        with np.errstate(all="ignore"):
            expected = reference.run([x[None] for x in inputs])[0][0]
        answer = link.infer([x.tobytes() for x in inputs], [expected.nbytes]).output
        found = np.frombuffer(answer, expected.dtype).reshape(expected.shape)
        same = found.view(np.uint8).reshape(*found.shape, -1) == expected.view(np.uint8).reshape(*found.shape, -1)
        both_nan = np.isnan(found) & np.isnan(expected)
        assert np.all(same.all(axis=-1) | both_nan), kind
