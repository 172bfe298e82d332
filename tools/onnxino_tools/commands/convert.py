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
        "model", metavar="MODEL.onnx", help="statically quantized ONNX model; a float one with --calibrate or --float"
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
        from onnxino_tools.classes import classes_for

        labels = labels or classes_for(args.calibrate, source)
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
    if args.float:
        _note_float(args.model)
    name = converted.name
    folder = Path(args.output)
    created = "" if folder.is_dir() else " (a new folder)"
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
        ui.out(f"  wrote             {', '.join(file for file, _ in files)} to {folder}{created}")
        for line in what_next(converted.model, folder / files[0][0], Path(args.model)):
            ui.talk(line)
    return 0


def _note_float(path: str) -> None:
    """Says that --float changes nothing where the model is quantized already."""
    from onnxino_converter.importer import import_graph, load_source
    from onnxino_converter.pipeline import is_quantized

    if is_quantized(import_graph(load_source(path).model)):
        ui.note("the model is quantized already: --float changes nothing")


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


def what_next(content: bytes, oxm: Path, source: Path) -> list[str]:
    """The commands that run this model; for one of several samples at once, what that costs and how to get one."""
    from onnxino import load_model

    model = load_model(content)
    file = shlex.quote(str(oxm))
    sizes = {port.name: int(port.shape[0]) for port in model.inputs if len(port.shape)}
    batch = max(sizes.values(), default=1)
    if batch > 1:
        shape = ", ".join(str(int(d)) for d in model.inputs[0].shape)
        return [
            f"note: the input is [{shape}]: if {batch} is the batch, the device takes {batch} samples at once, in "
            f"{batch} times the RAM and time of one; run and serial-eval take models of one",
            f"for one: {one_sample(source, [p.name for p in (*model.inputs, *model.outputs)], batch)}",
        ]
    if len(model.inputs) > 1:
        feeds = ", ".join(f"{port.name!r}: ..." for port in model.inputs)
        return [f"next: in Python, onnxino.InferenceSession({str(oxm)!r}).run(None, {{{feeds}}})"]
    image = len(model.inputs[0].shape) == 4
    return [
        f"next: onnxino run {file} {'IMAGE' if image else 'DATA.npy'}",
        f"or:   onnxino serial-eval --port emulator --model {file} --data {'DATA' if image else 'DATA.npz'}",
    ]


def one_sample(source: Path, names: list[str], batch: int) -> str:
    """The command that writes an ONNX model with a batch of 1 beside this one."""
    target = source.with_name(f"{source.stem}_batch1.onnx")
    code = (
        f"import onnx; m = onnx.load({json.dumps(str(source))}); "
        "d = [p.type.tensor_type.shape.dim[0] for p in [*m.graph.input, *m.graph.output] "
        f"if p.name in {json.dumps(names)} and len(p.type.tensor_type.shape.dim)]; "
        f'[setattr(x, "dim_value", 1) for x in d if x.dim_value == {batch}]; '
        f"del m.graph.value_info[:]; onnx.save(m, {json.dumps(str(target))})"
    )
    return f"python -c {shlex.quote(code)}"


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
