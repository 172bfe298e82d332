"""Opens devices: the emulated board in this process or in one of its own, and boards behind serial ports."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from onnxino.errors import LinkError, MissingExtraError

if TYPE_CHECKING:
    from onnxino_tools.link import DeviceLink

START_TIMEOUT = 30.0  # seconds until the emulator's port must be there


def open_device(port: str, image: Path | None = None) -> DeviceLink:
    """A link to a serial port, a URL of pyserial, or "emulator": the emulated board in this process.

    image: the firmware of the emulated board; None for the finished one. Raises LinkError, MissingExtraError.
    """
    from onnxino_tools.link import DeviceLink

    if port == "emulator":
        need_emulator()
        from onnxino_tools.build import firmware_image
        from onnxino_tools.emulator import EmulatorTransport, Machine

        return DeviceLink(EmulatorTransport(Machine(firmware_image() if image is None else image.read_bytes())))
    from onnxino_tools.transport import open_transport

    return DeviceLink(open_transport(port))


def need_emulator() -> None:
    """Raises MissingExtraError where the engine of the emulator is not installed."""
    if find_spec("unicorn") is None:
        raise MissingExtraError("the emulator", "emulator")


class EmulatorProcess:
    """The emulated board in a process of its own, as `onnxino emulate` runs it; a context manager.

    image: the firmware; folder: for the file in which the process tells its port. `port` is a pty's name where there
    are ptys, else socket://127.0.0.1:N. Raises LinkError when it does not start.
    """

    def __init__(self, image: Path, folder: Path, *, tcp: bool = False) -> None:
        need_emulator()
        port_file = folder / "emulator.port"
        command = [
            sys.executable,
            "-P",
            "-m",
            "onnxino_tools.main",
            "emulate",
            "--image",
            str(image),
            "--port-file",
            str(port_file),
        ]
        if tcp:
            command += ["--tcp", "127.0.0.1:0"]
        self._log = folder / "emulator.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.port = self._wait(port_file)
        except BaseException:
            self.close()
            raise

    def _wait(self, port_file: Path) -> str:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if port_file.is_file() and (text := port_file.read_text("utf-8").strip()):
                return text
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        log = self._log.read_text("utf-8", "replace").strip().splitlines()
        raise LinkError(
            "the emulator did not start" + (f": {log[0].removeprefix('error: ')}" if log else ""), _hint(log)
        )

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> EmulatorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _hint(log: list[str]) -> str | None:
    hints = [line.removeprefix("hint: ") for line in log if line.startswith("hint: ")]
    return hints[0] if hints else None
