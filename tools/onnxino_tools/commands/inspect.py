"""Show what is in a model and what runs how on a device, or what a board says about itself.

TARGET is an .onnx or .oxm file, or a serial port (or URL) with a board behind it. Nothing is written. Of a model that
cannot be converted, every node that stands in the way is listed with its reason.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onnxino.errors import InputError
from onnxino_tools import arguments, ui
from onnxino_tools.inspect.board import ask, for_people, of_device

if TYPE_CHECKING:
    from argparse import Namespace

_TABLES = ("operators", "nodes", "notes", "problem", "converts", "complete")


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("target", metavar="TARGET", help="model file, serial port or socket://HOST:PORT")
    parser.add_argument(
        "--board", default="nano33ble", metavar="B", help="whose memory the model must fit (default: %(default)s)"
    )
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    path = Path(args.target)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder", "inspect takes a model file (.oxm or .onnx) or a serial port")
    if path.is_file():
        _refuse_other_kinds(path)
    if path.is_file() and path.suffix.lower() not in ("", ".oxm", ".onnx"):
        _refuse_unknown(path)
    if path.is_file() or path.suffix.lower() in (".oxm", ".onnx"):
        from onnxino_tools.inspect.report import inspect_file

        facts = inspect_file(path, args.board)
        shown = facts
    else:
        hello = ask(args.target)
        facts, shown = of_device(hello), for_people(hello)
    if args.json:
        ui.out_json(facts)
        return 0
    for line in as_text(shown):
        ui.out(line)
    return 0


def _refuse_other_kinds(path: Path) -> None:
    """Raises InputError for data, images and C source, whatever they are called."""
    from onnxino_converter.importer.kinds import kind_of

    with open(path, "rb") as file:
        kind = kind_of(file.read(4096), path)
    if kind is not None:
        raise InputError(f"'{path}' is {kind.name}; a model (.oxm or .onnx) was expected", kind.hint)


def _refuse_unknown(path: Path) -> None:
    """Raises InputError for a file that is no model by its name; models of other kinds are explained by convert."""
    from onnxino_converter.importer.source import FOREIGN

    if path.suffix.lower() not in FOREIGN:
        raise InputError(
            f"'{path}' is neither .oxm nor .onnx nor a serial port", "onnxino convert makes a .oxm of an .onnx file"
        )


def as_text(facts: dict[str, Any]) -> list[str]:
    """The facts for people."""
    lines = ui.table([(name.replace("_", " "), _text(value)) for name, value in facts.items() if name not in _TABLES])
    if "operators" in facts:
        lines += ["", *_operators(facts["operators"])]
    if "nodes" in facts:
        lines += ["", *_nodes(facts)]
    for note in facts.get("notes", []):
        lines += ["", f"  {note['message']}"]
        lines += [f"  hint: {note['hint']}"] if note["hint"] else []
    return lines


def _operators(operators: list[dict[str, Any]]) -> list[str]:
    from onnxino_tools.inspect.device import MEANING

    rows = [["operator", "kernel", "output", "scale, zero point", "multiply-adds", "runs"]]
    for row in operators:
        macs = f"{row['macs']:,}" if row["macs"] else "-"
        rows.append(
            [row["name"], row["kernel"], ", ".join(row["outputs"]), row["quantization"], macs, str(row["exactness"])]
        )
    counts = Counter(str(row["exactness"]) for row in operators)
    legend = [[f"{counts[name]:,}", name, meaning] for name, meaning in MEANING.items() if counts[name]]
    return [*ui.table(rows, right=(4,)), "", *ui.table(legend, right=(0,))]


def _nodes(facts: dict[str, Any]) -> list[str]:
    nodes = facts["nodes"]
    rows = [["node", "operator", "output", "state"]]
    rows += [[n["name"], n["operator"], ", ".join(n["outputs"]), n["state"]] for n in nodes]
    lines = [*ui.table(rows), ""]
    refused = [n for n in nodes if n["state"] == "unsupported"]
    hints = dict.fromkeys(n["hint"] for n in refused if n["hint"])
    problem = facts["problem"]
    if problem is not None:
        lines.append(f"  cannot be converted: {problem['message']}")
        hints = {**({problem["hint"]: None} if problem["hint"] else {}), **hints}
    if refused:
        start = "and" if problem is not None else "cannot be converted:"
        lines.append(f"  {start} {len(refused):,} of {len(nodes):,} nodes are not supported")
        lines += ui.table([[n["name"], n["operator"], n["reason"]] for n in refused], indent="    ")
    lines += [f"  hint: {hint}" for hint in hints]
    unchecked = sum(n["state"] == "not checked" for n in nodes)
    if unchecked:
        why = "that comes first" if problem is not None else "what they read depends on nodes that are not supported"
        lines.append(f"  {ui.counted(unchecked, 'node')} could not be checked: {why}")
    if not facts["complete"]:
        lines.append("  there may be more: what is named here must be solved first")
    return lines


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        if fields.keys() == {"name", "type", "shape"}:
            shape = "" if fields["shape"] is None else f" {fields['shape']}"
            return f"{fields['name']}: {fields['type'] or '?'}{shape}"
        return ", ".join(f"{name}={_text(item)}" for name, item in fields.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
