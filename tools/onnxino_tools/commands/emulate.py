"""Run the emulated board; its serial port appears as a pty, or on TCP.

Other programs use it like the real board, for example: onnxino serial-eval --port PORT ... It runs until Ctrl-C. Flash
keeps what is loaded as long as the emulator runs, and longer with --state. With --bootloader the board boots as the
real one does and can be flashed over its USB port (onnxino flash); without --image its flash is empty at first. Type
reset, double-tap, unplug or plug to do that to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.boards import BOARDS, NANO33BLE
from onnxino.errors import InputError
from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("--model", metavar="M.oxm", help="model in flash from the start (.oxm, or .onnx to convert)")
    parser.add_argument(
        "--image",
        metavar="F.bin",
        help="firmware image (default: the one that came with Onnxino; with --bootloader: what is in flash)",
    )
    _add_board(parser)
    parser.add_argument(
        "--tcp",
        nargs="?",
        const="127.0.0.1:0",
        metavar="HOST:PORT",
        help="serve on TCP instead of a pty; without a value: 127.0.0.1 and any free port",
    )
    parser.add_argument("--port-file", metavar="FILE", help="write the port's name to FILE once it is there")
    parser.add_argument(
        "--count",
        choices=["auto", "native", "python", "off"],
        default="auto",
        help="how cycles are counted (default: auto: native where there is a C compiler)",
    )
    parser.add_argument(
        "--wait-states", type=int, default=0, metavar="N", help="cycles that a data read from flash waits (default: 0)"
    )
    parser.add_argument("--baud-pacing", action="store_true", help="bytes take the time that they take on the wire")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when stdin does: for parent programs")
    parser.add_argument(
        "--commands",
        action="store_true",
        help="take commands from stdin, one a line: reset, double-tap, unplug, plug (a terminal is asked anyway)",
    )
    arguments.add_json(parser)


def _add_board(parser: arguments.Parser) -> None:
    """What makes it the whole board."""
    parser.add_argument(
        "--board", choices=list(BOARDS), default=NANO33BLE.name, help=f"the board (default: {NANO33BLE.name})"
    )
    parser.add_argument(
        "--bootloader",
        choices=["bl1", "bl2"],
        help="go through the bootloader at each reset: bl1 (2019) or bl2 (2021); without it, the image starts at once",
    )
    line = parser.add_mutually_exclusive_group()
    line.add_argument("--usb", action="store_true", help="the port is the board's USB port")
    line.add_argument("--uart", action="store_true", help="the port is the UART at its pins D0 and D1 (the default)")
    parser.add_argument("--state", metavar="FILE", help="keep the flash in FILE; made where there is none")
    parser.add_argument(
        "--link-faults",
        metavar="SPEC",
        help="inject faults into the line, for example seed=7,drop=1e-4,stall=1e-5:50ms,unplug=@5000:1s",
    )


def run(args: Namespace) -> int:
    from onnxino_tools.devices import need_emulator

    need_emulator()
    from onnxino_tools.build import firmware_image
    from onnxino_tools.emulator.command import emulate

    image, elf = None if args.image is None else _read(args.image), b""
    if image is None and args.bootloader is None:
        image = firmware_image()
    if args.image is not None and (symbols := Path(args.image).with_suffix(".elf")).is_file():
        elf = symbols.read_bytes()
    model = None
    if args.model is not None:
        from onnxino_tools.models import read_model

        model = read_model(args.model)

    def ready(port: str) -> None:
        if args.json:
            ui.out_json({"port": port})

    emulate(
        image,
        model,
        board=BOARDS[args.board],
        bootloader=args.bootloader,
        usb=args.usb,
        state=None if args.state is None else Path(args.state),
        link_faults=args.link_faults,
        tcp=args.tcp,
        port_file=None if args.port_file is None else Path(args.port_file),
        count=args.count,
        wait_states=args.wait_states,
        baud_pacing=args.baud_pacing,
        elf=elf,
        say=ui.talk,
        ready=ready,
        commands=args.commands or (not args.until_stdin_closes and _is_terminal()),
        end_with_stdin=args.until_stdin_closes,
    )
    return 0


def _is_terminal() -> bool:
    import sys

    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False


def _read(path: str) -> bytes:
    from onnxino_tools.build import BuildError, check_image

    hint = "onnxino build makes one; without --image, the finished one runs"
    try:
        image = Path(path).read_bytes()
        check_image(image)
    except OSError as e:
        raise InputError(f"the image '{path}' cannot be read: {e.strerror}", hint) from e
    except BuildError as e:
        raise InputError(f"'{path}' is no firmware image: {e.message}", hint) from e
    return image
