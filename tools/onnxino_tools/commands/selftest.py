"""Measure a board with fixed models, and write one file that can be passed on.

Each output byte and each operator's output is compared with the reference; cycles of each operator stand beside what
the emulator estimates. The file holds versions, measurements and counters, and no number of the chip: a mark made from
it tells boards apart (docs/hardware.md). The board's own model is put back at the end, also after Ctrl-C or SIGTERM;
until then it is kept in a file, which a later selftest finds when this one was cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError
from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--port", metavar="PORT", help="serial port, URL of pyserial, or emulator (default: the only board connected)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where the result goes (default: onnxino-selftest.json)")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    import json
    from pathlib import Path

    from onnxino_tools.devices import connect
    from onnxino_tools.files import check_writable, write_whole
    from onnxino_tools.interrupt import Interrupt
    from onnxino_tools.selftest import selftest

    path = args.output or (None if args.json else "onnxino-selftest.json")
    if path is not None:
        if Path(path).is_dir():
            raise InputError(f"'{path}' is a folder, the name of a file was expected")
        check_writable(path, "onnxino-selftest.json")
    with connect(args.port, 0) as connection, Interrupt() as interrupt, ui.Progress(2, "models", "measure") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.update(done)
            interrupt.check()

        result = selftest(connection.link, progress, ui.talk)
    if path is not None:
        content = (json.dumps(result, indent=2) + "\n").encode()
        write_whole(path, lambda file: _discard(file.write(content)))
    if args.json:
        ui.out_json(result)
    else:
        for line in report(result):
            ui.out(line)
        ui.talk(f"written: {path}")
    if not result["ok"]:
        ui.error("the board computes other bytes than the reference", "please report this with the file")
        return 1
    return 0


def report(result: dict[str, Any]) -> list[str]:
    """The result for people."""
    lines: list[str] = []
    for model in result["models"]:
        rows = [("", "cycles", "estimated", "with 2 wait states")]
        rows += [
            (
                f"{o['name']} ({o['kernel']})",
                f"{o['cycles']:,}",
                _number(o["estimated_0_wait_states"]),
                _number(o["estimated_2_wait_states"]),
            )
            for o in model["operators"]
        ]
        median = sorted(model["microseconds"])[len(model["microseconds"]) // 2] / 1000
        wrong = "all bytes right" if model["ok"] else f"{model['bytes_different']} bytes differ"
        lines += [f"{model['name']}: {median:.2f} ms, {wrong}", *ui.table(rows, right=range(1, 4)), ""]
    lines.append("memory, cycles for a word")
    lines += ui.table(
        [(m["memory"], f"{m['words']:,} words", f"{m['cycles'] / m['words']:.2f}") for m in result["memory"]],
        right=[1, 2],
    )
    return lines


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _discard(_: object) -> None:
    """For a lambda that returns nothing."""
