"""Builds the IR of an ONNX graph: initializers, ports, nodes in order, constants computed ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino.errors import ConvertError
from onnxino_converter.importer.advice import advice
from onnxino_converter.importer.batch import Tracked
from onnxino_converter.importer.constants import evaluate
from onnxino_converter.importer.context import ELEMENTS_MAX, Context, RawNode, too_large
from onnxino_converter.importer.finite import check_weights
from onnxino_converter.importer.handlers import DOMAINS
from onnxino_converter.ir import Graph, PortInfo, Shape, Value
from onnxino_converter.refusal import CHECK_HINT, NOT_SUPPORTED, refusal

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

VIEWER_DOMAIN = "org.onnxino"  # of what --save-onnx-optimized writes
OPSET_MIN, OPSET_MAX = 10, 25
RANK_MAX = 6
_OPSET_OLD = (
    'python -c "import onnx, onnx.version_converter as v; '
    "onnx.save(v.convert_version(onnx.load('model.onnx'), 17), 'model17.onnx')\""
)
_OPSET_NEW = "export with an older one: torch.onnx.export(model, example, 'model.onnx', opset_version=17)"
_KEPT = {"QuantizeLinear", "DequantizeLinear"}  # never computed ahead: fusing needs their parameters
# movements over which ONNX Runtime moves no quantization: what it does with the floats around them stays float
_STAYING = {"DepthToSpace", "Expand", "Flatten", "Gather", "Pad", "Resize", "SpaceToDepth", "Split", "Tile", "Upsample"}


def import_graph(model: ModelProto) -> Graph:
    """The IR of a model. Raises ConvertError for what is not valid or not supported."""
    if any(node.domain == VIEWER_DOMAIN for node in model.graph.node):
        raise ConvertError(
            "the model was written by --save-onnx-optimized, for viewers alone: nothing can run it",
            "give the ONNX model that was converted then",
        )
    proto = _inlined(model).graph
    check_weights(model)
    opsets = _opsets(model)
    if not proto.output:
        raise ConvertError("the graph has no outputs", "export the model again")
    if not proto.node:
        raise ConvertError("the graph has no nodes", "export the model again")
    if proto.sparse_initializer:
        raise ConvertError(
            f"initializer '{proto.sparse_initializer[0].values.name}' is sparse", "store it as an ordinary tensor"
        )
    context = Context()
    for tensor in proto.initializer:
        context.values[tensor.name] = _constant(tensor)
    initializers = set(context.values)
    inputs = [_input(info, context) for info in proto.input if info.name not in initializers]
    tracked = Tracked()
    tracked.start(inputs)
    for node in _ordered(proto, set(context.values)):
        raw = _import_node(context, node, opsets)
        tracked.follow(raw, list(node.input), context.values)
    symbolic = any(port.shape[0] == -1 for port in inputs)
    if not _rounds_up(proto):
        for info in proto.output:
            _check_declared(info, context, symbolic)
    outputs = [_output(info, context) for info in proto.output]
    for port in outputs:
        tracked.check_output(port)
    _name_apart(context, inputs)
    return Graph(proto.name, inputs, outputs, context.nodes)


def _inlined(model: ModelProto) -> ModelProto:
    """The model without local functions, which stand in their callers' place then."""
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # whatever its C++ finds wrong
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConvertError(f"the model's local functions cannot be inlined: {reason}", CHECK_HINT) from None


def _name_apart(context: Context, inputs: list[PortInfo]) -> None:
    """Gives values that handlers made beside the ONNX tensors names that nothing else has."""
    used = {port.name for port in inputs}
    for node in context.nodes:
        for value in node.outputs:
            if value.name in used:
                number = 2
                while f"{value.name}_{number}" in used or f"{value.name}_{number}" in context.values:
                    number += 1
                value.name = f"{value.name}_{number}"
            used.add(value.name)


def _opsets(model: ModelProto) -> dict[str, int]:
    opsets = {entry.domain or "": int(entry.version) for entry in model.opset_import}
    if "ai.onnx" in opsets:
        opsets.setdefault("", opsets["ai.onnx"])
    uses_onnx = any(node.domain in ("", "ai.onnx") for node in model.graph.node)
    version = opsets.get("")
    if version is None and uses_onnx:
        raise ConvertError("the model does not say which opset it uses (no opset_import)", "export the model again")
    if version is not None and not OPSET_MIN <= version <= OPSET_MAX:
        raise ConvertError(
            f"the model uses opset {version}; supported: {OPSET_MIN} to {OPSET_MAX}",
            _OPSET_OLD if version < OPSET_MIN else _OPSET_NEW,
        )
    return opsets


def _constant(tensor: TensorProto) -> Value:
    from onnx import numpy_helper

    try:
        array: Any = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConvertError(f"initializer '{tensor.name}' is damaged: {reason}", CHECK_HINT) from None
    return Value(tensor.name, tuple(array.shape), array.dtype, array)


def _input(info: ValueInfoProto, context: Context) -> PortInfo:
    from onnx import helper

    where = f"graph input '{info.name}'"
    if info.name in context.values:
        raise ConvertError(f"{where} is defined twice", "export the model again")
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.elem_type:
        raise ConvertError(f"{where} is not a tensor", "export the model with tensor inputs")
    tensor_type = info.type.tensor_type
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor_type.elem_type))
    except KeyError:
        raise ConvertError(f"{where} is of unknown type {tensor_type.elem_type}", CHECK_HINT) from None
    if str(dtype) not in ("float32", "int8", "uint8"):
        raise ConvertError(
            f"{where} is of type {'string' if dtype.kind == 'O' else dtype}; supported: float32, int8, uint8",
            "export the model with float32 inputs",
        )
    shape, names = _dimensions(info)
    if not tensor_type.HasField("shape"):
        raise ConvertError(f"{where} has no shape", "give it one: onnxruntime.tools.make_dynamic_shape_fixed")
    if not 1 <= len(shape) <= RANK_MAX:
        raise ConvertError(
            f"{where} has {len(shape)} dimensions; supported: 1 to {RANK_MAX}",
            "export it with a batch and up to 5 more dimensions: torch.Tensor.reshape in front",
        )
    if -1 in shape[1:]:
        raise _not_fixed(info.name, shape, names)
    for axis, size in enumerate(shape):
        if size == 0:
            raise ConvertError(f"{where}: dimension {axis} is 0: the tensor is empty", "give it its real size")
    value = Value(info.name, tuple(1 if d == -1 else d for d in shape), dtype)
    if value.elements > ELEMENTS_MAX:
        raise refusal(where, *too_large(f"its shape {list(value.shape)}", value.shape))
    context.values[info.name] = value
    return PortInfo(info.name, value, dtype, shape, names)


def _not_fixed(name: str, shape: Shape, names: list[str]) -> ConvertError:
    """The error for sizes that are not known before the model runs: all of them at once."""
    import shlex

    free = [axis for axis, size in enumerate(shape) if size == -1 and axis > 0]
    listed = ", ".join(f"{axis} ('{names[axis]}')" for axis in free)
    sizes = ",".join(str(size) if size != -1 else "64" if axis else "1" for axis, size in enumerate(shape))
    what = f"dimension {listed} is" if len(free) == 1 else f"dimensions {listed} are"
    return ConvertError(
        f"graph input '{name}': {what} not fixed; only the first (the batch) may be",
        f"python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name {shlex.quote(name)} --input_shape {sizes} "
        "model.onnx fixed.onnx  # in place of 64: the size that the model is to take",
    )


def _dimensions(info: ValueInfoProto) -> tuple[Shape, list[str]]:
    """Sizes (-1 where symbolic) and the names of the symbolic dimensions."""
    shape: list[int] = []
    names: list[str] = []
    for dimension in info.type.tensor_type.shape.dim:
        fixed = dimension.HasField("dim_value") and dimension.dim_value >= 0
        shape.append(int(dimension.dim_value) if fixed else -1)
        names.append("" if fixed else dimension.dim_param)
    return tuple(shape), names


def _output(info: ValueInfoProto, context: Context) -> PortInfo:
    value = context.values.get(info.name)
    if value is None:
        raise ConvertError(f"graph output '{info.name}' is computed by no node", CHECK_HINT)
    shape, names = _dimensions(info)
    sizes = tuple(1 if d == -1 else d for d in shape)
    if (
        len(shape) != len(value.shape) or sizes != value.shape
    ):  # the declaration may be missing or wrong: ours was computed
        shape = tuple(-1 if i == 0 and d == -1 else v for i, (d, v) in enumerate(zip(shape, value.shape, strict=False)))
        if len(shape) != len(value.shape):
            shape = value.shape
        names = [n if d == -1 else "" for n, d in zip(names, shape, strict=False)] or [""] * len(shape)
        names += [""] * (len(shape) - len(names))
    return PortInfo(info.name, value, value.dtype, shape, names)


def _rounds_up(proto: GraphProto) -> bool:
    """Whether a pooling has ceil_mode. onnx.shape_inference counts windows behind the image there, ONNX Runtime does
    not, so what is declared is often wrong."""
    return any(attribute.name == "ceil_mode" and attribute.i for node in proto.node for attribute in node.attribute)


def _check_declared(info: ValueInfoProto, context: Context, symbolic_batch: bool) -> None:
    """Refuses an output whose declared sizes are not the computed ones. No dimensions at all count as undeclared; with
    a symbolic batch the first says nothing."""
    declared, _ = _dimensions(info)
    value = context.values.get(info.name)
    if value is None or not declared:
        return
    known = [d if d >= 0 and not (i == 0 and symbolic_batch) else -1 for i, d in enumerate(declared)]
    if len(known) != len(value.shape) or any(d not in (-1, c) for d, c in zip(known, value.shape, strict=True)):
        raise ConvertError(
            f"graph output '{info.name}' is declared as {list(declared)}, its operators compute {list(value.shape)}",
            "correct the declaration or the operators' attributes (onnx.shape_inference.infer_shapes shows the shapes)",
        )


def _ordered(proto: GraphProto, known: set[str]) -> list[NodeProto]:
    """The nodes so that each comes after what it reads; the file's order where that is valid."""
    known = known | {""}
    made: dict[str, NodeProto] = {}
    for node in proto.node:
        for name in node.output:
            if name and (name in made or name in known):
                raise ConvertError(f"tensor '{name}' is defined twice (again by {_label(node)})", CHECK_HINT)
            if name:
                made[name] = node
    ordered: list[NodeProto] = []
    waiting = list(proto.node)
    while waiting:
        rest: list[NodeProto] = []
        for node in waiting:
            if all(name in known for name in node.input):
                ordered.append(node)
                known.update(node.output)
            else:
                rest.append(node)
        if len(rest) == len(waiting):
            node = rest[0]
            missing = [name for name in node.input if name not in known and name not in made]
            if missing:
                raise ConvertError(
                    f"{_label(node)} reads '{missing[0]}', which is no input, no initializer and no node's output",
                    CHECK_HINT,
                )
            raise ConvertError(
                f"{_label(node)} is part of a cycle: it reads what is computed from its own output", CHECK_HINT
            )
        waiting = rest
    return ordered


def _label(node: NodeProto) -> str:
    return (
        f"node '{node.name}' ({node.op_type})"
        if node.name
        else f"node {node.op_type} that makes '{', '.join(node.output)}'"
    )


def _import_node(context: Context, node: NodeProto, opsets: dict[str, int]) -> RawNode:
    raw = _raw(context, node, opsets)
    handler = DOMAINS.get(node.domain, {}).get(node.op_type)
    constant = all(value is None or value.constant is not None for value in raw.inputs)
    shape_only = node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx")
    if (constant and raw.inputs and node.op_type not in _KEPT) or shape_only or node.op_type == "ConstantOfShape":
        folded = evaluate(raw, node, opsets)
        if folded is not None:
            for name, array in zip(raw.outputs, folded, strict=True):
                context.values[name] = Value(name, tuple(array.shape), array.dtype, array)
            return raw
    if handler is None:
        raise _unsupported(raw)
    if not raw.outputs or not raw.outputs[0]:
        raise raw.refuse("it has no output")
    for value in raw.inputs:
        if value is not None and value.constant is None and value.elements == 0:
            raise raw.refuse(f"input '{value.name}' is empty {list(value.shape)}")
    count = len(context.nodes)
    handler(context, raw)
    for one in context.nodes[count:]:
        raw.check_size(one.output.shape)
    if node.op_type in _STAYING:
        for one in context.nodes[count:]:
            one.attributes["stays"] = True
    made = context.values.get(raw.outputs[0])
    if made is not None and made.elements == 0 and made.constant is None:
        raise raw.refuse(f"its output {list(made.shape)} is empty")
    return raw


def _raw(context: Context, node: NodeProto, opsets: dict[str, int]) -> RawNode:
    from onnx import TensorProto, helper, numpy_helper

    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        value: Any = helper.get_attribute_value(attribute)
        attributes[attribute.name] = numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
    domain = "" if node.domain == "ai.onnx" else node.domain
    inputs = [context.values[name] if name else None for name in node.input]
    return RawNode(node.op_type, domain, node.name, opsets.get(domain, 0), inputs, list(node.output), attributes)


def _unsupported(raw: RawNode) -> ConvertError:
    return raw.refuse(NOT_SUPPORTED, None, advice(raw.domain, raw.op))
