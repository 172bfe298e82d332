"""Tables."""

from __future__ import annotations

from onnxino.schema.model import Lookup
from onnxino_converter.ir import Node
from onnxino_converter.quantized import LookupSpec


def lower_lookup(node: Node, spec: LookupSpec) -> Lookup:
    return Lookup(table=spec.table)
