"""Opens devices: the emulated board in this process, and boards behind serial ports."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING

from onnxino.errors import LinkError, MissingExtraError
from onnxino_tools import ui

if TYPE_CHECKING:
    from onnxino_tools.connection import Connection
    from onnxino_tools.link import DeviceLink
    from onnxino_tools.protocol import Hello


def open_device(port: str) -> DeviceLink:
    """A link to a serial port, a URL of pyserial, or "emulator": the emulated board in this process.

    Raises LinkError, MissingExtraError.
    """
    from onnxino_tools.link import DeviceLink

    if port == "emulator":
        need_emulator()
        from onnxino_tools.build import firmware_image
        from onnxino_tools.emulator import EmulatorTransport, Machine

        machine = Machine(firmware_image())
        if machine.count_note:
            ui.note(machine.count_note)
        return DeviceLink(EmulatorTransport(machine))
    from onnxino_tools.transport import open_transport

    _check_name(port)
    try:
        return DeviceLink(open_transport(port))
    except ImportError as e:  # pyserial needs termios on every system but Windows
        raise LinkError(f"this Python cannot open serial ports: {e}", "socket://HOST:PORT and emulator work") from e


def first_hello(link: DeviceLink, port: str) -> Hello:
    """What a device that was just opened says. Raises LinkError: also when its bootloader answers instead."""
    from onnxino_tools.flasher.sam_ba import SamBa
    from onnxino_tools.link import SilentError

    if _in_bootloader(port):
        raise bootloader_error(port)
    try:
        return link.hello()
    except SilentError:
        if SamBa(link.transport).greet(patient=False):
            raise bootloader_error(port) from None
        raise


def bootloader_error(port: str) -> LinkError:
    """There is no firmware to talk to."""
    return LinkError(
        f"the board at {port} runs its bootloader, no firmware",
        f"onnxino flash --port {shlex.quote(port)} installs one",
    )


def _in_bootloader(port: str) -> bool:
    """By its USB ids; a port without them is asked."""
    from onnxino_tools.boards import connected_boards
    from onnxino_tools.flasher.ports import same_port

    if "://" in port or port == "emulator":
        return False
    try:
        return any(board.mode == "bootloader" and same_port(board.port, port) for board in connected_boards())
    except LinkError:  # a Python that cannot list ports
        return False


def find_port() -> str:
    """The port of the only board that is connected. Raises LinkError where there is none, or several."""
    from onnxino_tools.boards import connected_boards, only_board

    board = only_board(connected_boards())
    if board.mode == "bootloader":
        raise bootloader_error(board.port)
    return board.port


def connect(port: str | None, wait: float | None = None) -> Connection:
    """Opens a device that may be unplugged or reset meanwhile; see `open_device`. None: the only board connected.

    wait: seconds until it must be back; 0: it may not go. Raises LinkError, MissingExtraError.
    """
    from onnxino_tools.connection import WAIT, Connection

    wait = WAIT if wait is None else wait
    port = find_port() if port is None else port
    link = open_device(port)
    if port != "emulator":
        try:
            first_hello(link, port)
        except BaseException:
            link.close()
            raise
    if port == "emulator" or wait == 0:
        return Connection(link)
    chip = _chip_behind(port)
    return Connection(link, lambda: open_device(_port_of(chip, port)), wait=wait)


def _chip_behind(port: str) -> str:
    """The digits by which USB knows the board behind a port; "" where it has none."""
    from onnxino_tools.boards import connected_boards
    from onnxino_tools.flasher.ports import same_port

    try:
        return next((board.chip for board in connected_boards() if same_port(board.port, port)), "")
    except LinkError:  # a Python that cannot list ports
        return ""


def _port_of(chip: str, port: str) -> str:
    """Where the board is now: its port's name may have changed. Raises LinkError while it is nowhere."""
    if not chip:
        return port
    from onnxino_tools.boards import connected_boards

    for board in connected_boards():
        if board.chip == chip and board.mode != "bootloader":
            return board.port
    raise LinkError(f"the board at {port} is gone")


def _check_name(port: str) -> None:
    """Raises LinkError for the misspelt name of a model or of the emulator, which no port has."""
    import difflib
    from pathlib import Path

    if "://" in port or Path(port).exists():
        return
    near = "emulator" if difflib.get_close_matches(port.lower(), ["emulator"], cutoff=0.7) else None
    if near is None:
        from onnxino_converter.importer.kinds import similar_model

        near = similar_model(Path(port))
    if near is not None:
        raise LinkError(f"there is neither a file nor a serial port '{port}'", f"did you mean {near}?")


def need_emulator() -> None:
    """Raises MissingExtraError where the engine of the emulator is not installed."""
    if find_spec("unicorn") is None:
        raise MissingExtraError("the emulator", "emulator")
