"""Small models for the tests of the C runtime: a chain of every operator, and models of a single one."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.schema import model as s
from onnxino.schema.codec import encode

Int8 = NDArray[np.int8]
f32 = np.float32


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
        end = t.offset + math.prod(int(d) for d in t.shape)
    return end


def model(
    tensors: list[s.Tensor], operators: list[s.Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> s.Model:
    def ports(indices: Sequence[int]) -> list[s.Port]:
        return [port(tensors[i].name, i, [int(d) for d in tensors[i].shape]) for i in indices]

    return s.Model(
        name="small",
        tensors=tensors,
        operators=operators,
        inputs=ports(inputs),
        outputs=ports(outputs),
        arena_size=place(tensors),
        provenance=s.Provenance(tool_version="0", options="{}", source_sha256=np.zeros(32, np.uint8)),
    )


def single(kernel: s.Kernel, inputs: Sequence[Sequence[int]], output: Sequence[int]) -> s.Model:
    """A model of one operator: inputs x0, x1, ... and the output y."""
    tensors = [tensor(f"x{i}", shape) for i, shape in enumerate(inputs)] + [tensor("y", output)]
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


def write_corpus(folder: Path) -> None:
    """Seeds for the fuzzer: the chain of every operator, and its operators alone."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = zoo()
    (folder / "zoo.oxm").write_bytes(encode(whole))
    for op in whole.operators:
        shapes = [[int(d) for d in whole.tensors[int(i)].shape] for i in [*op.inputs, *op.outputs]]
        (folder / f"{op.name}.oxm").write_bytes(encode(single(op.kernel, shapes[:-1], shapes[-1])))


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
