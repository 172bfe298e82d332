"""Small float networks, one for each construct that channels have to pass; and how many channels half of them are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, shape_inference

from tests.quantize.float_nets import net, node

LONG = np.int64


class Net:
    """A network under construction: weights by their shapes, nodes named by their outputs."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}

    def const(self, name: str, *shape: int) -> str:
        """Evenly spread over -1.7 .. 1.7 (variance 1) in random order, so that no two are alike."""
        size = int(np.prod(shape))
        spread = (self.random.permutation(size) + self.random.random()) / size
        self.constants[name] = ((spread - 0.5) * np.sqrt(12.0)).reshape(shape).astype(np.float32)
        return name

    def ints(self, name: str, *values: int) -> str:
        self.constants[name] = np.array(values, LONG)
        return name

    def op(self, kind: str, output: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        self.nodes.append(node(kind, list(inputs), list(outputs) or [output], name=output, **attributes))
        return output

    def conv(self, output: str, x: str, shape: tuple[int, ...], **attributes: Any) -> str:
        weights, bias = self.const(f"{output}.w", *shape), self.const(f"{output}.b", shape[0])
        return self.op("Conv", output, x, weights, bias, **attributes)

    def norm(self, output: str, x: str, channels: int) -> str:
        names = [self.const(f"{output}.{part}", channels) for part in ("gamma", "beta", "mean", "variance")]
        self.constants[names[3]] = np.abs(self.constants[names[3]]) + np.float32(0.1)
        return self.op("BatchNormalization", output, x, *names)

    def gemm(self, output: str, x: str, inputs: int, outputs: int, transposed: bool = True) -> str:
        shape = (outputs, inputs) if transposed else (inputs, outputs)
        weights, bias = self.const(f"{output}.w", *shape), self.const(f"{output}.b", outputs)
        return self.op("Gemm", output, x, weights, bias, transB=int(transposed))

    def model(self, shape: Sequence[int] = (3, 8, 8), **options: Any) -> ModelProto:
        """With one input x [batch, *shape]; the shapes of outputs are those that onnx infers."""
        model = net(self.nodes, self.constants, shape, **options)
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        del model.graph.output[:]
        model.graph.output.extend(inferred.graph.output)
        return model


def plain(*kinds: str, **options: Any) -> ModelProto:
    """Conv of 8 channels, operators of one operand, Conv."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    for k, kind in enumerate(kinds):
        x = b.op(kind, f"u{k}", x)
    b.conv("y", x, (4, 8, 1, 1))
    return b.model(**options)


def norms() -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    x = b.norm("n2", b.conv("second", x, (6, 8, 3, 3)), 6)
    b.gemm("y", b.op("Flatten", "f", b.op("GlobalAveragePool", "g", x)), 6, 4)
    return b.model()


def depthwise(multiplier: int = 1) -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    x = b.op("Relu", "r2", b.norm("n2", b.conv("deep", x, (8 * multiplier, 1, 3, 3), group=8), 8 * multiplier))
    b.conv("y", x, (4, 8 * multiplier, 1, 1))
    return b.model()


def depthwise_of_input() -> ModelProto:
    b = Net()
    x = b.conv("deep", "x", (6, 1, 3, 3), group=3)
    x = b.conv("point", x, (8, 6, 1, 1))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model()


def grouped() -> ModelProto:
    """Two groups: 8 -> 12 channels."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.conv("pairs", b.op("Relu", "r", x), (12, 4, 3, 3), group=2)
    b.conv("y", b.op("Relu", "r2", x), (4, 12, 1, 1))
    return b.model()


def one_output_each() -> ModelProto:
    """Groups of two inputs and one output."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    x = b.conv("pairs", b.op("Relu", "r", x), (4, 2, 3, 3), group=4)
    b.conv("y", x, (4, 4, 1, 1))
    return b.model()


def residual(kind: str = "Add") -> ModelProto:
    b = Net()
    x = b.op("Relu", "r", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    y = b.op("Relu", "r2", b.norm("n2", b.conv("inner", x, (6, 8, 3, 3), pads=[1, 1, 1, 1]), 6))
    y = b.norm("n3", b.conv("outer", y, (8, 6, 3, 3), pads=[1, 1, 1, 1]), 8)
    x = b.op("Relu", "r3", b.op(kind, "sum", x, y))
    b.conv("y", x, (4, 8, 1, 1))
    return b.model()


def squeeze_and_excite(last: str = "HardSigmoid") -> ModelProto:
    b = Net()
    x = b.op("HardSwish", "act", b.norm("n", b.conv("first", "x", (8, 3, 3, 3)), 8))
    s = b.op("Relu", "r", b.conv("reduce", b.op("GlobalAveragePool", "g", x), (4, 8, 1, 1)))
    s = b.op(last, "gate", b.conv("expand", s, (8, 4, 1, 1)))
    b.conv("y", b.op("Mul", "scaled", x, s), (4, 8, 1, 1))
    return b.model()


def squeeze_by_gemm() -> ModelProto:
    """As above, by matrix products on [N, C] and back to [N, C, 1, 1]."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    s = b.op("ReduceMean", "mean", x, axes=[2, 3], keepdims=0)
    s = b.op("Relu", "r", b.gemm("reduce", s, 8, 4))
    s = b.op("Sigmoid", "gate", b.gemm("expand", s, 4, 8, transposed=False))
    s = b.op("Unsqueeze", "back", s, b.ints("axes", 2, 3))
    b.conv("y", b.op("Mul", "scaled", s, x), (4, 8, 1, 1))
    return b.model()


def spatial_attention() -> ModelProto:
    """A map of one channel scales eight."""
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3))
    a = b.op("Sigmoid", "gate", b.conv("map", x, (1, 8, 1, 1)))
    b.conv("y", b.op("Mul", "scaled", x, a), (4, 8, 1, 1))
    return b.model()


def concat() -> ModelProto:
    """Two branches and the first of them again; behind it a normalization whose parameters lie at offsets."""
    b = Net()
    left = b.op("Relu", "r", b.conv("left", "x", (6, 3, 3, 3)))
    right = b.op("Relu", "r2", b.conv("right", "x", (4, 3, 3, 3)))
    x = b.norm("n", b.op("Concat", "joined", left, right, left, axis=1), 16)
    b.conv("y", x, (4, 16, 1, 1))
    return b.model()


def concat_with_input() -> ModelProto:
    b = Net()
    x = b.conv("first", "x", (8, 3, 3, 3), pads=[1, 1, 1, 1])
    x = b.norm("n", b.op("Concat", "joined", "x", x, axis=1), 11)
    b.conv("y", x, (4, 11, 1, 1))
    return b.model()


def concat_and_add() -> ModelProto:
    """A sum of a Concat and a layer: the layer's channels fall into two groups."""
    b = Net()
    left, right = b.conv("left", "x", (6, 3, 3, 3)), b.conv("right", "x", (4, 3, 3, 3))
    x = b.op("Add", "sum", b.op("Concat", "joined", left, right, axis=1), b.conv("whole", "x", (10, 3, 3, 3)))
    b.conv("y", b.op("Relu", "r", x), (4, 10, 1, 1))
    return b.model()


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


# name -> (model, layer -> channels left of one half, what the oracle may zero). Where zero does not stay zero (Sigmoid,
# padding by ones), only what reads the channels can be zeroed.
BOTH, READERS = ("makers", "readers"), ("readers",)
NETS: dict[str, tuple[ModelProto, dict[str, int], tuple[str, ...]]] = {
    "plain": (plain("Relu"), {"first": 4}, BOTH),
    "unary": (plain("HardSwish", "LeakyRelu", "Tanh", "Abs", "Identity", "Dropout", "Clip"), {"first": 4}, BOTH),
    "unary away from zero": (plain("Sigmoid", "Exp"), {"first": 4}, READERS),
    "norms": (norms(), {"first": 4, "second": 3}, BOTH),
    "depthwise": (depthwise(), {"first": 4, "deep": 4}, BOTH),
    "depth multiplier": (depthwise(2), {"first": 4, "deep": 8}, BOTH),
    "depthwise of the input": (depthwise_of_input(), {"point": 4}, BOTH),
    "grouped": (grouped(), {"first": 4, "pairs": 6}, BOTH),
    "one output each": (one_output_each(), {"first": 4, "pairs": 2}, BOTH),
    "residual Add": (residual("Add"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "residual Sub": (residual("Sub"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "residual Mul": (residual("Mul"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "residual Max": (residual("Max"), {"first": 4, "inner": 3, "outer": 4}, BOTH),
    "squeeze": (squeeze_and_excite(), {"first": 4, "reduce": 2, "expand": 4}, BOTH),
    "squeeze by Gemm": (squeeze_by_gemm(), {"first": 4, "reduce": 2, "expand": 4}, BOTH),
    "spatial attention": (spatial_attention(), {"first": 4}, BOTH),
    "Concat": (concat(), {"left": 3, "right": 2}, BOTH),
    "Concat with the input": (concat_with_input(), {"first": 4}, BOTH),
    "Concat and Add": (concat_and_add(), {"left": 3, "right": 2, "whole": 5}, BOTH),
    "Split": (split(), {"first": 5, "inner": 3}, BOTH),
    "Split evenly": (split_evenly(), {"first": 4}, BOTH),
    "Split evenly, opset 13": (split_evenly(13), {"first": 4}, BOTH),
    "shuffle": (shuffle(), {"first": 4, "pairs": 6}, BOTH),
    "pads and pools": (pads_and_pools(), {"first": 4}, BOTH),
    "padded channels": (padded_channels(), {"first": 3}, BOTH),
    "Flatten, transB": (flatten(), {"first": 4, "hidden": 5}, BOTH),
    "Flatten": (flatten(False), {"first": 4, "hidden": 5}, BOTH),
    "Flatten, batch 2": (flatten(batch=2), {"first": 4, "hidden": 5}, BOTH),
    "Flatten NHWC": (flatten_nhwc(), {"first": 4, "hidden": 3}, BOTH),
    "Reshape of one sample": (reshape_one_sample(), {"first": 4}, BOTH),
    "Reshape by the batch": (reshape_by_batch(), {"first": 4}, BOTH),
    "constants": (constants_per_channel(), {"first": 4}, READERS),
    "Resize by scales": (resize(), {"first": 4}, BOTH),
    "Resize by sizes": (resize("sizes"), {"first": 4}, BOTH),
    "one dimension": (one_dimension(), {"first": 4, "deep": 4}, BOTH),
    "ConvTranspose": (transposed_conv(), {"first": 4, "up": 3}, BOTH),
    "shared weights": (shared_weights(), {"first": 4, "again": 4, "twice": 4}, BOTH),
    "Slice and Gather": (sliced(), {"first": 4}, BOTH),
    "several outputs": (several_outputs(), {"second": 3}, BOTH),
    "sequence": (sequence(), {"first": 4}, BOTH),
}
