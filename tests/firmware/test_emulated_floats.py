"""Every float32 function on the emulated Cortex-M4F, from both compilers: the bits that NumPy gives."""

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
from tests.model_builder import align, port, provenance, tensor

f32 = np.float32
VALUES = 300
OUTPUTS = 8  # of one model, at most
FLOAT = s.ElementType.Float32
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.1754942e-38, 3.4e38, -3.4e38, 0.5, -0.5, 1.5, 2.5,
         8388607.5, 0.625, 1.0, -1.0, 2.0, 3.0, 4.0, 88.72284, -87.5, -103.97, 16777217.0]  # fmt: skip


def kernels() -> list[s.Kernel]:
    """All functions of one value and of two, quantization and both softmaxes."""
    one = [s.FloatUnary(function=f, alpha=0.3, beta=0.7) for f in s.UnaryFunction]
    two = [s.FloatBinary(function=f) for f in s.BinaryFunction]
    grid = s.FakeQuantize(scale=np.array([0.1], f32), minimum=np.array([-99], f32), maximum=np.array([999], f32))
    return [*one, *two, grid, s.FloatSoftmax(), s.FloatSoftmax(log=True), s.Quantize(scale=0.05, zero_point=-7)]


def model(some: list[s.Kernel]) -> s.Model:
    """Inputs a and b, and an output for each kernel; all are [VALUES]."""
    tensors = [tensor(name, [VALUES], type=FLOAT) for name in ("a", "b")]
    operators: list[s.Operator] = []
    for kernel in some:
        kind = s.ElementType.Int8 if isinstance(kernel, s.Quantize) else FLOAT
        inputs = [0, 1] if isinstance(kernel, s.FloatBinary) else [0]
        indices = {"inputs": np.array(inputs, np.uint32), "outputs": np.array([len(tensors)], np.uint32)}
        operators.append(s.Operator(name=f"n{len(operators)}", kernel=kernel, **indices))
        tensors.append(tensor(f"y{len(tensors)}", [VALUES], type=kind))
    end = 0
    for t in tensors:
        t.offset = align(end)
        end = t.offset + VALUES * (1 if t.type == s.ElementType.Int8 else 4)
    ports = [port(t.name, i, [VALUES], t.type) for i, t in enumerate(tensors)]
    return s.Model(name="floats", tensors=tensors, operators=operators, inputs=ports[:2], outputs=ports[2:],
                   arena_size=end, provenance=provenance())  # fmt: skip


def samples() -> list[tuple[Any, Any]]:
    """Random bits, usual numbers, edges with edges."""
    rng = np.random.default_rng(3)
    bits = [rng.integers(0, 1 << 32, VALUES, np.uint32).view(f32) for _ in range(2)]
    usual = [rng.normal(0, 4, VALUES).astype(f32), (rng.integers(-12, 13, VALUES) / 4).astype(f32)]
    edges = np.array(EDGES, f32)
    return [(bits[0], bits[1]), (usual[0], usual[1]), (rng.choice(edges, VALUES), rng.choice(edges, VALUES))]


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_the_board_gives_the_same_bits(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    if compiler == "gcc" and not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no arm-none-eabi-gcc")
    if compiler == "zig" and find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    image = build_firmware(tmp_path_factory.mktemp(compiler), compiler).read_bytes()
    every = kernels()
    for first in range(0, len(every), OUTPUTS):
        compare(image, encode(model(every[first : first + OUTPUTS])))


def compare(image: bytes, data: bytes) -> None:
    """Runs all samples on the board and in NumPy."""
    loaded = load_model(data)
    link = DeviceLink(EmulatorTransport(Machine(image, data)))
    reference = open_backend("numpy", loaded, data)
    for a, b in samples():
        expected = reference.run([a[None], b[None]])
        output, at = link.infer([a.tobytes(), b.tobytes()], [y.nbytes for y in expected]).output, 0
        for operator, y in zip(loaded.operators, expected, strict=True):
            found = np.frombuffer(output[at : at + y.nbytes], y.dtype)
            at += y.nbytes
            same = found == y[0]
            if y.dtype == f32:
                same = (found.view(np.int32) == y[0].view(np.int32)) | (np.isnan(found) & np.isnan(y[0]))
            wrong = np.flatnonzero(~same)
            assert not len(wrong), (operator.kernel, a[wrong][:3], b[wrong][:3], found[wrong][:3], y[0][wrong][:3])
