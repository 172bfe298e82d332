"""The command `onnxino`: finds the subcommand, and is the one door through which errors leave.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (128 + n by another signal n). Errors are text on stderr;
with --json a command that fails before it has a result also writes {"error": {"message": ..., "hint": ...}} to stdout.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from onnxino import __version__
from onnxino.errors import OnnxinoError
from onnxino_tools import ui
from onnxino_tools.arguments import Parser, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

# Name -> what `onnxino --help` says. commands/<name>.py (dashes become underscores) is imported when it is called.
COMMANDS = {
    "demo": "the whole path in one go: convert, load into the emulated board, classify real images",
    "convert": "turn a quantized ONNX model into a model file (.oxm) and a C array",
    "run": "classify image files on this computer, in the emulator or on a board",
    "serial-eval": "stream a data set to a board (or the emulator) and prove every output byte",
    "compress": "prune, fine-tune or distil, and quantize a float model until it fits",
    "report": "accuracy, sizes, work, latency and wrong images of a model, as text, JSON or HTML",
    "flash": "write firmware and a model into a board over USB",
    "boards": "list the boards that are connected",
    "selftest": "measure a board with fixed models, and write one file that can be passed on",
    "verify": "compare ONNX Runtime, NumPy, C and the emulator byte by byte",
    "emulate": "run the emulated board; its serial port appears as a pty or TCP port",
    "build": "compile the firmware (not needed: a finished image is included)",
    "inspect": "show what is in a model, what runs how, what cannot and why; or what a board says about itself",
    "doctor": "check Python, extras, compilers and serial ports",
}

ALIASES = {"info": "inspect"}


class Command(Protocol):
    """What a module in commands/ offers."""

    def add_arguments(self, parser: Parser) -> None: ...
    def run(self, args: Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; raises nothing."""
    ui.ensure_streams()
    ui.Said.data = False
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _guarded(arguments)
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing more can be said. Python would complain again at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1


def _guarded(arguments: list[str]) -> int:
    """The exit code. Every error goes to stderr, and as JSON to stdout where --json is given and nothing is there."""

    def fail(code: int, message: str, hint: str | None = None) -> int:
        ui.error(message, hint)
        if "--json" in arguments and not ui.Said.data:
            ui.out_json({"error": {"message": message, "hint": hint}})
        return code

    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except UsageError as e:
        return fail(2, e.message, e.hint)
    except OnnxinoError as e:
        return fail(1, e.message, e.hint)
    except BrokenPipeError:
        raise
    except MemoryError:
        return fail(1, "not enough memory")
    except OSError as e:
        where = f": {e.filename}" if e.filename else ""
        return fail(1, f"{e.strerror or e}{where}")
    except KeyboardInterrupt as e:
        ui.talk()
        number = signal.Signals(getattr(e, "number", signal.SIGINT))
        return fail(128 + number, "interrupted" if number == signal.SIGINT else f"ended by {number.name}")


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        if len(argv) > 1 and argv[0] == "help":
            return _dispatch([argv[1], "--help"])
        ui.out(_help())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        ui.out(f"onnxino {__version__}")
        return 0
    name = ALIASES.get(argv[0], argv[0])
    if name not in COMMANDS:
        raise _unknown(name)
    module = cast(Command, importlib.import_module(f"onnxino_tools.commands.{name.replace('-', '_')}"))
    parser = Parser(prog=f"onnxino {name}", description=(module.__doc__ or "").strip())
    module.add_arguments(parser)
    args = parser.parse(argv[1:])
    return 0 if args is None else module.run(args)


def _unknown(name: str) -> UsageError:
    import difflib

    kind = "option" if name.startswith("-") else "command"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean: onnxino {near[0]}" if near else "onnxino --help lists the commands"
    return UsageError(f"there is no {kind} '{name}'", hint)


def _help() -> str:
    rows = ui.table(list(COMMANDS.items()))
    lines = [
        "Onnxino: quantized ONNX models on microcontrollers, bit for bit as ONNX Runtime computes them.",
        "",
        "usage: onnxino COMMAND [OPTIONS]      onnxino COMMAND --help explains one",
        "",
        *rows,
        "",
        "  --version, --help",
        "",
        "First time here?  onnxino demo",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
