"""Opens devices: the emulated board in this process, and boards behind serial ports."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from onnxino.errors import LinkError, MissingExtraError
from onnxino_tools import ui

if TYPE_CHECKING:
    from onnxino_tools.link import DeviceLink


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
