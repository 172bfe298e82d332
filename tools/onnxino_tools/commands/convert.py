"""Turn a quantized ONNX model, or with --calibrate or --float a float one, into what a microcontroller needs.

Writes NAME.oxm (the model file that every part of Onnxino runs), NAME.c and NAME.h (the same bytes as a C array, with
the quantization of inputs and outputs as macros) and NAME.report.json (work, sizes and memory) into DIR.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError
from onnxino_tools import arguments, ui
from onnxino_tools.calibrate import add_calibration, check_options, note_steps, quantized
from onnxino_tools.files import check_apart, write_all

if TYPE_CHECKING:
    from argparse import Namespace


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument(
        "model", metavar="MODEL.onnx", help="statically quantized ONNX model; a float one with --calibrate"
    )
    parser.add_argument("-o", "--output", default=".", metavar="DIR", help="where to write (created; default: here)")
    parser.add_argument("--name", metavar="N", help="name of the files and the C symbols (default: from the file)")
    parser.add_argument("--labels", metavar="L", help="class names: a text file, one a line, or a,b,c")
    parser.add_argument(
        "--board", default="nano33ble", metavar="B", help="whose memory the model must fit (default: %(default)s)"
    )
    parser.add_argument(
        "--float", action="store_true", help="convert a model that is not quantized as it is, in float32"
    )
    parser.add_argument(
        "--save-onnx-optimized",
        metavar="F",
        help="also write what the device will run as an ONNX file for viewers such as Netron (no runtime runs it)",
    )
    arguments.add_preprocessing(parser)
    add_calibration(parser)
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    options = arguments.pixel_options(args)
    check_options(args)
    labels = None if args.labels is None else read_labels(args.labels)
    from onnxino_converter import convert
    from onnxino_converter.names import identifier

    preprocessing = options.metadata()
    source, name = args.model, args.name
    _check_outputs(args, name or identifier(Path(args.model).stem))
    if args.calibrate is not None:
        source, name = quantized(args), name or identifier(Path(args.model).stem)
    converted = convert(
        source,
        name=name,
        labels=labels,
        preprocessing=preprocessing,
        board=args.board,
        float=args.float,
        save_onnx_optimized=args.save_onnx_optimized,
    )
    if args.calibrate is not None:
        note_steps(converted.report, args)
    name = converted.name
    folder = Path(args.output)
    report = json.dumps(converted.report, indent=2) + "\n"
    files: list[tuple[str, bytes]] = [
        (f"{name}.oxm", converted.model),
        (f"{name}.c", converted.c_source.encode()),
        (f"{name}.h", converted.c_header.encode()),
        (f"{name}.report.json", report.encode()),
    ]
    write_all(folder, files)
    if args.json:
        ui.out(report.rstrip())
    else:
        for line in summary(converted.report):
            ui.out(line)
        ui.out(f"  wrote             {', '.join(file for file, _ in files)} to {folder}")
        oxm = shlex.quote(str(folder / files[0][0]))
        ui.talk(f"next: onnxino run {oxm} IMAGE")
        ui.talk(f"or:   onnxino serial-eval --port emulator --model {oxm} --data DATA")
    return 0


def _check_outputs(args: Namespace, name: str) -> None:
    """Raises InputError where a file to be written is one of those that are read: nothing may be lost by a slip."""
    inputs = [args.model, *(given for given in (args.calibrate, args.labels) if given and os.path.exists(given))]
    outputs = [given for given in (args.save_onnx, args.save_onnx_optimized) if given is not None]
    folder = Path(args.output)
    check_apart([*outputs, *(folder / f"{name}{end}" for end in (".oxm", ".c", ".h", ".report.json"))], inputs)


def read_labels(text: str) -> list[str]:
    """Class names from a text file (one a line) or from a list with commas. Raises InputError."""
    file = Path(text)
    if file.is_file():
        try:
            names = file.read_text("utf-8-sig").split("\n")
        except UnicodeDecodeError as e:
            raise InputError(f"the labels in '{file}' are not UTF-8 text: {e}") from e
    elif "," in text:
        names = text.split(",")
    else:
        raise InputError(
            f"there is no file of labels '{text}'", "one name a line; or the names themselves: --labels cat,dog"
        )
    labels = [name.strip() for name in names if name.strip()]
    if len(set(labels)) != len(labels):
        raise InputError("two labels are the same", "each class needs its own name")
    return labels


def summary(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    rows = [
        ("multiply-adds", f"{report['macs']:,}"),
        ("parameters", f"{report['parameters']:,} ({report['nonzero']:,} not zero)"),
        ("weights", ui.size(report["weight_bytes"])),
        ("constants", ui.size(report["constant_bytes"])),
        ("working memory", f"{ui.size(report['arena_bytes'])} of RAM"),
        ("model file", f"{ui.size(report['model_bytes'])} of flash"),
    ]
    return ui.table([(f"{name:16}", value) for name, value in rows])
