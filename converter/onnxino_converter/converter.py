"""convert(): from an ONNX model to the .oxm file, its C array and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino.schema.codec import encode
from onnxino.schema.model import Metadata, Preprocessing, Provenance
from onnxino_converter.build_model import build_model
from onnxino_converter.importer import import_graph, load_source
from onnxino_converter.names import check_name, identifier
from onnxino_converter.pipeline import run_passes

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Converted:
    """What a conversion gives: `model` is the .oxm file; `report` holds plain integers and strings."""

    name: str
    model: bytes
    report: dict[str, Any]
    c_source: str
    c_header: str


def convert(
    source: str | Path | bytes | ModelProto,
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    board: str | None = "nano33ble",
) -> Converted:
    """Convert a statically quantized ONNX model.

    source: path, bytes or onnx.ModelProto. name: C identifier (default: from the file's name). labels: class names in output order.
    preprocessing: any of scale, mean, std, layout; how pixels become input values. board: the board that the model must fit; None
    for none. Raises ConvertError, which says what to do about it.
    """
    loaded = load_source(source)
    graph = import_graph(loaded.model)
    run_passes(graph)
    chosen = check_name(name) if name is not None else identifier(loaded.stem)
    provenance = _provenance(loaded.model, loaded.sha256, {"board": board, "name": chosen})
    model = build_model(graph, chosen, None, provenance)
    data = encode(model)
    return Converted(chosen, data, {}, "", "")


def _provenance(model: ModelProto, sha256: bytes, options: dict[str, Any]) -> Provenance:
    from importlib.metadata import PackageNotFoundError, version

    try:
        tool = version("onnxino")
    except PackageNotFoundError:
        tool = "0"
    return Provenance(
        tool_version=tool,
        options=json.dumps(options, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        source_sha256=np.frombuffer(sha256, np.uint8),
        source_producer=f"{model.producer_name} {model.producer_version}".strip(),
    )


__all__ = ["Converted", "Metadata", "Preprocessing", "convert"]
