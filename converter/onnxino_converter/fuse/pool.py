"""AveragePool, GlobalAveragePool and ReduceMean between DQ and Q."""

from __future__ import annotations

from onnxino.schema.model import Exactness
from onnxino_converter.fuse.operands import Pattern
from onnxino_converter.fuse.softmax import clamp_after
from onnxino_converter.importer.spatial import Window
from onnxino_converter.ir import Node, Quantization, Shape, Value
from onnxino_converter.quantized import AveragePoolSpec, MeanSpec


def fuse_average_pool(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x = pattern.activation(node.input(0))
    result, after = clamp_after(pattern)
    domain, exactness = pattern.arithmetic([x], "any")
    pattern.check_reach(255 * float(x.scale[0]) / pattern.y.scale, exactness)
    made = average_pool_node(node, x.value, x.quantization(node), pattern.y, result, domain, exactness)
    return [made, *after]


def average_pool_node(
    node: Node, x: Value, xq: Quantization, yq: Quantization, result: Value, domain: int, exactness: Exactness
) -> Node:
    result.quantization = yq
    window: Window = node.attributes["window"]
    if covers_image(window, x.shape) and exactness == Exactness.Exact:  # the integer formula of GlobalAveragePool
        return Node("Mean", node.name, [x], [result], spec=MeanSpec((2, 3), xq, yq, exactness))
    if exactness == Exactness.Step:  # float32 there, which adds the zero point after rounding, as where it is 0
        domain = 0 if yq.device_zero_point == 0 else 128
    if exactness == Exactness.Exact and node.attributes["include_pad"]:
        window = counting_whole_windows(window, x.shape[2:], result.shape[2:])
    spec = AveragePoolSpec(window, node.attributes["include_pad"], xq, yq, domain, exactness)
    return Node("AveragePool", node.name, [x], [result], spec=spec)


def whole_image(shape: Shape) -> Window:
    return Window((shape[2], shape[3]), (1, 1), (1, 1), (0, 0, 0, 0))


def counting_whole_windows(window: Window, size: Shape, output: Shape) -> Window:
    """QLinearAveragePool counts what ceil_mode adds beyond the padding like padding, unlike AveragePool in float32."""
    top, left, bottom, right = window.pads
    need = [
        (output[i] - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1 - size[i] for i in (0, 1)
    ]
    pads = (top, left, max(bottom, need[0] - top), max(right, need[1] - left))
    return Window(window.kernel, window.strides, window.dilations, pads)


def covers_image(window: Window, shape: Shape) -> bool:
    """Whether one window is the whole image [N, C, H, W], without padding."""
    return window.kernel == shape[2:] and not any(window.pads) and window.dilations == (1, 1)


def fuse_global_average_pool(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x = pattern.activation(node.input(0))
    domain, exactness = pattern.arithmetic([x], "any")
    pattern.check_reach(255 * float(x.scale[0]) / pattern.y.scale, exactness)
    result, after = clamp_after(pattern)
    node.attributes["window"] = whole_image(x.value.shape)
    node.attributes["include_pad"] = False
    return [average_pool_node(node, x.value, x.quantization(node), pattern.y, result, domain, exactness), *after]


def fuse_reduce_mean(pattern: Pattern) -> list[Node]:
    node = pattern.head
    x = pattern.activation(node.input(0))
    pattern.check_reach(255 * float(x.scale[0]) / pattern.y.scale, Exactness.Step)
    result, after = clamp_after(pattern)
    result.quantization = pattern.y
    spec = MeanSpec(node.attributes["axes"], x.quantization(node), pattern.y, Exactness.Step)  # float32 there
    return [Node("Mean", node.name, [x.value], [result], spec=spec), *after]


def scaled_mean(pattern: Pattern) -> list[Node] | None:
    """A mean over the image times a constant above 0, as AMD Quark writes it; None where the Mul is something else."""
    a, b = pattern.head.input(0), pattern.head.input(1)
    for product, constant in ((a, b), (b, a)):
        node = pattern.producers.get(product)
        if node is None or node.op not in ("GlobalAveragePool", "ReduceMean") or constant.constant is None:
            continue
        x = pattern.operand(node.input(0))
        if x is None or x.constant is not None or constant.constant.size != 1:
            continue
        factor = float(constant.constant.ravel()[0])
        if not 0 < factor < float("inf") or product.shape != pattern.head.output.shape:
            continue
        result, after = clamp_after(pattern)
        result.quantization = pattern.y
        axes = node.attributes.get("axes", (2, 3))
        spec = MeanSpec(axes, x.quantization(node), pattern.y, Exactness.Step, factor)
        return [Node("Mean", node.name, [x.value], [result], spec=spec), *after]
    return None
