"""Command line arguments: a parser that reports instead of exiting, and option groups that several commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from onnxino.errors import OnnxinoError
from onnxino_tools import ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxino.pixels import PixelOptions


class UsageError(OnnxinoError):
    """The command line is wrong: exit code 2."""


class _HelpShown(Exception):
    """--help was given; everything is said."""


class Parser(argparse.ArgumentParser):
    """argparse with errors as exceptions and help through the safe writer."""

    def __init__(self, prog: str, description: str) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=prog, description=description, formatter_class=formatter, allow_abbrev=False)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace | None:
        """The parsed arguments, or None where --help was answered. Raises UsageError."""
        try:
            return self.parse_args(argv)
        except _HelpShown:
            return None

    def print_help(self, file: object = None) -> None:
        ui.out(self.format_help().rstrip())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _HelpShown

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self._meant(message) or f"{self.prog} --help")

    def _meant(self, message: str) -> str | None:
        """The option that an unknown one is close to."""
        import difflib

        words = message.partition("unrecognized arguments: ")[2].split()
        unknown = next((word.partition("=")[0] for word in words if word.startswith("--")), None)
        if unknown is None:
            return None
        near = difflib.get_close_matches(unknown, [o for o in self._option_string_actions if o.startswith("--")], n=1)
        return f"did you mean {near[0]}? {self.prog} --help lists the options" if near else None


def positive(text: str) -> int:
    """argparse type: an integer of 1 or more."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def numbers(text: str) -> list[float]:
    """argparse type: one number, or one for each channel, separated by commas."""
    return [number(part) for part in text.split(",")]


def number(text: str) -> float:
    """argparse type: a number, or a fraction such as 1/255."""
    top, slash, bottom = text.partition("/")
    if not slash:
        return float(text)
    if float(bottom) == 0:
        raise ValueError
    return float(top) / float(bottom)


def add_json(parser: Parser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print the result, or the error, as JSON on stdout")


def add_save(parser: Parser, what: str) -> None:
    """--save FILE.npz."""
    parser.add_argument("--save", metavar="F.npz", help=f"write {what} to a NumPy archive")


def check_save(args: argparse.Namespace) -> None:
    """Before the work: whether --save's file can be written at its end. Raises InputError."""
    if args.save is not None:
        from onnxino_tools.files import check_writable

        check_writable(args.save)


def add_preprocessing(parser: Parser) -> None:
    """How pixels become the model's input: real = (pixel * scale - mean) / std."""
    group = parser.add_argument_group(
        "pixels",
        "how pixels (0..255) become the model's input: (pixel * SCALE - MEAN) / STD; by default read off the model",
    )
    group.add_argument("--scale", type=number, metavar="F", help="for example 1/255")
    group.add_argument("--mean", type=numbers, metavar="M[,M,M]", help="one number, or one for each channel")
    group.add_argument("--std", type=numbers, metavar="S[,S,S]", help="one number, or one for each channel")
    group.add_argument("--layout", choices=["NHWC", "NCHW"], help="order of the input's axes")


def pixel_options(args: argparse.Namespace) -> PixelOptions:
    """What add_preprocessing's options say. Raises UsageError."""
    from onnxino.pixels import PixelOptions

    if args.std is not None and not all(value > 0 for value in args.std):
        raise UsageError("--std must be above 0", "it divides the pixels: (pixel * SCALE - MEAN) / STD")
    if args.scale is None and (args.mean is not None or args.std is not None):
        hint = "say --scale 1 for pixels of 0..255, --scale 1/255 for 0..1"
        raise UsageError("--mean and --std need --scale", hint)
    return PixelOptions(args.scale, args.mean, args.std, args.layout)


def add_data(parser: Parser, required: bool = True) -> None:
    """--data, --split, --limit, --resize."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", required=required, metavar="DATA", help=".npz (images, labels), folder of class folders, or .npy"
    )
    group.add_argument(
        "--split",
        metavar="NAME",
        help="only this split of the data (default: test, where there is one; all: everything)",
    )
    group.add_argument(
        "--limit", type=positive, metavar="N", help="only N images (the first; of a folder, an even mixture)"
    )
    add_resize(group)


def add_resize(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    """--resize: how image files become the model's size."""
    choices = ["crop", "stretch", "pad"]
    text = "image files: cut the centre out (default), distort, or add black borders"
    parser.add_argument("--resize", choices=choices, default="crop", help=text)
