"""The quirks of exporters against ONNX Runtime, operator by operator, and what is promised beside movements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import check
from onnx_net import Net
from quirks import I64, QUIRKS, X, Y, conv

from onnxino.schema.model import Exactness, Model
from onnxino_tools.verify.oracle import Oracle

LEVELS = [Exactness.Exact, Exactness.Table, Exactness.Step, Exactness.Float]


def _weakest(model: Model) -> Exactness:
    return max((operator.exactness for operator in model.operators), key=LEVELS.index)


@pytest.mark.parametrize("ports", ["float", "quantized"])
@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize("name", QUIRKS)
def test_quirk(name: str, unsigned: bool, ports: str) -> None:
    build, least = QUIRKS[name]
    net = Net(unsigned=unsigned, ports=ports)
    build(net)
    loaded = check(net.model(), 6)
    if ports == "quantized" and not unsigned:  # ONNX Runtime has no integer kernels for int8 that is not from a Q
        least = max(least, Exactness.Step, key=LEVELS.index)
    assert LEVELS.index(_weakest(loaded)) <= LEVELS.index(least)


def _move(kind: str, *inputs: Any, **attributes: Any) -> Callable[[Net, str], str]:
    def build(net: Net, x: str) -> str:
        constants = [v if isinstance(v, np.ndarray) else np.asarray(v, I64) for v in inputs if v is not None]
        names = iter([net.const(array) for array in constants])
        return net.op(kind, [x, *("" if v is None else next(names) for v in inputs)], **attributes)

    return build


# movements of an image [1, 3, 6, 6]
MOVEMENTS: dict[str, Callable[[Net, str], str]] = {
    "Slice": _move("Slice", [0], [4], [2]),
    "Gather": _move("Gather", [0, 2, 1, 3], axis=2),
    "Resize": _move("Resize", None, np.float32([1, 1, 2, 2]), mode="nearest"),
    "Pad": _move("Pad", [0, 0, 1, 1, 0, 0, 1, 1]),
    "Pad edge": _move("Pad", [0, 0, 1, 1, 0, 0, 1, 1], mode="edge"),
    "Pad with a value": _move("Pad", [0, 0, 1, 1, 0, 0, 1, 1], np.asarray(0.04, np.float32)),
    "Expand": lambda net, x: _move("Expand", [1, 1, 6, 1])(net, _move("Slice", [0], [1], [2])(net, x)),
    "Tile": _move("Tile", [1, 1, 2, 1]),
    "SpaceToDepth": _move("SpaceToDepth", blocksize=2),
    "Reshape": _move("Reshape", [1, 3, 4, 9]),
    "Flatten, Reshape": lambda net, x: _move("Reshape", [1, 3, 4, 9])(net, net.op("Flatten", [x])),
    "Transpose": _move("Transpose", perm=[0, 1, 3, 2]),
    "Squeeze, Unsqueeze": lambda net, x: _move("Unsqueeze", [0])(net, _move("Squeeze", [0])(net, x)),
    "MaxPool": _move("MaxPool", kernel_shape=[2, 2]),
    "Identity": _move("Identity"),
}


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("name", MOVEMENTS)
def test_what_stays_float_beside_a_movement_is_not_called_exact(name: str, where: str) -> None:
    """ONNX Runtime moves quantization over some movements; a Conv beside the others is float there, and promises so."""
    net = Net(unsigned=True, batch=1)
    x = net.dq(net.input((3, 6, 6), X))
    if where == "before":
        made = conv(net, MOVEMENTS[name](net, x), (4, 12 if name == "SpaceToDepth" else 3, 1, 1), pads=[0, 0, 0, 0])
    else:
        made = MOVEMENTS[name](net, conv(net, x, (3, 3, 1, 1), pads=[0, 0, 0, 0]))
    net.output(net.quantize(made, Y))
    model = net.model()
    loaded = check(model, 6)
    integer = any(node.op_type == "QLinearConv" for node in Oracle(model).rewritten.graph.node)
    assert (_weakest(loaded) == Exactness.Exact) == integer
