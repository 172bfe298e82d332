"""What `onnxino inspect` finds out about a file, as plain values; text is made by the command."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import ConvertError, InputError
from onnxino_tools.inspect.device import device_operators
from onnxino_tools.inspect.refused import find_refusals, named

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

    from onnxino import InferenceSession
    from onnxino.session import NodeArg


def inspect_file(path: Path, board: str = "nano33ble") -> dict[str, Any]:
    """Everything about a .oxm or .onnx file.

    Keys: facts of the model; "operators" as the device runs them, or of a model that cannot be converted its "nodes"
    with what keeps each from it; "converts" (True for .oxm) and "notes". Raises InputError, ModelError, ConvertError.
    """
    if not path.is_file():
        from onnxino_converter.importer.kinds import similar_model

        near = similar_model(path)
        hint = "give the path of an .onnx or .oxm file" if near is None else f"did you mean {near}?"
        raise InputError(f"there is no model '{path}'", hint)
    if path.suffix.lower() == ".oxm":
        return {"converts": True, "notes": [], **of_device_model(path.read_bytes())}
    return of_onnx(path, board)


def of_device_model(content: bytes) -> dict[str, Any]:
    """What a .oxm file holds."""
    import hashlib

    from onnxino import InferenceSession

    with InferenceSession(content) as session:
        model = session.model
        provenance = model.provenance
        operators = [asdict(row) for row in device_operators(model)]
        return {
            "name": model.name,
            **_ports(session),
            "operators": operators,
            "macs": sum(row["macs"] for row in operators),
            "arena_bytes": model.arena_size,
            "model_bytes": len(content),
            "labels": model.metadata.class_labels if model.metadata is not None else None,
            "sha256": hashlib.sha256(content).hexdigest(),
            "source_sha256": bytes(provenance.source_sha256).hex(),
            "source_producer": provenance.source_producer,
            "made_by": f"onnxino {provenance.tool_version}",
            "options": _options(provenance.options),
        }


def _ports(session: InferenceSession) -> dict[str, Any]:
    def port(arg: NodeArg) -> dict[str, object]:
        return {"name": arg.name, "type": arg.type, "shape": arg.shape}

    return {
        "inputs": [port(arg) for arg in session.get_inputs()],
        "outputs": [port(arg) for arg in session.get_outputs()],
    }


def _options(text: str | None) -> object:
    """The converter writes a JSON object; other programs may have written anything."""
    try:
        return json.loads(text or "")
    except ValueError:
        return text


def of_onnx(path: Path, board: str) -> dict[str, Any]:
    """What an ONNX model becomes on a device, or why it cannot."""
    from onnxino_converter import convert
    from onnxino_converter.importer import load_source

    notes: list[dict[str, str | None]] = []
    try:
        converted = convert(path, board=board)
    except ConvertError as first:
        proto = load_source(path).model  # raises for what is no ONNX model
        try:
            converted = convert(path, board=None, float=True)
        except ConvertError:
            return {"converts": False, "notes": [], **of_refused(proto, path)}
        notes.append({"message": first.message, "hint": first.hint})
    else:
        proto = load_source(path).model
    facts = of_device_model(converted.model)
    for key in ("made_by", "sha256"):
        del facts[key]
    return {"converts": True, "notes": notes, **_onnx_facts(proto), **facts}


def of_refused(proto: ModelProto, path: Path | None = None) -> dict[str, Any]:
    """The nodes of a model that cannot be converted, with what keeps each from it. path: its file, for the hints."""
    from onnxino_converter.hints import with_path

    model = named(proto)
    findings = find_refusals(model)
    refused = {refusal.node: refusal for refusal in findings.refusals}
    general = refused.get("")
    shapes = _shapes(model)
    nodes: list[dict[str, Any]] = []
    for node in model.graph.node:
        found = refused.get(node.name)
        unknown = node.name in findings.unchecked or (general is not None and len(refused) == 1)
        state = "unsupported" if found else "not checked" if unknown else "supported"
        entry: dict[str, Any] = {
            "name": node.name,
            "operator": f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type,
            "outputs": [shapes.get(name, "?") for name in node.output if name],
            "state": state,
            "reason": found.reason if found else None,
            "hint": with_path(found.hint, path) if found and found.hint else None,
        }
        nodes.append(entry)
    problem = None
    if general is not None:
        problem = {"message": general.reason, "hint": with_path(general.hint, path) if general.hint else None}
    constants = {tensor.name for tensor in proto.graph.initializer}
    return {
        **_onnx_facts(proto),
        "inputs": [_port(info) for info in proto.graph.input if info.name not in constants],
        "outputs": [_port(info) for info in proto.graph.output],
        "nodes": nodes,
        "problem": problem,
        "complete": findings.complete,
    }


def _onnx_facts(proto: ModelProto) -> dict[str, Any]:
    from collections import Counter

    counts = Counter(node.op_type for node in proto.graph.node)
    used = {node.domain or "ai.onnx" for node in proto.graph.node}
    opsets = {entry.domain or "ai.onnx": int(entry.version) for entry in proto.opset_import}
    return {
        "name": proto.graph.name,
        "opset": {domain: version for domain, version in opsets.items() if domain in used},
        "onnx_nodes": dict(sorted(counts.items())),
    }


def _shapes(model: ModelProto) -> dict[str, str]:
    from onnx import shape_inference

    try:
        graph = shape_inference.infer_shapes(model).graph
    except Exception:  # unknown operators or a damaged model: shapes are a help, no more
        graph = model.graph
    return {info.name: _describe(info) for info in (*graph.value_info, *graph.input, *graph.output)}


def _port(info: ValueInfoProto) -> dict[str, object]:
    """A graph input or output of a model that does not convert; type and shape None where the file does not say."""
    from onnx import TensorProto

    tensor = info.type.tensor_type
    kind = f"tensor({TensorProto.DataType.Name(tensor.elem_type).lower()})" if tensor.elem_type else None
    return {"name": info.name, "type": kind, "shape": _dims(info)}


def _dims(info: ValueInfoProto) -> list[int | str] | None:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]


def _describe(info: ValueInfoProto) -> str:
    from onnx import TensorProto

    element = info.type.tensor_type.elem_type
    if not element:
        return "?"
    dims = _dims(info)
    kind = TensorProto.DataType.Name(element).lower()
    return kind if dims is None else f"{kind} [{', '.join(map(str, dims))}]"
