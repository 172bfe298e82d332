"""Show what a model is worth and what it costs on the board.

Accuracy with its interval, precision and recall of each class, confusion matrix; sizes, memory and work; latency as the
emulator estimates it; the time to upload; with --html each layer's weights and the wrongly classified images. With
--baseline, how much smaller the model is, and what that did to its accuracy. Without --data, what can be told of the
model alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino_tools.report import Report


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help=".onnx (float or quantized) or .oxm")
    parser.add_argument("--html", metavar="F.html", help="write everything as one HTML file that needs nothing else")
    parser.add_argument("--baseline", metavar="B.onnx", help="the model to compare with (.onnx or .oxm)")
    parser.add_argument(
        "--thumbnails",
        type=_count,
        default=24,
        metavar="N",
        help="how many wrongly classified images to show in HTML and JSON, the surest first (default: %(default)s)",
    )
    parser.add_argument("--no-latency", action="store_true", help="do not run the emulator for an estimate")
    arguments.add_data(parser, required=False)
    arguments.add_preprocessing(parser)
    arguments.add_json(parser)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def run(args: Namespace) -> int:
    options = arguments.pixel_options(args)
    if args.data is None and (args.split is not None or args.limit is not None):
        raise arguments.UsageError("--split and --limit choose among data", "give them with --data")
    if args.html is not None:
        _check_html(args)
    from onnxino_tools.report.measure import Wanted, measured

    with ui.Progress(1, "images", "report") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.label, bar.total = what, total
            bar.update(done)

        wanted = Wanted(
            pixels=options,
            split=args.split,
            limit=args.limit,
            resize=args.resize,
            latency=not args.no_latency,
            thumbnails=args.thumbnails if args.html is not None or args.json else 0,
            progress=progress,
        )
        report = measured(args.model, args.data, wanted, args.baseline)
    if args.html is not None:
        _write_html(args.html, report)
    if args.json:
        ui.out_json(report.as_dict())
        return 0
    from onnxino_tools.report.text import lines

    for line in lines(report):
        ui.out(line)
    if args.html is not None:
        ui.out(f"  wrote             {args.html}")
    return 0


def _check_html(args: Namespace) -> None:
    """Before the work: whether the file can be written, and is none of those that are read. Raises InputError."""
    from onnxino_tools.files import check_apart, check_writable

    check_apart([args.html], [path for path in (args.model, args.data, args.baseline) if path is not None])
    check_writable(args.html, "report.html")


def _write_html(path: str, report: Report) -> None:
    from onnxino_tools.files import write_whole
    from onnxino_tools.report.html import render

    content = render(report).encode()
    write_whole(path, lambda file: _discard(file.write(content)))


def _discard(_: object) -> None:
    """For a lambda that returns nothing."""
