"""Models that state what cannot be true, each with what its refusal says."""

from __future__ import annotations

from collections.abc import Callable

import model_builder as mb
import numpy as np
from changed_models import changed, i32, kernel, node, out, port, requantization, single, tensor, u8, u32

from onnxino.schema import model as s

f32 = np.float32
SEVEN = i32(1, 1, 1, 1, 1, 1, 72)
POOL = s.MaxPool2D(window=mb.window((2, 2)))

CASES: dict[str, tuple[Callable[[], s.Model], str]] = {
    # tensors
    "no dimensions": (tensor(0, shape=i32()), "tensor 0 'x': it has 0 dimensions, expected 1 to 6"),
    "seven dimensions": (tensor(0, shape=SEVEN), "tensor 0 'x': it has 7 dimensions, expected 1 to 6"),
    "dimension 0": (
        tensor(0, shape=i32(0, 6, 6, 2)),
        "tensor 0 'x': its shape is [0, 6, 6, 2], expected dimensions of 1",
    ),
    "negative dimension": (tensor(0, shape=i32(-1, 6, 6, 2)), "expected dimensions of 1 or more"),
    "2^31 elements": (tensor(0, shape=i32(1 << 16, 1 << 15)), "has 2147483648 elements, expected < 2^31"),
    "perm repeats": (
        tensor(0, perm=u8(0, 1, 1, 2)),
        "tensor 0 'x': its perm is [0, 1, 1, 2], expected an order of 4 axes",
    ),
    "perm too short": (tensor(0, perm=u8(0, 1)), "its perm is [0, 1], expected an order of 4 axes"),
    "no type": (tensor(0, type=s.ElementType.Unset), "tensor 0 'x': its type is not set"),
    "scale 0": (tensor(1, scale=0.0), "tensor 1 'conv': its scale is 0.0, expected finite and above 0"),
    "scale infinite": (tensor(1, scale=float("inf")), "its scale is inf"),
    "scale NaN": (tensor(1, scale=float("nan")), "its scale is nan"),
    "constant and alias": (tensor(9, alias_of=7), "tensor 9 'constant': it is a constant and an alias"),
    "constant of wrong size": (tensor(9, data=u8(1, 2)), "tensor 9 'constant': it holds 2 bytes, its shape needs 5"),
    "alias of itself": (tensor(6, alias_of=6), "tensor 6 'flat': it is an alias of tensor 6, expected an earlier one"),
    "alias of a later one": (tensor(6, alias_of=7), "it is an alias of tensor 7, expected an earlier one"),
    "alias -2": (tensor(6, alias_of=-2), "tensor 6 'flat': it is an alias of tensor -2"),
    "alias of an alias": (
        changed(lambda m: [setattr(m.tensors[7], "shape", i32(1, 16)), setattr(m.tensors[7], "alias_of", 6)]),
        "it is an alias of tensor 6 'flat', which is an alias itself",
    ),
    "alias of a constant": (
        tensor(10, alias_of=9),
        "tensor 10 'y': it is an alias of tensor 9 'constant', which is a constant",
    ),
    "alias of other size": (tensor(6, shape=i32(1, 15)), "of tensor 5 'concat', which has 16 bytes, not 15"),
    "alias elsewhere": (tensor(6, offset=0), "of tensor 5 'concat', which lies at 64, not 0"),
    "unaligned": (tensor(3, offset=33), "tensor 3 'max': it lies at 33, expected a multiple of 16"),
    "outside of the arena": (tensor(1, offset=96), "tensor 1 'conv': it ends at byte 168, the arena has 152"),
    # ports
    "no inputs": (changed(lambda m: m.inputs.clear()), "the model has no inputs"),
    "no outputs": (changed(lambda m: m.outputs.clear()), "the model has no outputs"),
    "input names no tensor": (port(tensor=11), "input 'in': it names tensor 11 of 11"),
    "output names no tensor": (out(tensor=99), "output 'out': it names tensor 99 of 11"),
    "input is a constant": (port(tensor=9), "input 'in': its tensor 'constant' is a constant"),
    "port type": (port(type=s.ElementType.Int32), "input 'in': its type is Int32, expected Int8, UInt8 or Float32"),
    "port dimension": (port(shape=i32(-2, 6, 6, 2)), "its shape is [-2, 6, 6, 2], expected 1 or more, or -1"),
    "port elements": (port(shape=i32(-1, 6, 6, 3)), "its shape [-1, 6, 6, 3] has 108 elements, its tensor 'x' 72"),
    "port of seven dimensions": (port(shape=i32(-1, 1, 1, 1, 1, 1, 72)), "it has 7 dimensions, expected up to 6"),
    "dimension names": (port(dimension_names=["N"]), "input 'in': it has 1 dimension names, expected 4"),
    "port perm": (out(perm=u8(1, 1)), "output 'out': its perm is [1, 1], expected an order of 2 axes"),
    "port on int16": (
        changed(lambda m: [setattr(m.tensors[0], "type", s.ElementType.Int16), setattr(m, "arena_size", 160)]),
        "input 'in': its tensor 'x' is Int16, expected Int8",
    ),
    "one tensor for two inputs": (
        changed(lambda m: m.inputs.append(mb.port("again", 0, [1, 72]))),
        "input 'again' is written twice: tensor 'x'",
    ),
    # order
    "reads what is written later": (
        node(1, inputs=u32(2)),
        "operator 1 'node1' (DepthwiseConv2D): it reads tensor 'depthwise', which nothing has written",
    ),
    "writes twice": (node(3, outputs=u32(3)), "it writes tensor 'max', which is written already"),
    "writes an input": (node(0, outputs=u32(0)), "it writes tensor 'x', which is written already"),
    "writes a constant": (node(7, outputs=u32(9)), "it writes tensor 'constant', which is written already"),
    "output that nobody writes": (
        changed(lambda m: m.operators.pop()),
        "output 'out' is never written",
    ),
    "operator names no tensor": (node(0, inputs=u32(44)), "operator 0 'node0' (Conv2D): it names tensor 44 of 11"),
    # operands
    "two inputs": (node(0, inputs=u32(0, 0)), "operator 0 'node0' (Conv2D): it has 2 inputs, expected 1"),
    "one input": (node(7, inputs=u32(8)), "operator 7 'node7' (Add): it has 1 inputs, expected 2"),
    "no input of Concat": (node(4, inputs=u32()), "operator 4 'node4' (Concat): it has no inputs"),
    "no output": (node(2, outputs=u32()), "operator 2 'node2' (MaxPool2D): it has 0 outputs, expected 1"),
    "int16": (
        changed(lambda m: setattr(m.tensors[3], "type", s.ElementType.Int16)),
        "operator 2 'node2' (MaxPool2D): tensor 'max' is Int16, expected Int8",
    ),
    "no image": (
        single(POOL, [[1, 6, 6]], [1, 3, 3]),
        "tensor 'x0' has shape [1, 6, 6], expected 4 dimensions [N, H, W, C]",
    ),
    "other number of images": (single(POOL, [[1, 3, 3, 1]], [2, 2, 2, 1]), "the output has 2 images, the input 1"),
    "other channels": (single(POOL, [[1, 3, 3, 1]], [1, 2, 2, 2]), "the output has 2 channels, the input 1"),
    # windows
    "kernel 0": (kernel(0, window=mb.window((0, 3))), "window.kernel_h is 0, expected 1 or more"),
    "stride 0": (kernel(2, window=mb.window((2, 2), (1, 0))), "window.stride_w is 0, expected 1 or more"),
    "dilation 0": (kernel(2, window=mb.window((2, 2), dilations=(0, 1))), "window.dilation_h is 0, expected 1 or more"),
    "window beyond the image": (
        kernel(2, window=mb.window((4, 2))),
        "the window is larger than the padded image (3) along h",
    ),
    "other height": (
        kernel(0, window=mb.window((3, 3), pads=(0, 1, 1, 1))),
        "the output has size 6 along h, expected 5",
    ),
    "other width": (
        kernel(0, window=mb.window((3, 3), pads=(1, 1, 1, 2))),
        "the output has size 6 along w, expected 7",
    ),
    "pool rounded twice": (
        single(s.MaxPool2D(window=mb.window((2, 2), (2, 2))), [[1, 5, 5, 1]], [1, 4, 3, 1]),
        "the output has size 4 along h, expected 2 or 3",
    ),
    "pool in the padding": (
        single(s.MaxPool2D(window=mb.window((2, 2), pads=(2, 0, 0, 0))), [[1, 3, 3, 1]], [1, 4, 2, 1]),
        "a window along h lies outside of the image",
    ),
    "pool after the image": (
        single(s.MaxPool2D(window=mb.window((2, 1), pads=(0, 0, 3, 0))), [[1, 3, 3, 1]], [1, 5, 3, 1]),
        "a window along h lies outside of the image",
    ),
    "dilated pool steps over the image": (
        single(
            s.MaxPool2D(window=mb.window((1, 2), pads=(0, 1, 0, 1), dilations=(1, 2))), [[1, 1, 1, 1]], [1, 1, 1, 1]
        ),
        "a window along w lies outside of the image",
    ),
    "padded image of 2^31": (
        single(
            s.MaxPool2D(window=mb.window((1, 1), (1, 1), (0, 0, 0, 0))), [[1, 2146435073, 1, 1]], [1, 2146435073, 1, 1]
        ),
        "the padded image has size 2146435073 along h, expected 2146435072 or less",
    ),
    # weights
    "group 0": (kernel(0, group=0), "group is 0, expected a divisor of 2 input and 2 output channels"),
    "group 3": (kernel(0, group=3), "group is 3, expected a divisor of 2 input and 2 output channels"),
    "multiplier 2": (kernel(1, multiplier=2), "the output has 2 channels, expected 2 x multiplier 2"),
    "multiplier 0": (kernel(1, multiplier=0), "the output has 2 channels, expected 2 x multiplier 0"),
    "layout": (
        kernel(0, weights=mb.weights(s.WeightLayout.HWC, np.ones(36))),
        "weights have layout HWC, expected OHWI",
    ),
    "weight type": (
        kernel(0, weights=s.Weights(layout=s.WeightLayout.OHWI, type=s.ElementType.UInt8, data=np.ones(36, np.uint8))),
        "weights are UInt8, expected Int8",
    ),
    "number of weights": (
        kernel(0, weights=mb.weights(s.WeightLayout.OHWI, np.ones(35))),
        "weights has 35 values, expected 36",
    ),
    "depthwise weights": (
        kernel(1, weights=mb.weights(s.WeightLayout.HWC, np.ones(17))),
        "weights has 17 values, expected 18",
    ),
    "bias": (kernel(0, bias=i32(1)), "bias has 1 values, expected 2"),
    "depthwise bias": (kernel(1, bias=i32(1, 2, 3)), "bias has 3 values, expected 2"),
    "dense without bias": (kernel(5, bias=i32()), "operator 5 'node5' (FullyConnected): bias is empty"),
    "dense weights": (
        kernel(5, weights=mb.weights(s.WeightLayout.OHWI, np.ones(81))),
        "weights have 81 values, expected a multiple of 5 (bias)",
    ),
    "dense depth": (
        kernel(5, weights=mb.weights(s.WeightLayout.OHWI, np.ones(35))),
        "the input has 16 values, expected a multiple of 7 (weights per unit)",
    ),
    "dense rows": (
        kernel(5, weights=mb.weights(s.WeightLayout.OHWI, np.ones(40))),
        "the output has 5 values, expected 10 (2 rows of 5 units)",
    ),
    # numbers
    "scales": (
        requantization(0, scale=np.ones(3, f32)),
        "requantization.scale has 3 values, expected 1 or 2 (output channels)",
    ),
    "scale below 0": (
        requantization(1, scale=np.array([1, -1], f32)),
        "requantization.scale holds a value that is not finite and above 0",
    ),
    "scale is NaN": (
        requantization(5, scale=np.array([np.nan], f32)),
        "requantization.scale holds a value that is not",
    ),
    "clamp": (
        requantization(0, minimum=5, maximum=4),
        "its clamp begins at 5 and ends at 4, expected minimum <= maximum",
    ),
    "Add's clamp": (kernel(7, minimum=1, maximum=0), "its clamp begins at 1 and ends at 0"),
    "Add's scale": (kernel(7, scale_a=0.0), "scale_a is 0.0, expected a finite number above 0"),
    "Add's constant": (kernel(7, constant=float("inf")), "constant is inf, expected a finite number"),
    "Add's domain": (kernel(7, domain_offset=1), "domain_offset is 1, expected 0 or 128"),
    "Add's shapes": (
        tensor(9, shape=i32(2), data=u8(1, 2)),
        "the inputs have shapes [1, 5] and [2], which do not broadcast",
    ),
    "Add's output": (
        single(s.Add(scale_a=1.0, scale_b=1.0), [[1, 5], [3, 1]], [1, 5]),
        "tensor 'y' has shape [1, 5], expected [3, 5]",
    ),
    "Mul's scale": (
        single(s.Mul(scale=float("nan")), [[5], [5]], [5]),
        "operator 0 'node' (Mul): scale is nan, expected a finite number above 0",
    ),
    "Mul's domain": (single(s.Mul(scale=1.0, domain_offset=-128), [[5], [5]], [5]), "domain_offset is -128"),
    "average's scale": (kernel(3, output_scale=-1.0), "output_scale is -1.0, expected a finite number above 0"),
    "average's domain": (kernel(3, domain_offset=127), "domain_offset is 127, expected 0 or 128"),
    "mean's shape": (
        single(s.Mean2D(requantization=mb.requantization(1, 0)), [[1, 2, 2, 3]], [1, 3]),
        "tensor 'y' has shape [1, 3], expected [1, 1, 1, 3]",
    ),
    "mean's scales": (
        single(s.Mean2D(requantization=mb.requantization([1, 1, 1], 0)), [[1, 2, 2, 3]], [1, 1, 1, 3]),
        "requantization.scale has 3 values, expected 1 or 1",
    ),
    "softmax table": (
        single(s.Softmax(table=np.ones(255, f32), factor=1.0), [[1, 3]], [1, 3]),
        "table has 255 values, expected 256",
    ),
    "softmax table is 0": (
        single(s.Softmax(table=np.zeros(256, f32), factor=1.0), [[1, 3]], [1, 3]),
        "table holds a value that is not finite and 0 or above, or its last is 0",
    ),
    "softmax factor": (
        single(s.Softmax(table=np.ones(256, f32), factor=0.0), [[1, 3]], [1, 3]),
        "factor is 0.0, expected a finite number above 0",
    ),
    "softmax shape": (
        single(s.Softmax(table=np.ones(256, f32), factor=1.0), [[1, 3]], [3, 1]),
        "tensor 'y' has shape [3, 1], expected [1, 3]",
    ),
    "lookup table": (kernel(6, table=np.zeros(8, np.int8)), "table has 8 values, expected 256"),
    "lookup shape": (tensor(8, shape=i32(1, 4)), "tensor 'looked' has shape [1, 4], expected [1, 5]"),
    "concat axis": (kernel(4, axis=4), "axis is 4, expected less than 4 (dimensions of the output)"),
    "concat input": (
        single(s.Concat(axis=1), [[1, 2, 3], [1, 2, 4]], [1, 4, 3]),
        "tensor 'x1' has shape [1, 2, 4], expected [1, 2, 3]",
    ),
    "concat rank": (
        single(s.Concat(axis=2), [[1, 2, 3], [1, 2]], [1, 2, 5]),
        "tensor 'x1' has shape [1, 2], expected [1, 2, 0]",
    ),
    "concat output": (
        single(s.Concat(axis=1), [[1, 2, 3], [1, 2, 3]], [1, 5, 3]),
        "tensor 'y' has shape [1, 5, 3], expected [1, 4, 3]",
    ),
    "transpose perm": (
        single(s.Transpose(perm=u8(0, 0)), [[2, 3]], [2, 2]),
        "perm is [0, 0], expected an order of 2 axes",
    ),
    "transpose rank": (single(s.Transpose(perm=u8(1, 0, 2)), [[2, 3]], [3, 2]), "expected an order of 2 axes"),
    "transpose shape": (
        single(s.Transpose(perm=u8(1, 0)), [[2, 3]], [2, 3]),
        "tensor 'y' has shape [2, 3], expected [3, 2]",
    ),
    # memory plan
    "arena too large": (
        changed(lambda m: setattr(m, "arena_size", 168)),
        "the arena has 168 bytes, its highest tensor ends at 152",
    ),
    "overlap of input and output": (
        tensor(2, offset=80),
        "tensors 'conv' and 'depthwise' share bytes of the arena while both are in use",
    ),
    "overlap with one that is needed later": (
        tensor(3, offset=0),
        "tensors 'depthwise' and 'max' share bytes of the arena while both are in use",
    ),
    "scratch outside": (
        node(0, scratch_size=16, scratch_offset=144),
        "operator 0 'node0' (Conv2D): its scratch ends at byte 160, the arena has 152",
    ),
    "scratch unaligned": (
        node(0, scratch_size=8, scratch_offset=8),
        "its scratch lies at 8, expected a multiple of 16",
    ),
    "scratch over an operand": (
        node(5, scratch_size=16, scratch_offset=64),
        "the scratch of operator 5 'node5' shares bytes with tensor 'concat'",
    ),
    "scratch over one that waits": (
        node(2, scratch_size=16, scratch_offset=0),
        "the scratch of operator 2 'node2' shares bytes with tensor 'depthwise'",
    ),
    "in place, but needed later": (
        changed(lambda m: setattr(m.operators[7], "inputs", u32(8, 7))),
        "tensors 'dense' and 'looked' share bytes of the arena while both are in use",
    ),
    "in place, but broadcast": (tensor(10, offset=0), "tensors 'looked' and 'y' share bytes"),
}
