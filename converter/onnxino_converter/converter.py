"""convert(): from an ONNX model to the .oxm file, its C array and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino import __version__
from onnxino.model import load_model
from onnxino.schema.codec import encode
from onnxino.schema.model import Model, Provenance
from onnxino_converter.build_model import build_model
from onnxino_converter.c_array import c_header, c_source
from onnxino_converter.fit import board_named, check_fit, not_quantized
from onnxino_converter.hints import hints_for
from onnxino_converter.importer import import_graph, load_source
from onnxino_converter.metadata import make_metadata
from onnxino_converter.names import check_name, identifier
from onnxino_converter.pipeline import is_quantized, run_passes
from onnxino_converter.report import make_report
from onnxino_converter.viewer import save_for_viewer

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Converted:
    """What a conversion gives: `model` is the .oxm file; `report` holds plain integers and strings."""

    name: str
    model: bytes = field(repr=False)
    report: dict[str, Any]
    _parsed: Model = field(repr=False, compare=False)

    @cached_property
    def c_source(self) -> str:
        """The model file as a C array; made when it is read, for it takes seconds for a large model."""
        return c_source(self._parsed, self.model)

    @cached_property
    def c_header(self) -> str:
        """What C code knows of it."""
        return c_header(self._parsed, self.model)


def convert(
    source: str | Path | bytes | ModelProto,
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    board: str | None = "nano33ble",
    float: bool = False,
    save_onnx_optimized: str | Path | None = None,
) -> Converted:
    """Convert a statically quantized ONNX model, or with `float` any.

    source: path, bytes or onnx.ModelProto. name: C identifier (default: from the file's name). labels: class names in
    output order. preprocessing: any of scale, mean, std, layout; how pixels become input values. board: the board that
    the model must fit; None for none. float: accept a model without any quantization, which then runs in float32.
    save_onnx_optimized: write what the device will run as an ONNX file for viewers such as Netron (its operators are of
    domain org.onnxino: no runtime runs it). Raises ConvertError, which says what to do about it.
    """
    target = board_named(board)
    loaded = load_source(source)
    chosen = check_name(name) if name is not None else identifier(loaded.stem)
    with hints_for(loaded.model, loaded.path):
        graph = import_graph(loaded.model)
        quantized = is_quantized(graph)
        run_passes(graph)
        metadata = make_metadata(loaded.model, graph.outputs[0], labels, preprocessing)
        options: dict[str, Any] = {"board": board, "name": chosen}
        if labels is not None:
            options["labels"] = list(labels)
        if preprocessing is not None:
            options["preprocessing"] = {key: _plain(value) for key, value in preprocessing.items()}
        if float:
            options["float"] = True
        model = build_model(graph, chosen, metadata, _provenance(loaded.model, loaded.sha256, options))
        data = encode(model)
        load_model(data)  # what was written is what every reader accepts
        report = make_report(model, len(data))
        if not float and not quantized:
            raise not_quantized(loaded.label, report, target)
        if target is not None:
            check_fit(model, report, target, quantized)
    if save_onnx_optimized is not None:
        save_for_viewer(model, Path(save_onnx_optimized))
    return Converted(chosen, data, report, model)


def _plain(value: Any) -> Any:
    """Lists and numbers that JSON can hold."""
    if value is None or isinstance(value, str):
        return value
    array = np.asarray(value, np.float64)
    return array.tolist()


def _provenance(model: ModelProto, sha256: bytes, options: dict[str, Any]) -> Provenance:
    return Provenance(
        tool_version=__version__,
        options=json.dumps(options, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        source_sha256=np.frombuffer(sha256, np.uint8),
        source_producer=f"{model.producer_name} {model.producer_version}".strip(),
    )
