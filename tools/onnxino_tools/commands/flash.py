"""Write firmware and a model into a board over its USB port, and prove that they are there.

FILE is a firmware image (.bin), a model (.oxm, or .onnx to convert on the fly), or one of each. Without FILE, the
firmware that came with Onnxino is written. With a model alone, the firmware stays where it runs the model.

The board's own bootloader does the writing; nothing else is needed. Only pages that differ are written, each is
verified by checksums, and at the end the firmware says the CRC-32 of what it has; an image that is not Onnxino's
says nothing, so all of it is written. An interrupted call does no harm: call it again.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino_tools.flasher import FlashResult
    from onnxino_tools.flasher.ports import Ports

_STEPS = {
    "connect": "looking for the board",
    "compare": "comparing",
    "write": "writing",
    "verify": "verifying",
    "start": "starting the firmware",
    "load": "loading the model",
}
_BOOTLOADERS = {1: "BL1, the one of 2019", 2: "BL2, the one of 2021"}


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="firmware image, model, or both")
    parser.add_argument(
        "--port", metavar="PORT", help="the board's serial port, or emulator (default: the only board connected)"
    )
    parser.add_argument(
        "--method",
        choices=["bootloader", "pyocd"],
        help="bootloader: over USB, even where the firmware could load the model; pyocd: with a debug probe (SWD)",
    )
    parser.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look at the checksums of all pages once more at the end (default; each is looked at once anyhow)",
    )
    parser.add_argument("--state", metavar="FILE", help="with --port emulator: the file that is its flash")
    parser.add_argument(
        "--bootloader",
        choices=["bl1", "bl2"],
        help="with --port emulator: which bootloader it has (default: that of --state's file, or bl2)",
    )
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    from onnxino_tools.flasher import flash
    from onnxino_tools.flasher.content import sort_files
    from onnxino_tools.interrupt import Interrupt

    if len(args.files) > 2:
        raise arguments.UsageError(f"{len(args.files)} files were given", "one image and one model at most")
    for option in ("state", "bootloader"):
        if getattr(args, option) is not None and args.port != "emulator":
            raise arguments.UsageError(f"--{option} is for --port emulator", "onnxino flash --help")
    image, model = sort_files(args.files)
    with Interrupt() as interrupt, _ShownProgress() as shown, _told_when_interrupted(shown):

        def progress(step: str, done: int, total: int) -> None:
            interrupt.check()
            shown(step, done, total)

        def write(port: str | None, ports: Ports | None) -> FlashResult:
            return flash(
                image, model, port=port, method=args.method, verify=args.verify, progress=progress, ports=ports
            )

        if args.port == "emulator":
            from pathlib import Path

            from onnxino_tools.devices import need_emulator

            need_emulator()
            from onnxino_tools.flasher.emulated import EmulatedPorts

            with EmulatedPorts(args.bootloader, None if args.state is None else Path(args.state)) as ports:
                result = write(None, ports)
        else:
            result = write(args.port, None)
    for warning in result.warnings:
        ui.note(warning)
    if args.port == "emulator" and args.state is None:
        ui.note("this emulated board is gone now; one that stays: onnxino flash --port emulator --state board.flash")
    if args.json:
        ui.out_json(result.as_json())
    else:
        for line in report(result):
            ui.out(line)
    return 0


@contextlib.contextmanager
def _told_when_interrupted(shown: _ShownProgress) -> Generator[None]:
    """Says in which state Ctrl-C leaves the board."""
    try:
        yield
    except KeyboardInterrupt:
        shown.end()
        if shown.writing:
            ui.note("nothing is lost: the board waits in its bootloader, and the same command finishes")
        raise


class _ShownProgress:
    """A bar for each step; where there is no terminal, a line when a step begins. `writing`: through the bootloader."""

    def __init__(self) -> None:
        self.writing = False
        self._step: str = ""
        self._bar: ui.Progress | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        if step != self._step:
            self.end()
            self._step = step
            self.writing = step in ("compare", "write", "verify")
            self._bar = ui.Progress(total, "bytes" if step == "load" else "pages", _STEPS[step])
            if not self._bar.active or total == 1:
                ui.talk(_STEPS[step] + (f" {ui.counted(total, 'page')}" if total > 1 and step != "load" else ""))
        if self._bar is not None and total > 1:
            self._bar.update(done)

    def end(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> _ShownProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def report(result: FlashResult) -> list[str]:
    """The result for people."""
    rows: list[tuple[str, str]] = [("board", result.port + (f", chip {result.chip}" if result.chip else ""))]
    hello = result.hello
    if result.image or hello is not None:
        unknown = "" if result.method == "pyocd" else "not one of Onnxino"
        version = unknown if hello is None else f"{hello.firmware_version} answers"
        rows.append(("firmware", ", ".join(filter(None, [result.image, version]))))
    if hello is not None:
        name = hello.model_name if hello.model_valid else "no valid model in flash"
        rows.append(("model", ", ".join(filter(None, [result.model, name]))))
        if hello.bootloader in _BOOTLOADERS:
            rows.append(("bootloader", _BOOTLOADERS[hello.bootloader]))
    if hello is None and result.model:
        rows.append(("model", result.model))
    if result.method != "application":
        verified = f", {result.pages_verified} verified" if result.pages_verified else ""
        rows.append(("pages", f"{result.pages_written} of {result.pages} written{verified}"))
    if result.resumed:
        rows.append(("resumed", f"{ui.counted(result.resumed, 'time')}, after the board had disappeared"))
    rows.append(("time", f"{result.seconds:.1f} s"))
    return ui.table(rows)
