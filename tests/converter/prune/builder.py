"""Builds small float networks: weights by their shapes, nodes named by their outputs."""

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
