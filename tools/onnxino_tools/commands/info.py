"""Show what is in a model file, or what a board says about itself.

TARGET is a .oxm file, or a serial port (or URL) with a board behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import InputError
from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino import InferenceSession


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("target", metavar="TARGET", help="model file, serial port or socket://HOST:PORT")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    path = Path(args.target)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder", "info takes a model file (.oxm or .onnx) or a serial port")
    if path.is_file() and path.suffix not in ("", ".oxm", ".onnx"):
        _refuse_unknown(path)
    facts = of_model(path) if path.is_file() or path.suffix in (".oxm", ".onnx") else of_device(args.target)
    if args.json:
        ui.out_json(facts)
        return 0
    for line in ui.table([(name.replace("_", " "), _text(value)) for name, value in facts.items()]):
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
            **_ports(session),
            "operators": len(model.operators),
            "arena_bytes": model.arena_size,
            "model_bytes": len(content),
            "labels": model.metadata.class_labels if model.metadata is not None else None,
            "sha256": hashlib.sha256(content).hexdigest(),
            "source_sha256": bytes(provenance.source_sha256).hex(),
            "source_producer": provenance.source_producer,
            "made_by": f"onnxino {provenance.tool_version}",
            "options": provenance.options,
        }


def _ports(session: InferenceSession) -> dict[str, object]:
    return {
        "inputs": [f"{arg.name}: {arg.type} {arg.shape}" for arg in session.get_inputs()],
        "outputs": [f"{arg.name}: {arg.type} {arg.shape}" for arg in session.get_outputs()],
    }


def of_device(port: str) -> dict[str, object]:
    """What a device answers to hello."""
    import dataclasses

    from onnxino_tools.devices import open_device

    with open_device(port) as link:
        hello = dataclasses.asdict(link.hello())
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in hello.items()}


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
