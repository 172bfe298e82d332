"""Small float networks whose channels are split, shuffled, reshaped, resized, sliced, shared."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from tests.converter.prune.builder import Net


def split() -> ModelProto:
    """Unequal parts of a layer, one through another layer, and joined again."""
    b = Net()
    x = b.conv("first", "x", (10, 3, 3, 3))
    b.op("Split", "parts", x, b.ints("sizes", 4, 6), outputs=["p", "q"], axis=1)
    q = b.op("Relu", "r", b.conv("inner", "q", (6, 6, 1, 1)))
    b.conv("y", b.op("Concat", "joined", q, "p", axis=1), (4, 10, 1, 1))
    return b.model()


def split_evenly(opset: int = 18) -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    options = {"num_outputs": 2} if opset >= 18 else {}
    b.op("Split", "parts", x, outputs=["p", "q"], axis=1, **options)
    b.conv("y", b.op("Concat", "joined", "q", "p", axis=1), (4, 8, 1, 1))
    return b.model(opset=opset)


def shuffle() -> ModelProto:
    """Channels in two groups, shuffled by Reshape, Transpose, Reshape, as ShuffleNet does."""
    b = Net()
    x = b.conv("pairs", b.conv("first", "x", (8, 3, 3, 3)), (12, 4, 1, 1), group=2)
    x = b.op("Reshape", "apart", x, b.ints("s", 0, 2, 6, 6, 6))
    x = b.op("Transpose", "swapped", x, perm=[0, 2, 1, 3, 4])
    x = b.op("Reshape", "together", x, b.ints("s2", 0, 12, 6, 6))
    b.conv("y", b.op("Relu", "r", x), (4, 12, 1, 1))
    return b.model()


def pads_and_pools() -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.op("Pad", "padded", x, b.ints("pads", 0, 0, 1, 1, 0, 0, 0, 0))
    x = b.op("MaxPool", "m", x, kernel_shape=[2, 2])
    x = b.op("AveragePool", "a", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.op("Flatten", "f", b.op("GlobalMaxPool", "g", x))
    b.gemm("y", x, 8, 4)
    return b.model()


def padded_channels() -> ModelProto:
    """A skip connection that is padded with channels of zeros."""
    b = Net()
    x = b.conv("first", "x", (6, 3, 3, 3))
    x = b.op("Pad", "padded", x, b.ints("pads", 0, 1, 0, 0, 0, 2, 0, 0))
    b.conv("y", x, (4, 9, 1, 1))
    return b.model()


def flatten(transposed: bool = True, batch: int | str = "N") -> ModelProto:
    """Each channel is a block of 6 x 5 columns."""
    b = Net()
    x = b.op("Flatten", "f", b.op("Relu", "r", b.conv("first", "x", (8, 3, 3, 3))))
    x = b.op("Relu", "r2", b.gemm("hidden", x, 240, 10, transposed))
    b.gemm("y", x, 10, 4, not transposed)
    return b.model((3, 8, 7), batch=batch)


def flatten_nhwc() -> ModelProto:
    """Channels last when flattened: column k is of channel k mod 8."""
    b = Net()
    x = b.op("Transpose", "t", b.conv("first", "x", (8, 3, 3, 3)), perm=[0, 2, 3, 1])
    x = b.op("Reshape", "f", x, b.ints("s", -1, 240))
    x = b.op("Add", "biased", b.op("MatMul", "hidden", x, b.const("hidden.w", 240, 6)), b.const("hidden.b", 6))
    x = b.op("MatMul", "last", b.op("Relu", "r", x), b.const("last.w", 6, 4))
    b.op("Softmax", "y", b.op("Add", "logits", x, b.const("last.b", 4)), axis=-1)
    return b.model((3, 8, 7))


def reshape_one_sample() -> ModelProto:
    """Batch 1, a shape written out, and back to an image."""
    b = Net()
    x = b.op("Reshape", "flat", b.conv("first", "x", (8, 3, 3, 3)), b.ints("s", 1, 288))
    x = b.op("Reshape", "image", x, b.ints("s2", 1, 8, 6, 6))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model(batch=1)


def reshape_by_batch() -> ModelProto:
    """The shape is computed from the batch, as exporters write view(x.size(0), -1)."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    size = b.op("Gather", "size", b.op("Shape", "shape", x), b.ints("zero", 0))
    b.op("Concat", "target", size, b.ints("rest", -1), axis=0)
    b.gemm("y", b.op("Reshape", "flat", x, "target"), 288, 4)
    return b.model()


def constants_per_channel() -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.op("Mul", "scaled", x, b.const("scale", 8, 1, 1))
    x = b.op("Add", "moved", b.const("shift", 1, 8, 1, 1), x)
    x = b.op("PRelu", "p", x, b.const("slope", 8, 1, 1))
    x = b.op("Sub", "less", x, b.const("map", 6, 6))
    x = b.op("Mul", "same", x, b.const("all", 1))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model()


def resize(by: str = "scales", opset: int = 17) -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    b.constants["scales"] = np.array([1, 1, 2, 2], np.float32)
    if by == "scales":
        x = b.op("Resize", "big", x, "", "scales", mode="nearest")
    else:
        x = b.op("Resize", "big", x, "", "", b.ints("sizes", 1, 8, 12, 12), mode="nearest")
    b.conv("y", x, (4, 8, 1, 1))
    return b.model(batch=1, opset=opset)


def one_dimension() -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.conv("first", "x", (8, 3, 3)))
    x = b.op("MaxPool", "m", b.conv("deep", x, (8, 1, 3), group=8), kernel_shape=[2])
    x = b.op("Squeeze", "s", b.op("GlobalAveragePool", "g", x), b.ints("axes", 2))
    b.gemm("y", x, 8, 4)
    return b.model((3, 20))


def transposed_conv() -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.op("ConvTranspose", "up", x, b.const("up.w", 8, 6, 2, 2), b.const("up.b", 6), strides=[2, 2])
    b.conv("y", x, (4, 6, 1, 1))
    return b.model()


def shared_weights() -> ModelProto:
    """One layer, applied twice in a row."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.conv("again", x, (8, 8, 1, 1))
    x = b.op("Conv", "twice", b.op("Relu", "r", x), "again.w", "again.b")
    b.conv("y", x, (4, 8, 1, 1))
    return b.model()


def sliced() -> ModelProto:
    """Rows are cut off, a column is taken: channels pass."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.op("Slice", "cut", x, b.ints("starts", 1), b.ints("ends", 5), b.ints("axes", 2))
    b.constants["at"] = np.int64(3)
    x = b.op("Gather", "column", x, "at", axis=3)
    x = b.op("Flatten", "f", x)
    b.gemm("y", x, 32, 4)
    return b.model()


def several_outputs() -> ModelProto:
    """The first layer's channels are an output; the second's are not."""
    b = Net()
    x = b.op("Relu", "features", b.conv("first", "x", (8, 3, 3, 3)))
    x = b.conv("second", x, (6, 8, 1, 1))
    b.conv("y", x, (4, 6, 1, 1))
    return b.model(outputs=("y", "features"))


def sequence() -> ModelProto:
    """Matrix products over the last of three axes."""
    b = Net()
    x = b.op("Relu", "r", b.op("Add", "biased", b.op("MatMul", "first", "x", b.const("w", 6, 8)), b.const("b", 8)))
    b.op("ReduceMean", "y", b.op("MatMul", "last", x, b.const("w2", 8, 4)), axes=[1], keepdims=0)
    return b.model((5, 6))


def sliced_channels() -> ModelProto:
    """Both halves of a layer by Slice, as exporters write chunk(); the second by bounds from the end."""
    b = Net()
    x = b.conv("first", "x", (10, 3, 3, 3))
    p = b.op("Slice", "p", x, b.ints("zero", 0), b.ints("four", 4), b.ints("axes", 1), b.ints("steps", 1))
    q = b.op("Slice", "q", x, b.ints("back", -6, 0), b.ints("ends", 2**31, 5), b.ints("both", 1, 2))
    p = b.op("Slice", "cut", p, "zero", b.ints("five", 5), b.ints("rows", 2))
    b.conv("y", b.op("Concat", "joined", q, p, axis=1), (4, 10, 1, 1))
    return b.model()


def computed_view() -> ModelProto:
    """A channel shuffle whose shapes are computed while it runs: the batch, and channels read off the tensor."""
    b = Net()
    x = b.conv("first", "x", (12, 3, 3, 3))
    shape = b.op("Shape", "shape", x)
    b.constants["one"] = np.int64(1)
    count = b.op("Gather", "count", shape, "one")
    b.constants["two"] = np.int64(2)
    half = b.op("Unsqueeze", "half", b.op("Div", "halved", count, "two"), b.ints("zero", 0))
    size = b.op("Gather", "size", shape, "zero")
    apart = b.op("Concat", "apart", size, b.ints("groups", 2), half, b.ints("area", 6, 6), axis=0)
    x = b.op("Transpose", "t", b.op("Reshape", "r", x, apart), perm=[0, 2, 1, 3, 4])
    all_ = b.op("Unsqueeze", "all", count, "zero")
    x = b.op("Reshape", "together", x, b.op("Concat", "back", size, all_, "area", axis=0))
    b.conv("y", x, (4, 12, 1, 1))
    return b.model()


def shared_shape() -> ModelProto:
    """Two branches are reshaped by one computed shape; only the first one's channels may go."""
    b = Net()
    x, z = b.conv("first", "x", (4, 3, 3, 3)), b.conv("second", "x", (4, 3, 3, 3))
    size = b.op("Gather", "size", b.op("Shape", "shape", x), b.ints("zero", 0))
    target = b.op("Concat", "target", size, b.ints("rest", 144), axis=0)
    b.gemm("y", b.op("Reshape", "r", x, target), 144, 4)
    b.op("Reshape", "features", z, target)
    return b.model(outputs=("y", "features"))
