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

    try:
        return DeviceLink(open_transport(port))
    except ImportError as e:  # pyserial needs termios on every system but Windows
        raise LinkError(f"this Python cannot open serial ports: {e}", "socket://HOST:PORT and emulator work") from e


def need_emulator() -> None:
    """Raises MissingExtraError where the engine of the emulator is not installed."""
    if find_spec("unicorn") is None:
        raise MissingExtraError("the emulator", "emulator")
