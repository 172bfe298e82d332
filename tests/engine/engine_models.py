"""Small models for the tests of the C runtime: a chain of every operator, and models of a single one."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import tensor_bytes
from onnxino.schema import model as s
from onnxino.schema.codec import encode

Int8 = NDArray[np.int8]
f32 = np.float32
PORTS = {kind: kind for kind in s.ElementType} | {s.ElementType.Int32: s.ElementType.Int64}


def tensor(name: str, shape: Sequence[int], **fields: Any) -> s.Tensor:
    return s.Tensor(name=name, shape=np.array(shape, np.int32), **fields)


def port(name: str, index: int, shape: Sequence[int], kind: s.ElementType = s.ElementType.Int8) -> s.Port:
    return s.Port(name=name, tensor=index, type=kind, shape=np.array(shape, np.int32))


def window(kernel: Sequence[int], stride: Sequence[int] = (1, 1), pads: Sequence[int] = (0, 0, 0, 0),
           dilation: Sequence[int] = (1, 1)) -> s.Window2D:  # fmt: skip
    """pads: top, left, bottom, right."""
    return s.Window2D(
        kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0],
        dilation_w=dilation[1], pad_top=pads[0], pad_left=pads[1], pad_bottom=pads[2], pad_right=pads[3],
    )  # fmt: skip


def weights(layout: s.WeightLayout, data: NDArray[Any]) -> s.Weights:
    return s.Weights(layout=layout, data=np.ascontiguousarray(data, np.int8).reshape(-1).view(np.uint8))


def requantization(scale: Any, zero_point: int = 0, minimum: int = -128, maximum: int = 127) -> s.Requantization:
    return s.Requantization(
        scale=np.atleast_1d(np.asarray(scale, f32)), zero_point=zero_point, minimum=minimum, maximum=maximum
    )


def operator(kernel: s.Kernel, inputs: Sequence[int], output: int, name: str = "node") -> s.Operator:
    return s.Operator(
        name=name, kernel=kernel, inputs=np.array(inputs, np.uint32), outputs=np.array([output], np.uint32)
    )


def place(tensors: Sequence[s.Tensor]) -> int:
    """Gives every activation a place of its own; returns the size of the arena."""
    end = 0
    for t in tensors:
        if t.data is not None:
            continue
        if t.alias_of >= 0:
            t.offset = tensors[t.alias_of].offset
            continue
        t.offset = -(-end // 16) * 16
        end = t.offset + tensor_bytes(t)
    return end


def model(
    tensors: list[s.Tensor], operators: list[s.Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> s.Model:
    def ports(indices: Sequence[int]) -> list[s.Port]:
        return [port(tensors[i].name, i, [int(d) for d in tensors[i].shape], PORTS[tensors[i].type]) for i in indices]

    return s.Model(
        name="small",
        tensors=tensors,
        operators=operators,
        inputs=ports(inputs),
        outputs=ports(outputs),
        arena_size=place(tensors),
        provenance=s.Provenance(tool_version="0", options="{}", source_sha256=np.zeros(32, np.uint8)),
    )


def single(
    kernel: s.Kernel, inputs: Sequence[Sequence[int]], output: Sequence[int], types: Sequence[s.ElementType] = ()
) -> s.Model:
    """A model of one operator: inputs x0, x1, ... and the output y. types: of all of them, where not Int8."""
    tensors = [tensor(f"x{i}", shape) for i, shape in enumerate(inputs)] + [tensor("y", output)]
    for t, kind in zip(tensors, types, strict=bool(types)):
        t.type = kind
    last = len(inputs)
    return model(tensors, [operator(kernel, range(last), last)], range(last), [last])


def convolution(rng: np.random.Generator, inputs: int, outputs: int, w: s.Window2D, group: int = 1) -> s.Conv2D:
    depth = w.kernel_h * w.kernel_w * inputs // group
    return s.Conv2D(
        window=w,
        group=group,
        input_zero_point=-3,
        weights=weights(s.WeightLayout.OHWI, rng.integers(-128, 128, (outputs, depth))),
        bias=rng.integers(-3000, 3000, outputs, np.int32),
        requantization=requantization(rng.uniform(0.5, 1.0, outputs) / (60 * math.sqrt(depth)), 4),
    )


def zoo() -> s.Model:
    """Every operator once, with an alias, a constant, a broadcast and a tensor that is overwritten in place."""
    rng = np.random.default_rng(5)
    t = [
        tensor("image", [1, 6, 5, 3], zero_point=-3, scale=0.02),  # 0
        tensor("conv", [1, 6, 5, 4], zero_point=4, scale=0.1),
        tensor("depthwise", [1, 3, 3, 4], scale=0.1),
        tensor("constant", [4], data=np.array([1, 2, 3, 250], np.uint8)),  # 3
        tensor("add", [1, 3, 3, 4]),
        tensor("mul", [1, 3, 3, 4]),
        tensor("max", [1, 2, 2, 4]),  # 6
        tensor("average", [1, 2, 2, 4]),
        tensor("concat", [1, 2, 2, 8]),
        tensor("transpose", [1, 8, 2, 2], perm=np.array([0, 3, 1, 2], np.uint8)),  # 9
        tensor("flat", [1, 32], alias_of=9),
        tensor("dense", [1, 6]),
        tensor("lookup", [1, 6]),  # 12
        tensor("softmax", [1, 6]),
        tensor("mean", [1, 1, 1, 8]),  # 14
    ]
    hwc = weights(s.WeightLayout.HWC, rng.integers(-128, 128, (3, 3, 4)))
    pool = window((2, 2), (1, 1))
    dense = weights(s.WeightLayout.OHWI, rng.integers(-128, 128, (6, 32)))
    operators = [
        operator(convolution(rng, 3, 4, window((3, 3), pads=(1, 1, 1, 1))), [0], 1, "conv"),
        operator(
            s.DepthwiseConv2D(
                window=window((3, 3), (2, 2), (1, 1, 1, 1)),
                multiplier=1,
                input_zero_point=4,
                weights=hwc,
                bias=rng.integers(-3000, 3000, 4, np.int32),
                requantization=requantization(0.004),
            ),
            [1],
            2,
            "depthwise",
        ),
        operator(s.Add(scale_a=0.9, scale_b=1.1, constant=0.25), [2, 3], 4, "add"),
        operator(s.Mul(zero_point_a=1, zero_point_b=2, scale=0.02, domain_offset=128), [4, 2], 5, "mul"),
        operator(s.MaxPool2D(window=pool), [5], 6, "max"),
        operator(
            s.AveragePool2D(window=pool, input_scale=0.1, output_scale=0.07, domain_offset=128), [5], 7, "average"
        ),
        operator(s.Concat(axis=3), [6, 7], 8, "concat"),
        operator(s.Transpose(perm=np.array([0, 3, 1, 2], np.uint8)), [8], 9, "transpose"),
        operator(
            s.FullyConnected(
                weights=dense, bias=rng.integers(-3000, 3000, 6, np.int32), requantization=requantization(0.002)
            ),
            [10],
            11,
            "dense",
        ),
        operator(s.Lookup(table=np.arange(-128, 128).astype(np.int8)[::-1].copy()), [11], 12, "lookup"),
        operator(
            s.Softmax(table=np.exp(np.arange(-255, 1) * 0.1).astype(f32), factor=255.0, zero_point=-128),
            [12],
            13,
            "softmax",
        ),
        operator(s.Mean2D(input_zero_point=1, requantization=requantization(0.25, 2)), [8], 14, "mean"),
    ]
    result = model(t, operators, [0], [13, 14])
    t[12].offset = t[11].offset  # Lookup works in place
    return result


def float_zoo() -> s.Model:
    """What zoo() holds, and after it every operator of format 1.1, with float32, int32 and int8 outputs."""
    base, rng = zoo(), np.random.default_rng(6)
    real, index = s.ElementType.Float32, s.ElementType.Int32
    t, operators = base.tensors, base.operators
    outputs = [13, 14]
    constant = rng.normal(0, 1, (6, 3)).astype(f32)

    def add(
        name: str, kernel: s.Kernel, inputs: Sequence[str], shape: Sequence[int], kind: s.ElementType = real
    ) -> None:
        names = {other.name: number for number, other in enumerate(t)}
        t.append(tensor(name, shape, type=kind))
        operators.append(operator(kernel, [names[i] for i in inputs], len(t) - 1, name))

    def real_weights(*shape: int) -> s.Weights:
        data = rng.normal(0, 0.3, shape).astype(f32).reshape(-1)
        return s.Weights(layout=s.WeightLayout.OHWI, type=real, data=data.view(np.uint8))

    def bias(count: int) -> NDArray[np.float32]:
        return rng.normal(0, 1, count).astype(f32)

    pool = window((2, 2), (2, 2), (0, 0, 0, 1))
    t.append(tensor("matrix", [6, 3], type=real, data=constant.reshape(-1).view(np.uint8)))
    add("real", s.Dequantize(scale=0.02, zero_point=-3), ["image"], [1, 6, 5, 3])
    add("float conv", s.FloatConv2D(window=window((3, 3), pads=(1, 1, 1, 1)), weights=real_weights(4, 3, 3, 3),
                                    bias=bias(4), minimum=-3.0), ["real"], [1, 6, 5, 4])  # fmt: skip
    add("float max", s.FloatMaxPool2D(window=pool), ["float conv"], [1, 3, 3, 4])
    add("float average", s.FloatAveragePool2D(window=pool, count_include_pad=True), ["float conv"], [1, 3, 3, 4])
    add("binary", s.FloatBinary(function=s.BinaryFunction.Sub, maximum=2.5), ["float max", "float average"],
        [1, 3, 3, 4])  # fmt: skip
    add("unary", s.FloatUnary(function=s.UnaryFunction.Tanh), ["binary"], [1, 3, 3, 4])
    add("grid", s.FakeQuantize(scale=np.array([0.01, 0.02, 0.03, 0.04], f32), minimum=np.array([-128], f32),
                               maximum=np.array([127], f32), axis=3), ["unary"], [1, 3, 3, 4])  # fmt: skip
    add("pad", s.Pad(before=np.array([0, 1, 0, 0], np.uint32), value=np.array([0.5], f32).view(np.uint8)), ["grid"],
        [1, 5, 3, 4])  # fmt: skip
    add("take", s.Take(axis=1, indices=np.array([0, 2, 2, 4], np.uint32)), ["pad"], [1, 4, 3, 4])
    add("reduce", s.FloatReduce(function=s.ReduceFunction.Mean, axes=np.array([1, 2], np.uint8)), ["take"], [1, 4])
    stored = weights(s.WeightLayout.OHWI, rng.integers(-128, 128, (6, 4)))
    add("float dense", s.FloatFullyConnected(weights=stored, weight_scale=np.array([0.03], f32), bias=bias(6)),
        ["reduce"], [1, 6])  # fmt: skip
    add("float softmax", s.FloatSoftmax(), ["float dense"], [1, 6])
    add("index", s.ArgMax(axis=3, last=True), ["grid"], [1, 3, 3], index)
    add("product", s.FloatMatMul(), ["float dense", "matrix"], [1, 3])
    add("quantized", s.Quantize(scale=0.05, zero_point=4), ["product"], [1, 3], s.ElementType.Int8)
    dense = weights(s.WeightLayout.OHWI, rng.integers(-128, 128, (2, 3)))
    add("sums", s.FullyConnected(weights=dense, bias=np.array([5, -5], np.int32), requantization=requantization(0.01)),
        ["quantized"], [1, 2])  # fmt: skip
    outputs += [number for number, other in enumerate(t) if other.name in ("float softmax", "index", "sums")]
    result = model(t, operators, [0], outputs)
    t[12].offset = t[11].offset  # Lookup works in place
    return result


def write_corpus(folder: Path) -> None:
    """Seeds for the fuzzer: the chain of every operator, and its operators alone."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = float_zoo()
    (folder / "zoo.oxm").write_bytes(encode(whole))
    for op in whole.operators:
        shapes = [[int(d) for d in whole.tensors[int(i)].shape] for i in [*op.inputs, *op.outputs]]
        types = [whole.tensors[int(i)].type for i in [*op.inputs, *op.outputs]]
        (folder / f"{op.name}.oxm").write_bytes(encode(single(op.kernel, shapes[:-1], shapes[-1], types)))


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
