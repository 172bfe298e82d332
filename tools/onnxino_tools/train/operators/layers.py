"""Operators with weights: convolutions, dense layers, normalization; and Dropout."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from onnxino_tools.train.operators.node import Make, Node, Run, Step, Tensors, at, need
from onnxino_tools.train.operators.windows import Windows, flat

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_MOMENTUM = 0.1  # share of the new batch in a running mean; torch's default, ONNX's 0.9


def _conv(node: Node) -> Step:
    groups = node.get("group", 1)

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, weight, bias = need(inputs[0]), need(inputs[1]), at(inputs, 2)
        windows = Windows.of(node, weight.shape[2:])
        begin, end = windows.padding(value.shape[2:])
        if begin != end:
            value = functional.pad(value, flat(begin, end))
            begin = [0] * len(begin)
        convolve = _CONVOLUTIONS[weight.dim() - 2]
        return convolve(value, weight, bias, windows.strides, tuple(begin), windows.dilations, groups)

    return step


def _conv_transpose(node: Node) -> Step:
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.get("output_shape"):
        raise node.refusal("it takes its paddings from the size of its output", "explicit pads, without output_shape")
    groups = node.get("group", 1)

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, weight, bias = need(inputs[0]), need(inputs[1]), at(inputs, 2)
        windows = Windows.of(node, weight.shape[2:])
        begin, end = windows.padding(value.shape[2:])
        extra = tuple(node.get("output_padding", (0,) * len(begin)))
        same = begin == end
        pads = tuple(begin) if same else (0,) * len(begin)
        convolve = _TRANSPOSED[weight.dim() - 2]
        result = convolve(value, weight, bias, windows.strides, pads, extra, groups, windows.dilations)
        return result if same else functional.pad(result, [-side for side in flat(begin, end)])

    return step


def _gemm(node: Node) -> Step:
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    turn_a, turn_b = bool(node.get("transA", 0)), bool(node.get("transB", 0))

    def step(inputs: Tensors, run: Run) -> Tensor:
        a, b, c = need(inputs[0]), need(inputs[1]), at(inputs, 2)
        product = (a.t() if turn_a else a) @ (b.t() if turn_b else b)
        product = product if alpha == 1.0 else product * alpha
        if c is None:
            return product
        return product + (c if beta == 1.0 else c * beta)

    return step


def _mat_mul(_: Node) -> Step:
    return lambda inputs, run: torch.matmul(need(inputs[0]), need(inputs[1]))


def _batch_normalization(node: Node) -> Step:
    if len([name for name in node.proto.output if name]) > 1 or node.get("training_mode", 0):
        raise node.refusal("it is in training mode", "models exported for inference")
    if node.opset < 9 and not node.get("spatial", 1):
        raise node.refusal("it normalizes each place for itself (spatial = 0)", "spatial = 1")
    epsilon = float(node.get("epsilon", 1e-5))
    kept = float(node.get("momentum", 0.9))  # ONNX: of the running value; torch: of the batch
    momentum = 1.0 - kept if 0.0 < kept < 1.0 else _MOMENTUM  # 0 and 1 are what exports for inference may say

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, scale, shift, mean, variance = (need(tensor) for tensor in inputs[:5])
        return functional.batch_norm(value, mean, variance, scale, shift, run.training, momentum, epsilon)

    return step


def _dropout(node: Node) -> Step:
    if len([name for name in node.proto.output if name]) > 1:
        raise node.refusal("its mask is used", "Dropout without its second output")
    ratio = node.get("ratio", 0.5)

    def step(inputs: Tensors, run: Run) -> Tensor:
        given = at(inputs, 1)
        share = ratio if given is None else float(given)
        return functional.dropout(need(inputs[0]), share, run.training)

    return step


LAYERS: dict[str, Make] = {
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dropout": _dropout,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
}
