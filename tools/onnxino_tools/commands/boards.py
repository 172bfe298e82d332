"""List the boards that are connected by USB, and what runs on them: the application or the bootloader.

For what the firmware says of itself: onnxino inspect PORT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--udev-rule", action="store_true", help="print the rule that lets everybody use the board on Linux"
    )
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    from onnxino_tools.boards import UDEV_FILE, UDEV_RULE, connected_boards, not_found_hint

    if args.udev_rule:
        ui.out(UDEV_RULE)
        ui.talk(f"put this into {UDEV_FILE}, then: sudo udevadm control --reload, and plug the board in again")
        return 0
    boards = connected_boards()
    if args.json:
        ui.out_json(
            [
                {
                    "port": board.port,
                    "mode": board.mode,
                    "usb": f"2341:{board.product_id:04X}",
                    "serial_number": board.serial_number,
                    "chip": board.chip,
                    "title": board.title,
                }
                for board in boards
            ]
        )
        return 0
    for line in ui.table([(b.port, b.mode, b.chip or "no serial number", b.title) for b in boards]):
        ui.out(line)
    if not boards:
        ui.talk("no board is connected")
        ui.talk(f"hint: {not_found_hint('onnxino demo, or any command with --port emulator')}")
    return 0
