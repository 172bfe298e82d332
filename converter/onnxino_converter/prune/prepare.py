"""Reads a float model for pruning: checked, constants folded, shapes inferred."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import ConvertError
from onnxino_converter.hints import hints_for
from onnxino_converter.importer import load_source
from onnxino_converter.importer.finite import check_weights
from onnxino_converter.importer.source import Source
from onnxino_converter.prune.shapes import resolve_shapes
from onnxino_converter.quantize.graph import FloatGraph, describe
from onnxino_converter.refusal import CHECK_HINT

if TYPE_CHECKING:
    from onnx import ModelProto

_QUANTIZED = {"Quant", "BipolarQuant", "Trunc", "QGemm", "ConvInteger", "MatMulInteger"}
_FLOAT_HINT = "prune the float model that it was made from, and quantize the result: onnxino convert --calibrate"
_FLOW_HINT = (
    "export without control flow: torch.onnx.export(model.eval(), example, 'model.onnx') of a traced model, "
    "or fold what is constant: pip install onnxsim && python -m onnxsim model.onnx simple.onnx"
)


def prepare(model: str | Path | bytes | ModelProto) -> FloatGraph:
    """A private copy of the model with local functions in place, constant nodes computed, and shapes.

    Raises ConvertError for a model that cannot be read, is quantized, has control flow, or weights that are
    not finite.
    """
    source = load_source(model)
    with hints_for(source.model, source.path):
        return _prepare(source)


def _prepare(source: Source) -> FloatGraph:
    proto = _inline(source.model)
    _check(proto)
    check_weights(proto)
    graph = FloatGraph.read(proto)
    # Older files list initializers as inputs; FloatGraph does not, which needs this version.
    graph.model.ir_version = max(graph.model.ir_version, 4)
    try:
        graph.infer()
    except Exception as error:  # onnx raises its own types for models that contradict themselves
        message = str(error).strip().splitlines()
        raise ConvertError(
            f"{source.label}: the shapes of its tensors cannot be inferred ({message[0] if message else error!r})",
            CHECK_HINT,
        ) from None
    resolve_shapes(graph)
    return graph


def prepared(model: str | Path | bytes | ModelProto) -> ModelProto:
    """The model as prune() sees it: weights that constant nodes compute are initializers with the names that scores and
    masks go by. Computes what the model does. Raises what prepare() does."""
    return prepare(model).write()


def _inline(model: ModelProto) -> ModelProto:
    if not model.functions:
        return model
    from onnx import inliner

    return inliner.inline_local_functions(model)


def _check(model: ModelProto) -> None:
    for node in model.graph.node:
        kind = node.op_type
        if kind in _QUANTIZED or kind.endswith(("QuantizeLinear", "DequantizeLinear")) or kind.startswith("QLinear"):
            raise ConvertError(
                f"{describe(node)}: the model is quantized already; pruning takes models in float32", _FLOAT_HINT
            )
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ConvertError(f"{describe(node)}: control flow (a graph within the graph) is not pruned", _FLOW_HINT)
