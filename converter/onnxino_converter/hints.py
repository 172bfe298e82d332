"""Fills in hints what only the whole model tells: the file's own name, and where it can be cut."""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import ConvertError
from onnxino_converter.refusal import CUT_OFF, escaped

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_QUOTED = "'model.onnx'"
_BARE = re.compile(r"(?<![\w/.'-])model\.onnx(?![\w'])")


@contextmanager
def hints_for(model: ModelProto, path: Path | None) -> Generator[None]:
    """Completes the hint of a ConvertError that leaves the block. path: the model's file, None where it has none."""
    try:
        yield
    except ConvertError as error:
        if error.hint is not None:
            error.hint = with_path(_with_cut(error.hint, error.message, model), path)
        raise


def with_path(hint: str, path: Path | None) -> str:
    """The hint with the file's name in place of model.onnx."""
    if path is None:
        return hint
    quoted, bare = f"'{escaped(path.as_posix())}'", shlex.quote(str(path))
    return _BARE.sub(lambda _: bare, hint.replace(_QUOTED, quoted))


def _with_cut(hint: str, message: str, model: ModelProto) -> str:
    """The hint with the tensors between which the model can be cut; without that advice where nothing would be left."""
    if CUT_OFF not in hint:
        return hint
    ends = _ends(message, model)
    if ends is None:
        return hint.replace(CUT_OFF, "")
    inputs, outputs = (", ".join(f"'{escaped(name)}'" for name in names) for names in ends)
    return hint.replace(CUT_OFF, CUT_OFF.replace("'INPUT'", inputs).replace("'OUTPUT'", outputs))


def _ends(message: str, model: ModelProto) -> tuple[list[str], list[str]] | None:
    """Graph inputs and tensors between which everything lies that the node of a message reads."""
    node = _node_of(message, model)
    if node is None:
        return None
    graph = model.graph
    makers = {name: maker for maker in graph.node for name in maker.output if name}
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [info.name for info in graph.input if info.name not in constants]

    def sources(name: str) -> set[str]:
        found: set[str] = set()
        seen: set[str] = set()
        pending = [name]
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in inputs:
                found.add(current)
            elif current in makers:
                pending += makers[current].input
        return found

    outputs = [name for name in dict.fromkeys(node.input) if name in makers and sources(name)]
    needed = {source for name in outputs for source in sources(name)}
    return ([name for name in inputs if name in needed], outputs) if outputs else None


def _node_of(message: str, model: ModelProto) -> NodeProto | None:
    """The node that a message begins with."""
    named = re.match(r"node '(.*?)' \(", message)
    if named is not None:
        return next((node for node in model.graph.node if node.name == named[1]), None)
    made = re.match(r"node \S+ that makes '(.*?)'", message)
    return None if made is None else next((node for node in model.graph.node if made[1] in node.output), None)
