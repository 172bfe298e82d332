"""Compile the firmware for the board.

Not needed to use Onnxino: the image in the package serves every model. Writes onnxino-BOARD.bin (to be flashed at
0x10000) and .elf into DIR. ziglang from PyPI and arm-none-eabi-gcc give images that compute the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument("-o", "--output", default="build", metavar="DIR", help="where to write (default: %(default)s)")
    parser.add_argument(
        "--compiler", choices=["zig", "gcc"], default="zig", help="default: zig (pip install 'onnxino[toolchain]')"
    )
    parser.add_argument("--board", default="nano33ble", metavar="B", help="default: %(default)s")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    import hashlib

    from onnxino_tools.build import build
    from onnxino_tools.build_sizes import FLASH_LIMIT, RAM_LIMIT

    if not args.json:
        ui.talk(f"compiling the firmware for {args.board} with {args.compiler} ...")
    built = build(args.output, args.compiler, board=args.board)
    path, sizes = built.path, built.sizes
    image = path.read_bytes()
    digest = hashlib.sha256(image).hexdigest()
    if args.json:
        ui.out_json(
            {
                "image": str(path),
                "bytes": len(image),
                "sha256": digest,
                "compiler": args.compiler,
                "sizes": sizes.as_dict(),
            }
        )
    else:
        rows = [("image", str(path)), ("size", ui.size(len(image))), ("SHA-256", digest)]
        rows.append(("of it firmware", f"{ui.size(sizes.firmware)}, of {ui.size(FLASH_LIMIT)} at most"))
        rows.append(("RAM", f"{ui.size(sizes.ram)}, of {ui.size(RAM_LIMIT)} at most, and {ui.size(sizes.arena)} arena"))
        for line in ui.table(rows):
            ui.out(line)
        ui.talk(f"next: onnxino emulate --image {path}")
    return 0
