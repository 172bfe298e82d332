"""Convolutions, dense layers and sums at odd numbers: C on the host, with sanitizers, and on the board equals NumPy.

The board is the emulated one; its kernels are assembly where the host's are C.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import engine_models as em
import numpy as np
import pytest
from numpy.typing import NDArray
from tile_cases import CASES, FILLS, values

from onnxino.backends import open_backend
from onnxino.model import load_model, shape_of
from onnxino.schema import model as s
from onnxino.schema.codec import encode

Array = NDArray[Any]
PORTS = 8  # the most that the firmware takes


def inputs_of(shape: tuple[int, ...]) -> Array:
    """One image of each kind."""
    rng = np.random.default_rng(8)
    return np.stack([values(rng, fill, shape) for fill in FILLS])


def answers(name: str) -> tuple[bytes, Array, Array]:
    """The model, its inputs [image, ...], and what NumPy makes of them."""
    data = encode(CASES[name].model())
    model = load_model(data)
    inputs = inputs_of(shape_of(model.tensors[0]))
    with np.errstate(all="ignore"):
        return data, inputs, open_backend("numpy", model, data).run([inputs])[0]


def equal(found: Array, expected: Array) -> bool:
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", CASES)
def test_c_equals_numpy(name: str) -> None:
    data, inputs, expected = answers(name)
    backend = open_backend("c", load_model(data), data)
    assert equal(backend.run([inputs])[0], expected)
    backend.close()


def test_nothing_is_read_or_written_outside(driver: Callable[..., str], tmp_path: Path) -> None:
    """Sanitizers end the program at the first byte before or behind the file or the arena."""
    for number, case in enumerate(CASES.values()):
        path = tmp_path / f"{number}.oxm"
        path.write_bytes(encode(case.model()))
        assert driver("run", path).startswith("0 0 ")


@pytest.fixture(scope="module", params=["zig", "gcc"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    pytest.importorskip("unicorn", reason="the emulator needs unicorn")
    from onnxino_tools.build import build_firmware

    if request.param == "gcc" and not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no arm-none-eabi-gcc")
    if request.param == "zig" and find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    return build_firmware(tmp_path_factory.mktemp(request.param), request.param).read_bytes()


def together(names: list[str]) -> s.Model:
    """One model of several cases, each with an input and an output of its own."""
    models = [CASES[name].model() for name in names]
    tensors = [m.tensors[0] for m in models] + [m.tensors[1] for m in models]
    operators = [
        em.operator(m.operators[0].kernel, [i], len(models) + i, name)
        for i, (m, name) in enumerate(zip(models, names, strict=True))
    ]
    for number, t in enumerate(tensors):
        t.name = f"t{number}"
    return em.model(tensors, operators, range(len(models)), range(len(models), 2 * len(models)))


BATCHES = [list(CASES)[first : first + PORTS] for first in range(0, len(CASES), PORTS)]


STRICT = ["3x3 of 3 channels", "3x3 of 33 channels", "streamed groups", "1x1 of 5 channels, 6 filters",
          "depthwise 3x3 of 7 channels", "depthwise, stride 2", "dense 1x17x8", "dense 3x20x5"]  # fmt: skip


def compare(names: list[str], image: bytes, samples: int, strict: bool) -> None:
    """All of them on the board in one model."""
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink

    data = encode(together(names))
    model = load_model(data)
    link = DeviceLink(EmulatorTransport(Machine(image, data, count="off", strict=strict)))
    arrays = [inputs_of(shape_of(model.tensors[i]))[:samples] for i in range(len(names))]
    with np.errstate(all="ignore"):
        expected = open_backend("numpy", model, data).run(arrays)
    for sample in range(samples):
        sizes = [y[sample].nbytes for y in expected]
        found = link.infer([x[sample].tobytes() for x in arrays], sizes).output
        for name, y in zip(names, expected, strict=True):
            assert found[: y[sample].nbytes] == y[sample].tobytes(), name
            found = found[y[sample].nbytes :]
    assert link.hello().stack_free > 1024


@pytest.mark.parametrize("names", BATCHES, ids=[names[0] for names in BATCHES])
def test_the_board_equals_numpy(names: list[str], image: bytes) -> None:
    compare(names, image, samples=2, strict=False)


SUMS = [(0.71, 0.45, -31.2, 0), (0.71, 0.45, 20.0, 128), (0.5, 0.5, 0.5, 0), (1e-38, 9e29, 0.5, 128),
        (3e38, 3e38, 0.5, 0), (3e38, 1e-45, 0.5, 128), (9e29, 9e29, -9e29, 0), (0.1, 0.2, 3e38, 128)]  # fmt: skip


@pytest.mark.parametrize("count", [1, 3, 4, 19, 256])
def test_sums_on_the_board_equal_numpy(count: int, image: bytes) -> None:
    """Four at a time where nothing is infinite; ties, infinities and NaN (infinity less infinity) as NumPy has them."""
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink

    tensors = [em.tensor(f"t{i}", [1, count]) for i in range(2 + len(SUMS))]
    operators = [
        em.operator(s.Add(scale_a=a, scale_b=b, constant=c, domain_offset=d), [0, 1], 2 + i)
        for i, (a, b, c, d) in enumerate(SUMS)
    ]
    data = encode(em.model(tensors, operators, [0, 1], range(2, len(tensors))))
    arrays = [np.random.default_rng(i).integers(-128, 128, (1, 1, count), np.int8) for i in range(2)]
    with np.errstate(all="ignore"):
        expected = open_backend("numpy", load_model(data), data).run(arrays)
    link = DeviceLink(EmulatorTransport(Machine(image, data, count="off")))
    found = link.infer([x.tobytes() for x in arrays], [count] * len(SUMS)).output
    assert found == b"".join(y.tobytes() for y in expected)


@pytest.mark.parametrize("shape", [(1, 1, 1, 8), (2, 7, 7, 19), (1, 16, 16, 8), (1, 33, 31, 9)])
def test_means_on_the_board_equal_numpy(shape: tuple[int, ...], image: bytes) -> None:
    """Sums of pairs are taken over before they leave 16 bits, for the least and greatest values too."""
    from onnxino_tools.emulator import EmulatorTransport, Machine
    from onnxino_tools.link import DeviceLink

    n, height, width, channels = shape
    kernel = s.Mean2D(input_zero_point=-3, requantization=em.requantization(0.9 / (height * width), 7))
    data = encode(em.single(kernel, [list(shape)], [n, 1, 1, channels]))
    inputs = inputs_of(shape)
    expected = open_backend("numpy", load_model(data), data).run([inputs])[0]
    link = DeviceLink(EmulatorTransport(Machine(image, data, count="off")))
    for x, y in zip(inputs, expected, strict=True):
        assert link.infer(x.tobytes(), [y.nbytes]).output == y.tobytes()


def test_nothing_is_misaligned_that_must_not_be(image: bytes) -> None:
    """The emulator's strict mode faults where the chip would."""
    compare(STRICT, image, samples=1, strict=True)
