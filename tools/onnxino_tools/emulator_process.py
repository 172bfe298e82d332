"""The emulated board in a process of its own, behind a real serial port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from onnxino.errors import LinkError
from onnxino_tools.devices import need_emulator

START_TIMEOUT = 30.0  # seconds until the emulator's port must be there
END_TIMEOUT = 5.0


class EmulatorProcess:
    """Runs `onnxino emulate` with this firmware image; a context manager.

    folder: for the file in which the process tells its port, and its log. `port` is a pty's name where there are ptys
    (unless tcp is set), else a URL. `options` are further ones of `onnxino emulate`; image None leaves the image to
    them. Raises LinkError when it does not start, MissingExtraError.
    """

    def __init__(self, image: Path | None, folder: Path, *, tcp: bool = False, options: Sequence[str] = ()) -> None:
        need_emulator()
        self._port_file = folder / "emulator.port"
        self._log_file = folder / "emulator.log"
        argv = ["--port-file", str(self._port_file), "--until-stdin-closes", *options]
        if image is not None:
            argv += ["--image", str(image)]
        if tcp:
            argv.append("--tcp")
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "onnxino_tools.main", "emulate", *argv],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the program that evaluates: it reports what is done, and then ends the emulator.
                start_new_session=os.name != "nt",
                creationflags=0x200 if os.name == "nt" else 0,
            )
        try:
            self.port = self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def notes(self) -> list[str]:
        """What the process has to say about itself: how it counts, where that matters."""
        return [line for line in self.log if not line.endswith("(Ctrl-C ends it)")]

    @property
    def log(self) -> list[str]:
        """The lines that the process has written."""
        return self._log_file.read_text("utf-8", "replace").strip().splitlines()

    def _wait(self) -> str:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._port_file.is_file():
                return self._port_file.read_text("utf-8").strip()
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        lines = {kind: text for kind, _, text in (line.partition(": ") for line in reversed(self.log))}
        raise LinkError(f"the emulator did not start: {lines.get('error', 'no port appeared')}", lines.get("hint"))

    def close(self) -> None:
        """Ends the process: it ends by itself when its stdin closes."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Ends the process at once, as if the board were unplugged."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> EmulatorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
