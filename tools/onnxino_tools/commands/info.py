"""Show what is in a model file, or what a board says about itself.

TARGET is a .oxm file, or a serial port (or URL) with a board behind it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from onnxino.errors import InputError
from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino.session import NodeArg
    from onnxino_tools.protocol import Hello

_NO_MODEL = -4  # erased flash: not an Onnxino model
# The C runtime's onx_status_text.
MODEL_STATUS = {
    0: "done",
    -1: "a pointer is NULL or an index does not exist",
    -2: "the model or the arena is not aligned to 16 bytes",
    -3: "the model is truncated",
    -4: "not an Onnxino model",
    -5: "the model has a newer format than this runtime reads",
    -6: "the model's header is damaged",
    -7: "the model is damaged: its CRC-32 differs",
    -8: "the model is damaged: its flatbuffer is malformed",
    -9: "the model has an impossible tensor",
    -10: "the model has an impossible graph input or output",
    -11: "an operator's operands and attributes do not fit together",
    -12: "this build has no kernel for an operator",
    -13: "an operator reads a tensor that is not written, or writes one twice",
    -14: "the memory plan overlaps or leaves the arena",
    -15: "the arena has the wrong size",
}


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("target", metavar="TARGET", help="model file, serial port or socket://HOST:PORT")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    path = Path(args.target)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder", "info takes a model file (.oxm or .onnx) or a serial port")
    if path.is_file() and path.suffix not in ("", ".oxm", ".onnx"):
        _refuse_unknown(path)
    if path.is_file() or path.suffix in (".oxm", ".onnx"):
        facts = of_model(path)
        shown = facts
    else:
        hello = _hello(args.target)
        facts, shown = of_device(hello), _for_people(hello)
    if args.json:
        ui.out_json(facts)
        return 0
    for line in ui.table([(name.replace("_", " "), _text(value)) for name, value in shown.items()]):
        ui.out(line)
    return 0


def _refuse_unknown(path: Path) -> None:
    """Raises InputError for a file that is no model by its name; models of other kinds are explained by convert."""
    from onnxino_converter.importer.source import FOREIGN

    if path.suffix.lower() not in (*FOREIGN, ".onnx"):
        raise InputError(
            f"'{path}' is neither .oxm nor .onnx nor a serial port", "onnxino convert model.onnx makes a .oxm"
        )


def of_model(path: Path) -> dict[str, object]:
    """What a model file holds."""
    import hashlib

    from onnxino import InferenceSession
    from onnxino_tools.models import read_model

    content = read_model(str(path))
    with InferenceSession(content) as session:
        model = session.model
        provenance = model.provenance
        return {
            "name": model.name,
            "inputs": [_port(arg) for arg in session.get_inputs()],
            "outputs": [_port(arg) for arg in session.get_outputs()],
            "operators": len(model.operators),
            "arena_bytes": model.arena_size,
            "model_bytes": len(content),
            "labels": model.metadata.class_labels if model.metadata is not None else None,
            "sha256": hashlib.sha256(content).hexdigest(),
            "source_sha256": bytes(provenance.source_sha256).hex(),
            "source_producer": provenance.source_producer,
            "made_by": f"onnxino {provenance.tool_version}",
            "options": _options(provenance.options),
        }


def _port(arg: NodeArg) -> dict[str, object]:
    return {"name": arg.name, "type": arg.type, "shape": arg.shape}


def _options(text: str | None) -> object:
    """The converter writes a JSON object; other programs may have written anything."""
    try:
        return json.loads(text or "")
    except ValueError:
        return text


def _hello(port: str) -> Hello:
    from onnxino_tools.devices import open_device

    with open_device(port) as link:
        return link.hello()


def of_device(hello: Hello) -> dict[str, object]:
    """What a device answers to hello, as it says it (model_crc is a number), and the status as text."""
    import dataclasses

    return {
        **dataclasses.asdict(hello),
        "model_valid": hello.model_valid,
        "model_status_text": _status(hello),
    }


def _status(hello: Hello) -> str:
    if hello.model_valid:
        return "valid"
    return MODEL_STATUS.get(hello.model_status, "unknown status")


def _for_people(hello: Hello) -> dict[str, object]:
    from onnxino.boards import BOARDS

    titles = {board.board_id: board.title for board in BOARDS.values()}
    return {
        "board": titles.get(hello.board_id, f"unknown, id {hello.board_id}"),
        "device_id": hello.device_id,
        "firmware": f"{hello.firmware_version}, protocol {hello.protocol_version}",
        "clock": f"{hello.clock_hz / 1e6:g} MHz",
        "flash_for_a_model": f"{hello.model_region_size:,} bytes in pages of {hello.page_size:,}",
        "arena": f"{hello.arena_size:,} bytes",
        "stack": f"{hello.stack_size:,} bytes, {hello.stack_free:,} never used",
        "largest_payload": f"{hello.max_payload:,} bytes",
        **_model_for_people(hello),
    }


def _model_for_people(hello: Hello) -> dict[str, object]:
    if hello.model_status == _NO_MODEL:
        return {"model": "none loaded"}
    if not hello.model_valid:
        return {"model": f"cannot be used: {_status(hello)} (status {hello.model_status})"}
    return {
        "model": hello.model_name,
        "model_size": f"{hello.model_size:,} bytes, CRC-32 0x{hello.model_crc:08x}",
        "model_arena": f"{hello.model_arena_size:,} bytes",
        "operators": hello.operators,
        "inputs": _sizes(hello.input_sizes),
        "outputs": _sizes(hello.output_sizes),
    }


def _sizes(sizes: tuple[int, ...]) -> str:
    return ", ".join(f"{size:,} bytes" for size in sizes)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        if fields.keys() == {"name", "type", "shape"}:
            return f"{fields['name']}: {fields['type']} {fields['shape']}"
        return ", ".join(f"{name}={_text(item)}" for name, item in fields.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
