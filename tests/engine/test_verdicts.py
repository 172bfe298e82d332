"""What a model states and cannot be true is refused, with the status that says what; Python gives the same verdict."""

from __future__ import annotations

import ctypes
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_models as em
import numpy as np
import pytest

from onnxino.backends import c as backend
from onnxino.errors import ModelError
from onnxino.model import load_model
from onnxino.schema import model as s
from onnxino.schema.codec import encode, seal

GOLDEN = Path(__file__).parent.parent / "golden"
OK, TRUNCATED, MAGIC, VERSION, HEADER, CRC, STRUCTURE = 0, -3, -4, -5, -6, -7, -8
TENSOR, PORT, OPERATOR, UNSUPPORTED, ORDER, PLAN, ARENA_SIZE = -9, -10, -11, -12, -13, -14, -15


def verdict(data: bytes) -> tuple[int, int, str]:
    """Status, place and text of onnx_model_open (through the host shim, with an arena that always suffices)."""
    library = backend.load_library()
    file = backend._aligned(len(data))  # pyright: ignore[reportPrivateUsage]
    file[: len(data)] = np.frombuffer(data, np.uint8)
    host = backend._aligned(int(library.onx_host_size()))  # pyright: ignore[reportPrivateUsage]
    arena = backend._aligned(16)  # pyright: ignore[reportPrivateUsage]
    status = library.onx_host_open(
        host.ctypes.data, file.ctypes.data, len(data), arena.ctypes.data, ctypes.c_size_t(-1)
    )
    text = library.onx_status_text(status).decode()
    return status, int(library.onx_host_where(host.ctypes.data)), text


def python_refusal(data: bytes) -> str | None:
    try:
        load_model(data)
    except ModelError as error:
        return error.message
    return None


# ---------------------------------------------------------------------------------------------- header


HEADERS: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "empty": (lambda d: b"", TRUNCATED, "truncated"),
    "31 bytes": (lambda d: d[:31], TRUNCATED, "truncated"),
    "half": (lambda d: d[: len(d) // 2], TRUNCATED, "truncated"),
    "magic": (lambda d: b"OXM\x1b" + d[4:], MAGIC, "not an Onnxino model"),
    "newer major": (lambda d: d[:4] + struct.pack("<HH", 2, 0) + d[8:], VERSION, "newer format"),
    "newer minor": (lambda d: d[:4] + struct.pack("<HH", 1, 2) + d[8:], VERSION, "newer format"),
    "major 0": (lambda d: d[:4] + struct.pack("<HH", 0, 0) + d[8:], HEADER, "header"),
    "size 16": (lambda d: d[:12] + struct.pack("<I", 16) + d[16:], HEADER, "header"),
    "size no multiple of 16": (lambda d: d[:12] + struct.pack("<I", len(d) - 1) + d[16:], HEADER, "header"),
    "reserved byte": (lambda d: seal(d[:25] + b"\1" + d[26:]), HEADER, "header"),
    "CRC": (lambda d: d[:16] + bytes([d[16] ^ 1]) + d[17:], CRC, "CRC-32"),
    "file identifier": (lambda d: seal(d[:36] + b"ONXX" + d[40:]), STRUCTURE, "flatbuffer"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_header(name: str) -> None:
    change, status, text = HEADERS[name]
    data = change(encode(em.zoo()))
    found = verdict(data)
    assert found[0] == status
    assert text in found[2]
    assert python_refusal(data) is not None


# ---------------------------------------------------------------------------------------------- meaning


def at(index: int, **fields: Any) -> Callable[[s.Model], None]:
    """Sets fields of a tensor."""
    return lambda m: [setattr(m.tensors[index], k, v) for k, v in fields.items()] and None


def op(index: int, **fields: Any) -> Callable[[s.Model], None]:
    """Sets fields of an operator."""
    return lambda m: [setattr(m.operators[index], k, v) for k, v in fields.items()] and None


def attribute(index: int, path: str, value: Any) -> Callable[[s.Model], None]:
    """Sets an attribute of an operator's kernel, by a dotted path."""

    def change(m: s.Model) -> None:
        target: Any = m.operators[index].kernel
        *parents, name = path.split(".")
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, name, value)

    return change


def ports(which: str, **fields: Any) -> Callable[[s.Model], None]:
    return lambda m: [setattr(getattr(m, which)[0], k, v) for k, v in fields.items()] and None


def shape(*dimensions: int) -> np.ndarray[Any, Any]:
    return np.array(dimensions, np.int32)


def u32(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.uint32)


def u8(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.uint8)


def f32(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


CONV, DEPTHWISE, ADD, MUL, MAX, AVERAGE, CONCAT, TRANSPOSE, DENSE, LOOKUP, SOFTMAX, MEAN = range(12)

MEANING: dict[str, tuple[Callable[[s.Model], Any], int]] = {
    "nothing changed": (lambda m: None, OK),
    # tensors
    "no dimensions": (at(0, shape=shape()), TENSOR),
    "7 dimensions": (at(0, shape=shape(1, 1, 1, 1, 6, 5, 3)), TENSOR),
    "a dimension of 0": (at(0, shape=shape(1, 0, 5, 3)), TENSOR),
    "a negative dimension": (at(0, shape=shape(1, -6, -5, 3)), TENSOR),
    "2^31 elements": (at(0, shape=shape(1 << 16, 1 << 15, 1, 1)), TENSOR),
    "2^64 elements": (at(0, shape=shape(1 << 16, 1 << 16, 1 << 16, 1 << 16)), TENSOR),
    "perm of the wrong length": (at(0, perm=u8(0, 1, 2)), TENSOR),
    "perm with an axis twice": (at(0, perm=u8(0, 1, 1, 2)), TENSOR),
    "perm with an axis too high": (at(0, perm=u8(0, 1, 2, 4)), TENSOR),
    "type unset": (at(0, type=s.ElementType.Unset), TENSOR),
    "scale 0": (at(0, scale=0.0), TENSOR),
    "scale negative": (at(0, scale=-1.0), TENSOR),
    "scale infinite": (at(0, scale=float("inf")), TENSOR),
    "scale not a number": (at(0, scale=float("nan")), TENSOR),
    "constant of the wrong size": (at(3, data=u8(1, 2, 3)), TENSOR),
    "alias of itself": (at(10, alias_of=10), TENSOR),
    "alias of a later tensor": (at(10, alias_of=11), TENSOR),
    "alias beyond all tensors": (at(10, alias_of=1000), TENSOR),
    "alias of an alias": (at(11, alias_of=10, shape=shape(1, 32)), TENSOR),
    "alias of a constant": (at(10, alias_of=3, shape=shape(1, 4), offset=0), TENSOR),
    "alias of another size": (at(10, shape=shape(1, 31)), TENSOR),
    "alias elsewhere": (at(10, offset=0), TENSOR),
    "constant and alias": (at(10, data=np.zeros(32, np.uint8)), TENSOR),
    "offset not aligned": (at(0, offset=8), TENSOR),
    "beyond the arena": (at(13, offset=1 << 20), TENSOR),
    "offset near 2^32": (at(13, offset=0xFFFFFFF0), TENSOR),
    # ports
    "no inputs": (lambda m: m.inputs.clear(), PORT),
    "no outputs": (lambda m: m.outputs.clear(), PORT),
    "input of no tensor": (ports("inputs", tensor=99), PORT),
    "input is a constant": (ports("inputs", tensor=3, shape=shape(4)), PORT),
    "input is int16": (ports("inputs", type=s.ElementType.Int16), PORT),
    "input of another size": (ports("inputs", shape=shape(1, 6, 5, 4)), PORT),
    "symbolic batch": (ports("inputs", shape=shape(-1, 6, 5, 3)), OK),
    "dimension of -2": (ports("inputs", shape=shape(-2, 6, 5, 3)), PORT),
    "port perm": (ports("inputs", perm=u8(0, 0, 1, 2)), PORT),
    "dimension names": (ports("inputs", dimension_names=["n"]), PORT),
    "port's tensor is not int8": (at(0, type=s.ElementType.UInt8), PORT),
    "output never written": (lambda m: m.operators.pop(), PORT),
    # operators
    "no such input tensor": (op(CONV, inputs=u32(15)), OPERATOR),
    "no such output tensor": (op(CONV, outputs=u32(4_000_000_000)), OPERATOR),
    "no inputs of an operator": (op(CONV, inputs=u32()), OPERATOR),
    "too many inputs": (op(CONV, inputs=u32(0, 0)), OPERATOR),
    "no outputs of an operator": (op(CONV, outputs=u32()), OPERATOR),
    "two outputs": (op(CONV, outputs=u32(1, 2)), OPERATOR),
    "reads what is written later": (op(CONV, inputs=u32(2)), ORDER),
    "reads its own output": (op(CONV, inputs=u32(1)), ORDER),
    "writes twice": (op(MAX, outputs=u32(5)), ORDER),
    "writes a graph input": (op(MUL, outputs=u32(0)), ORDER),
    "writes a constant": (op(ADD, outputs=u32(3)), ORDER),
    "operand is not int8": (at(1, type=s.ElementType.UInt8), UNSUPPORTED),
    "unknown layout": (attribute(CONV, "weights.layout", s.WeightLayout.HWC), UNSUPPORTED),
    "int16 weights": (attribute(CONV, "weights.type", s.ElementType.Int16), OPERATOR),
    "too few weights": (attribute(CONV, "weights.data", np.zeros(107, np.uint8)), OPERATOR),
    "too few biases": (attribute(CONV, "bias", np.zeros(3, np.int32)), OPERATOR),
    "two scales for four channels": (attribute(CONV, "requantization.scale", f32(1, 1)), OPERATOR),
    "no scales": (attribute(CONV, "requantization.scale", f32()), OPERATOR),
    "requantization scale 0": (attribute(CONV, "requantization.scale", f32(0)), OPERATOR),
    "requantization scale not finite": (attribute(CONV, "requantization.scale", f32(1, 1, 1, np.inf)), OPERATOR),
    "minimum above maximum": (attribute(CONV, "requantization.minimum", 127), OK),
    "maximum below minimum": (attribute(CONV, "requantization", em.requantization(1, 0, 5, 4)), OPERATOR),
    "stride 0": (attribute(CONV, "window.stride_h", 0), OPERATOR),
    "kernel 0": (attribute(CONV, "window.kernel_w", 0), OPERATOR),
    "dilation 0": (attribute(CONV, "window.dilation_w", 0), OPERATOR),
    "pads for another output": (attribute(CONV, "window.pad_top", 2), OPERATOR),
    "dilation leaves the image": (attribute(CONV, "window.dilation_h", 60000), OPERATOR),
    "group 0": (attribute(CONV, "group", 0), OPERATOR),
    "group does not divide": (attribute(CONV, "group", 2), OPERATOR),
    "group beyond 2^31": (attribute(CONV, "group", 0x80000003), OPERATOR),
    "multiplier 0": (attribute(DEPTHWISE, "multiplier", 0), OPERATOR),
    "multiplier near 2^32": (attribute(DEPTHWISE, "multiplier", 0x40000001), OPERATOR),
    "depthwise weights": (attribute(DEPTHWISE, "weights.data", np.zeros(37, np.uint8)), OPERATOR),
    "dense weights": (attribute(DENSE, "weights.data", np.zeros(191, np.uint8)), OPERATOR),
    "dense without outputs": (attribute(DENSE, "bias", np.zeros(0, np.int32)), OPERATOR),
    "dense without weights": (attribute(DENSE, "weights.data", np.zeros(0, np.uint8)), OPERATOR),
    "dense depth": (attribute(DENSE, "weights.data", np.zeros(186, np.uint8)), OPERATOR),
    "add scale 0": (attribute(ADD, "scale_a", 0.0), OPERATOR),
    "add scale infinite": (attribute(ADD, "scale_b", float("inf")), OPERATOR),
    "add constant": (attribute(ADD, "constant", float("nan")), OPERATOR),
    "add domain": (attribute(ADD, "domain_offset", 127), OPERATOR),
    "add clamp": (attribute(ADD, "maximum", -128), OK),
    "add shapes": (at(3, shape=shape(3), data=u8(1, 2, 3)), OPERATOR),
    "mul scale": (attribute(MUL, "scale", -1.0), OPERATOR),
    "mul domain": (attribute(MUL, "domain_offset", -128), OPERATOR),
    "max window": (attribute(MAX, "window.kernel_h", 4), OPERATOR),
    "pool outside of the image": (attribute(MAX, "window", em.window((1, 1), (3, 1), (2, 0, 0, 0))), OPERATOR),
    "pool steps over the image": (attribute(MAX, "window", em.window((2, 2), (1, 1), (3, 0, 0, 0), (5, 1))), OPERATOR),
    "average scale": (attribute(AVERAGE, "input_scale", 0.0), OPERATOR),
    "average output scale": (attribute(AVERAGE, "output_scale", float("nan")), OPERATOR),
    "average domain": (attribute(AVERAGE, "domain_offset", 1), OPERATOR),
    "concat axis": (attribute(CONCAT, "axis", 4), OPERATOR),
    "concat another axis": (attribute(CONCAT, "axis", 1), OPERATOR),
    "concat one input": (op(CONCAT, inputs=u32(6)), OPERATOR),
    "transpose axis twice": (attribute(TRANSPOSE, "perm", u8(0, 3, 3, 2)), OPERATOR),
    "transpose axis 200": (attribute(TRANSPOSE, "perm", u8(0, 200, 1, 2)), OPERATOR),
    "transpose other shape": (attribute(TRANSPOSE, "perm", u8(0, 1, 3, 2)), OPERATOR),
    "transpose short": (attribute(TRANSPOSE, "perm", u8(0, 1, 2)), OPERATOR),
    "lookup table": (attribute(LOOKUP, "table", np.zeros(255, np.int8)), OPERATOR),
    "softmax table": (attribute(SOFTMAX, "table", np.ones(255, np.float32)), OPERATOR),
    "softmax negative": (attribute(SOFTMAX, "table", -np.ones(256, np.float32)), OPERATOR),
    "softmax zeros": (attribute(SOFTMAX, "table", np.zeros(256, np.float32)), OPERATOR),
    "softmax factor": (attribute(SOFTMAX, "factor", 0.0), OPERATOR),
    "mean with two scales": (attribute(MEAN, "requantization.scale", f32(1, 1)), OPERATOR),
    "mean shape": (at(14, shape=shape(1, 8, 1, 1)), OPERATOR),
    # memory plan
    "arena too large": (lambda m: setattr(m, "arena_size", m.arena_size + 16), ARENA_SIZE),
    "arena too small": (lambda m: setattr(m, "arena_size", m.arena_size - 1), TENSOR),
    "output over a living input": (at(1, offset=0), PLAN),
    "over a dead tensor": (at(7, offset=112), OK),
    "overlap of living tensors": (lambda m: setattr(m.tensors[7], "offset", m.tensors[6].offset), PLAN),
    "add over a broadcast input": (lambda m: setattr(m.tensors[4], "offset", m.tensors[2].offset), PLAN),
    "lookup a little behind": (lambda m: setattr(m.tensors[12], "offset", m.tensors[11].offset + 16), OK),
    "scratch over an input": (op(CONV, scratch_offset=0, scratch_size=16), PLAN),
    "scratch over what dies": (op(SOFTMAX, scratch_offset=0, scratch_size=16), OK),
    "scratch not aligned": (op(SOFTMAX, scratch_offset=8, scratch_size=16), OPERATOR),
    "scratch beyond": (op(SOFTMAX, scratch_offset=0, scratch_size=1 << 20), OPERATOR),
    "scratch near 2^32": (op(SOFTMAX, scratch_offset=0xFFFFFFF0, scratch_size=0xFFFFFFFF), OPERATOR),
}


FLOAT = s.ElementType.Float32


def part(name: str, path: str, value: Any) -> Callable[[s.Model], None]:
    """Sets an attribute of the operator of float_zoo() with this name."""
    return lambda m: attribute([o.name for o in m.operators].index(name), path, value)(m)


def of(name: str, **fields: Any) -> Callable[[s.Model], None]:
    """Sets fields of the tensor of float_zoo() with this name."""
    return lambda m: at([t.name for t in m.tensors].index(name), **fields)(m)


def shown(name: str, kind: s.ElementType) -> Callable[[s.Model], None]:
    """Sets the type of the output with this name."""
    return lambda m: [setattr(p, "type", kind) for p in m.outputs if p.name == name] and None


def floats(*values: float) -> np.ndarray[Any, Any]:
    return f32(*values).view(np.uint8)


INFINITY, NAN = float("inf"), float("nan")
FLOAT_MEANING: dict[str, tuple[Callable[[s.Model], Any], int]] = {
    "nothing changed": (lambda m: None, OK),
    # tensors and ports
    "tensor of int64": (of("index", type=s.ElementType.Int64), TENSOR),
    "float constant of the wrong size": (of("matrix", data=np.zeros(18, np.uint8)), TENSOR),
    "float tensor beyond the arena": (lambda m: setattr(m, "arena_size", m.arena_size - 4), TENSOR),
    "float output as int8": (shown("float softmax", s.ElementType.Int8), PORT),
    "float output as int64": (shown("float softmax", s.ElementType.Int64), PORT),
    "index as float": (shown("index", FLOAT), PORT),
    "index as int32": (shown("index", s.ElementType.Int32), PORT),
    "int8 output as int64": (shown("mean", s.ElementType.Int64), PORT),
    "overlap of the second half of a float tensor": (
        lambda m: [setattr(t, "offset", m.tensors[16].offset + 256) for t in m.tensors if t.name == "float max"],
        PLAN,
    ),
    # FloatConv2D, FloatFullyConnected
    "float conv of int8": (of("real", type=s.ElementType.Int8), UNSUPPORTED),
    "float conv layout": (part("float conv", "weights.layout", s.WeightLayout.HWC), UNSUPPORTED),
    "float conv of int16 weights": (part("float conv", "weights.type", s.ElementType.Int16), OPERATOR),
    "float conv of int8 weights": (part("float conv", "weights.type", s.ElementType.Int8), OPERATOR),
    "float conv, a weight too few": (part("float conv", "weights.data", floats(*[0] * 107)), OPERATOR),
    "float conv, half a weight": (part("float conv", "weights.data", np.zeros(430, np.uint8)), OPERATOR),
    "float conv, infinite weight": (part("float conv", "weights.data", floats(*[0] * 107, INFINITY)), OPERATOR),
    "float conv, NaN as weight": (part("float conv", "weights.data", floats(NAN, *[0] * 107)), OPERATOR),
    "float conv with scales": (part("float conv", "weight_scale", f32(1)), OPERATOR),
    "float conv biases": (part("float conv", "bias", f32(1, 2, 3)), OPERATOR),
    "float conv group": (part("float conv", "group", 2), OPERATOR),
    "float conv group 0": (part("float conv", "group", 0), OPERATOR),
    "float conv window": (part("float conv", "window.pad_top", 2), OPERATOR),
    "float conv limits": (part("float conv", "maximum", -3.5), OPERATOR),
    "float conv limit NaN": (part("float conv", "minimum", NAN), OPERATOR),
    "float conv, infinite limits": (part("float conv", "minimum", -INFINITY), OK),
    "float dense without scale": (part("float dense", "weight_scale", None), OPERATOR),
    "float dense of two scales": (part("float dense", "weight_scale", f32(1, 1)), OPERATOR),
    "float dense of six scales": (part("float dense", "weight_scale", f32(1, 2, 3, 4, 5, 6)), OK),
    "float dense scale 0": (part("float dense", "weight_scale", f32(0)), OPERATOR),
    "float dense scale NaN": (part("float dense", "weight_scale", f32(NAN)), OPERATOR),
    "float dense scale that overflows": (part("float dense", "weight_scale", f32(3e36)), OPERATOR),
    "float dense, largest scale": (part("float dense", "weight_scale", f32(2e36)), OK),
    "float dense without biases": (part("float dense", "bias", f32()), OPERATOR),
    "float dense weights": (part("float dense", "weights.data", np.zeros(23, np.uint8)), OPERATOR),
    "float dense without weights": (part("float dense", "weights.data", np.zeros(0, np.uint8)), OPERATOR),
    "float dense depth": (part("float dense", "weights.data", np.zeros(18, np.uint8)), OPERATOR),
    "float dense limits": (part("float dense", "maximum", NAN), OPERATOR),
    # FloatMatMul
    "product of other depths": (of("matrix", shape=shape(3, 6)), OPERATOR),
    "product with a vector": (of("matrix", shape=shape(18)), OPERATOR),
    "product of another shape": (of("product", shape=shape(3, 1)), OPERATOR),
    "product with int32": (of("matrix", type=s.ElementType.Int32), UNSUPPORTED),
    # pools
    "float max window": (part("float max", "window.kernel_h", 7), OPERATOR),
    "float max of int8": (of("float max", type=s.ElementType.Int8), UNSUPPORTED),
    "float average window": (part("float average", "window.stride_h", 0), OPERATOR),
    # FloatReduce
    "reduce no axes": (part("reduce", "axes", u8()), OPERATOR),
    "reduce descending": (part("reduce", "axes", u8(2, 1)), OPERATOR),
    "reduce one axis twice": (part("reduce", "axes", u8(1, 1)), OPERATOR),
    "reduce axis 4": (part("reduce", "axes", u8(1, 4)), OPERATOR),
    "reduce axis 200": (part("reduce", "axes", u8(1, 200)), OPERATOR),
    "reduce other axes": (part("reduce", "axes", u8(1)), OPERATOR),
    # ArgMax
    "index axis": (part("index", "axis", 4), OPERATOR),
    "index along another axis": (part("index", "axis", 2), OPERATOR),
    "index as float tensor": (of("index", type=FLOAT), PORT),
    # Take, Pad
    "take beyond": (part("take", "indices", u32(0, 2, 2, 5)), OPERATOR),
    "take 2^32 - 1": (part("take", "indices", u32(0, 2, 2, 0xFFFFFFFF)), OPERATOR),
    "take too few": (part("take", "indices", u32(0, 2, 2)), OPERATOR),
    "take none": (part("take", "indices", u32()), OPERATOR),
    "take axis": (part("take", "axis", 4), OPERATOR),
    "take along another axis": (part("take", "axis", 2), OPERATOR),
    "pad further": (part("pad", "before", u32(0, 2, 0, 0)), OK),
    "pad too far": (part("pad", "before", u32(0, 3, 0, 0)), OPERATOR),
    "pad 2^32 - 1": (part("pad", "before", u32(0, 0xFFFFFFFF, 0, 0)), OPERATOR),
    "pad rank": (part("pad", "before", u32(0, 1, 0)), OPERATOR),
    "pad value of one byte": (part("pad", "value", u8(1)), OPERATOR),
    "pad to another type": (of("pad", type=s.ElementType.Int32), UNSUPPORTED),
    # float outputs of integer kernels
    "sums as int32": (of("sums", type=s.ElementType.Int32), PORT),
}


@pytest.mark.parametrize("name", FLOAT_MEANING)
def test_meaning_of_float_operators(name: str) -> None:
    change, status = FLOAT_MEANING[name]
    model = em.float_zoo()
    change(model)
    data = encode(model)
    refusal = python_refusal(data)
    assert (refusal is None) == (status == OK), refusal
    assert verdict(data)[0] == status


@pytest.mark.parametrize("name", MEANING)
def test_meaning(name: str) -> None:
    change, status = MEANING[name]
    model = em.zoo()
    change(model)
    data = encode(model)
    assert verdict(data)[0] == status
    assert (python_refusal(data) is None) == (status == OK)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.oxm")), ids=lambda path: path.name)
def test_golden_files_are_accepted(path: Path) -> None:
    assert verdict(path.read_bytes())[0] == OK


def test_place_of_an_error() -> None:
    for index, (change, status) in {
        11: (at(11, scale=0.0), TENSOR),
        2: (lambda m: setattr(m.outputs[1], "tensor", 99), PORT),
        8: (attribute(DENSE, "bias", np.zeros(5, np.int32)), OPERATOR),
    }.items():
        model = em.zoo()
        change(model)
        assert verdict(encode(model))[:2] == (status, index)


# ---------------------------------------------------------------------------------------------- agreement


@pytest.mark.parametrize("seed", range(4))
def test_python_and_c_give_the_same_verdict_on_damaged_files(seed: int) -> None:
    """Changed bytes with a repaired CRC. C alone bounds what lies inside a table; Python alone reads UTF-8."""
    data = encode(em.float_zoo() if seed % 2 else em.zoo())
    rng = random.Random(seed)
    verdicts = {True: 0, False: 0}
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 4])):
            changed[rng.randrange(32, len(data))] ^= 1 << rng.randrange(8)
        sealed = seal(bytes(changed))
        status, _, _ = verdict(sealed)
        refusal = python_refusal(sealed)
        verdicts[status == OK] += 1
        if (status == OK) != (refusal is None):
            allowed = status == STRUCTURE if refusal is None else "UTF-8" in refusal
            assert allowed, f"C: {status}, Python: {refusal}"
    assert min(verdicts.values()) > 50
