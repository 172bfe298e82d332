"""Flashing with a debug probe (SWD) by pyocd, for boards without a working bootloader or USB.

Two things are ruled out, because they delete the bootloader: a chip erase, and the automatic unlock of a locked chip,
which is one. Only the sectors of the image and the model are erased.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.boards import NANO33BLE
from onnxino.errors import LinkError, MissingExtraError
from onnxino_tools.flasher.sam_ba import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxino_tools.flasher.content import Content
    from onnxino_tools.flasher.flash import FlashResult

TARGET = "nrf52840"
OPTIONS = ["--target", TARGET, "--no-wait", "--no-config", "-O", "auto_unlock=false"]
LOAD = ["load", *OPTIONS, "--erase", "sector", "--format", "bin"]
READ = ["commander", *OPTIONS]
_TIMEOUT = 300.0
_LOCKED = (
    "its debug port is locked. Unlocking erases the whole chip, the bootloader too, so it is not done here; "
    "the USB bootloader works all the same: onnxino flash without --method pyocd"
)


def flash_by_probe(content: Content, progress: Callable[[str, int, int], None]) -> FlashResult:
    """Writes image and model, reads both back and compares. Raises LinkError, MissingExtraError."""
    from onnxino_tools.flasher.flash import FlashResult

    if find_spec("pyocd") is None:
        raise MissingExtraError("flashing with a debug probe", "pyocd")
    parts = [
        (name, address, data)
        for name, address, data in (
            ("image.bin", NANO33BLE.image_address, content.image),
            ("model.bin", NANO33BLE.model_address, content.model),
        )
        if data is not None
    ]
    result = FlashResult(port="debug probe", method="pyocd")
    # In a folder of its own: pyocd runs scripts that it finds in the current one.
    with tempfile.TemporaryDirectory(prefix="onnxino-pyocd-") as name:
        folder = Path(name)
        for number, (file, address, data) in enumerate(parts):
            progress("write", number, len(parts))
            (folder / file).write_bytes(data)
            _run([*LOAD, f"{file}@0x{address:x}"], folder)
            result.pages_written += -(-len(data) // PAGE)
        for number, (file, address, data) in enumerate(parts):
            progress("verify", number, len(parts))
            _run([*READ, "-c", f"savemem 0x{address:x} {len(data)} read-{file}"], folder)
            _compare(folder / f"read-{file}", address, data)
            result.pages_verified += -(-len(data) // PAGE)
        progress("verify", len(parts), len(parts))
    result.pages = result.pages_verified
    if content.image is not None:
        result.image, result.image_sha256 = "written", hashlib.sha256(content.image).hexdigest()
    if content.model is not None:
        result.model = "written"
    return result


def _compare(file: Path, address: int, data: bytes) -> None:
    found = file.read_bytes() if file.is_file() else b""
    if found != data:
        at = next((i for i, (a, b) in enumerate(zip(found, data, strict=False)) if a != b), min(len(found), len(data)))
        raise LinkError(
            f"the flash does not hold what was written: it differs from 0x{address + at:X} on", "flash it once more"
        )


def _run(arguments: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "pyocd", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise LinkError(f"pyocd did not end within {_TIMEOUT:g} s", "is the probe connected to the board?") from None
    text = done.stdout + done.stderr
    if "APPROTECT enabled" in text:
        raise LinkError("the chip cannot be flashed with a probe", _LOCKED)
    if done.returncode != 0:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if any("No connected debug probes" in line or "No available debug probes" in line for line in lines):
            raise LinkError("no debug probe was found", "without one: onnxino flash writes through USB")
        raise LinkError(
            f"pyocd failed with exit code {done.returncode}: {lines[-1] if lines else 'it says nothing'}",
            "are SWDIO, SWCLK and ground of the board connected to the probe, and is the board powered?",
        )
