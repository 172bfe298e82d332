"""Make a trained float model small: prune -> fine-tune or distil -> quantize, with what each stage costs and gains.

Without options it quantizes to 8 bits. Writes NAME.onnx (float), NAME_int8.onnx, NAME.oxm, report.json and recipe.toml
(with which the run can be repeated) into DIR. An interrupted run goes on where it was when it is called again.
Everything is chosen by the validation images; pruning and quantization need no more than NumPy, what trains needs the
extra 'train'.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino_tools import arguments, ui
from onnxino_tools.arguments import UsageError
from onnxino_tools.compress_options import add_recipe, recipe_values

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino_tools.compress import CompressResult, Event, Recipe

EVERY = 30.0  # seconds between lines of progress, where there is no terminal


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx", help="a trained classifier in float32")
    parser.add_argument("-o", "--output", metavar="DIR", help="where to write (created)")
    parser.add_argument("--recipe", metavar="F.toml", help="options as a file (docs/compressing.md); others come first")
    parser.add_argument("--name", metavar="N", help="name of the files (default: from MODEL)")
    parser.add_argument("--seed", type=int, metavar="S", help="of everything random (default: 0)")
    parser.add_argument("--html", metavar="F.html", help="write the report to look at, too")
    parser.add_argument(
        "--compare", action="store_true", help="none, P, Q, D, P+Q and P+D+Q side by side in one table, no model files"
    )
    parser.add_argument(
        "--sensitivity",
        action="store_true",
        help="only show the accuracy with each layer pruned alone, and the ratios that --max-drop allows",
    )
    parser.add_argument("--no-latency", action="store_true", help="leave out the emulator's estimates: quicker")
    add_recipe(parser)
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    arguments.pixel_options(args)  # checks them
    values, folder = recipe_values(args)
    if args.output is None and not (args.compare or args.sensitivity):
        raise UsageError("the following arguments are required: -o/--output", "onnxino compress --help")
    if args.compare and args.sensitivity:
        raise UsageError("--compare and --sensitivity cannot be given together", "say one of them")
    if args.sensitivity:
        return _sensitivity(args, values, folder)
    from onnxino_tools.compress.recipe import from_mapping

    recipe = from_mapping(values, folder)
    return _compare(args, recipe) if args.compare else _compress(args, recipe)


def _compress(args: Namespace, recipe: Recipe) -> int:
    from onnxino_tools.compress import compress
    from onnxino_tools.compress.rows import table

    with _News(args.output) as news:
        result = compress(
            args.model,
            args.data,
            recipe,
            output=args.output,
            name=args.name,
            html=args.html,
            latency=not args.no_latency,
            progress=news.tell,
        )
    if args.json:
        ui.out_json(result.as_dict())
        for text in result.warnings:
            ui.note(text)
        return 0
    for line in table([stage.row for stage in result.stages]):
        ui.out(line)
    for line in _summary(result):
        ui.out(line)
    from onnxino_tools.compress.result import file_names

    page = "" if args.html is None else f", and the report to {args.html}"
    ui.out(f"  wrote {', '.join(file_names(result.name, recipe, None))} to {args.output}{page}")
    for line in _next(args, result):
        ui.out(line)
    for text in result.warnings:
        ui.note(text)
    return 0


def _summary(result: CompressResult) -> list[str]:
    """What is said below the table."""
    from onnxino_tools.compress.rows import percent

    lines = [""]
    lines += [f"  not pruned: {skipped.node}: {skipped.reason}" for skipped in result.skipped]
    first, last = result.stages[0].row, result.stages[-1].row
    times = first.weight_bytes / last.weight_bytes if last.weight_bytes else 1.0
    lines.append(
        f"  {times:.1f} times fewer bytes of weights, accuracy {100 * (last.accuracy - first.accuracy):+.2f} points "
        f"on the validation images{'' if last.latency_ms is None else '; latency is an estimate'}"
    )
    if result.recipe.data.evaluate is not None and result.report.accuracy is not None:
        found = result.report.accuracy
        share = percent(found.top1)
        lines.append(f"  accuracy on '{result.evaluated}': {share} ({found.correct} of {found.images})")
    if result.misfit is not None:
        lines.append(f"  it does not fit the board: {result.misfit}")
    return lines


def _next(args: Namespace, result: CompressResult) -> list[str]:
    """Commands that look closer at the result: on the emulated board, and beside the original."""
    import shlex

    made = shlex.quote((Path(args.output) / f"{result.name}.oxm").as_posix())
    model, data = (shlex.quote(str(path)) for path in (args.model, args.data))
    # Which images choose is no split that other commands know where they are a share of those that train.
    held = result.recipe.data.validation
    split = f" --split {shlex.quote(held)}" if isinstance(held, str) else ""
    lines = [f"onnxino report {made} --data {data}{split} --baseline {model} --html report.html"]
    if result.misfit is None:
        lines.insert(0, f"onnxino serial-eval --port emulator --model {made} --data {data}{split}")
    return [f"  {'next:' if number == 0 else '     '} {line}" for number, line in enumerate(lines)]


def _compare(args: Namespace, recipe: Recipe) -> int:
    from onnxino_tools.compress import compare

    with _News(args.output) as news:
        result = compare(
            args.model, args.data, recipe, output=args.output, latency=not args.no_latency, progress=news.tell
        )
    if args.json:
        ui.out_json(result.as_dict())
        return 0
    for line in result.table():
        ui.out(line)
    if args.output is not None:
        ui.talk(f"wrote report.json and recipe.toml to {args.output}")
    return 0


def _sensitivity(args: Namespace, values: dict[str, Any], folder: Path | None) -> int:
    from onnxino_tools.compress.analysis import analyse

    with _News(None) as news:
        found = analyse(args.model, args.data, values, folder, output=args.output, progress=news.tell)
    if args.json:
        ui.out_json(found.as_dict())
        return 0
    for line in found.table():
        ui.out(line)
    if args.output is not None:
        ui.talk(f"wrote sensitivity.json and recipe.toml to {args.output}")
    return 0


class _News:
    """What a run tells: lines, and a bar while it trains (a line every 30 seconds where there is no terminal)."""

    def __init__(self, output: str | None) -> None:
        self._bar: ui.Progress | None = None
        self._output = output
        self._told = time.monotonic()

    def __enter__(self) -> _News:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._output is not None:
            ui.talk()
            ui.note(f"what is done is kept in {self._output}/checkpoint: the same command goes on from there")

    def _line(self, event: Event) -> None:
        """Where there is no terminal for a bar: a line now and then."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            ui.talk(f"{event.text}: {event.done} of {event.total}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def tell(self, event: Event) -> None:
        """One event."""
        if event.kind == "epoch" and not sys.stderr.isatty():
            self._line(event)
            return
        if event.kind == "epoch":
            if self._bar is None:
                self._bar = ui.Progress(event.total, "epochs", event.text)
            self._bar.update(event.done)
            return
        self._close()
        if event.result is not None:
            from onnxino_tools.compress.rows import sentence

            ui.talk(sentence(event.result.row, event.result.seconds))
        else:
            ui.note(event.text)
