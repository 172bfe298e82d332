"""Check what Onnxino finds on this computer: Python, packages and extras, compilers, serial ports, emulator, cache.

Exit code 1 only when something that everybody needs is missing; what is optional says how to get it.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from onnxino.errors import OnnxinoError
from onnxino_tools import arguments, ui

if TYPE_CHECKING:
    from argparse import Namespace

REQUIRED = {"numpy": "numpy", "onnx": "onnx", "pyserial": "serial", "flatbuffers": "flatbuffers"}
EXTRAS = {  # extra -> (distribution, module), what it is for
    "emulator": ("unicorn", "unicorn", "the emulated board"),
    "toolchain": ("ziglang", "ziglang", "building the firmware"),
    "images": ("pillow", "PIL", "image files"),
    "pyocd": ("pyocd", "pyocd", "flashing with a debug probe"),
    "verify": ("onnxruntime", "onnxruntime", "comparing with ONNX Runtime"),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. state: "ok", "missing" (optional) or "error" (needed)."""

    topic: str
    state: str
    text: str
    hint: str | None = None


def add_arguments(parser: arguments.Parser) -> None:
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    findings = [python(), *packages(), *extras(), *compilers(), *ports(), emulator(), cache()]
    failed = any(f.state == "error" for f in findings)
    if args.json:
        ui.out_json({"ok": not failed, "findings": [asdict(f) for f in findings]})
        return int(failed)
    marks = {"ok": ("ok", "green"), "missing": ("--", "yellow"), "error": ("!!", "red")}
    width = max(len(f.topic) for f in findings)
    for f in findings:
        mark, colour = marks[f.state]
        ui.out(f"  {ui.paint(mark, colour, sys.stdout)}  {f.topic:{width}}  {f.text}")
        if f.hint:
            ui.out(f"      {'':{width}}  {f.hint}")
    if failed:
        ui.error("something that Onnxino needs is missing", "see the lines marked !!")
    else:
        ui.talk(following(findings))
    return int(failed)


def following(findings: list[Finding]) -> str:
    """What to do next: the demo, or what it needs first."""
    missing = next((f for f in findings if f.topic == "extra emulator" and f.state != "ok"), None)
    if missing is None:
        return "all that is needed is there; next: onnxino demo"
    return (
        "convert, info, run, and serial-eval with a board work; the emulated board (demo, emulate) needs its extra\n"
        f"next: {missing.hint}"
    )


def python() -> Finding:
    """The interpreter."""
    import platform

    from onnxino import __version__

    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, onnxino {__version__}"
    return Finding("python", "ok", text)


def packages() -> list[Finding]:
    """What every installation has."""
    found: list[Finding] = []
    for name, module in REQUIRED.items():
        if importlib.util.find_spec(module) is None:
            found.append(Finding(name, "error", "not installed", f"pip install {name}"))
        else:
            found.append(Finding(name, "ok", _version(name)))
    return found


def extras() -> list[Finding]:
    """What some commands need."""
    found: list[Finding] = []
    for extra, (name, module, purpose) in EXTRAS.items():
        topic = f"extra {extra}"
        if importlib.util.find_spec(module) is None:
            found.append(Finding(topic, "missing", f"{purpose}: not installed", f"pip install 'onnxino[{extra}]'"))
        else:
            found.append(Finding(topic, "ok", f"{purpose}: {name} {_version(name)}"))
    return found


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(unknown version)"


def compilers() -> list[Finding]:
    """For the host's C backend and the firmware."""
    from onnxino.compile_cache import find_compiler

    host = find_compiler()
    if host is None:
        hint = "install gcc or clang, or: pip install 'onnxino[toolchain]'"
        first = Finding("compiler (host)", "missing", "none: no C backend, and the emulator counts slowly", hint)
    else:
        first = Finding("compiler (host)", "ok", " ".join(host))
    import shutil

    arm = shutil.which("arm-none-eabi-gcc")
    zig = importlib.util.find_spec("ziglang") is not None
    names = [name for name, there in (("ziglang", zig), ("arm-none-eabi-gcc", arm)) if there]
    if names:
        return [first, Finding("compiler (board)", "ok", ", ".join(names))]
    hint = "only for onnxino build: pip install 'onnxino[toolchain]'"
    return [first, Finding("compiler (board)", "missing", "none (the finished firmware image is used)", hint)]


def ports() -> list[Finding]:
    """Serial ports, and whether this user may open them."""
    import os

    from onnxino_tools.transport import list_ports

    try:
        found = list_ports()
    except (ImportError, OSError) as e:
        return [Finding("serial ports", "missing", f"cannot be listed: {e}", "socket://HOST:PORT and emulator work")]
    if not found:
        return [Finding("serial ports", "missing", "none found; without a board, use --port emulator")]
    result: list[Finding] = []
    for name, description in found:
        if os.name == "posix" and not os.access(name, os.R_OK | os.W_OK):
            hint = "sudo usermod -aG dialout $USER, then log in again"
            result.append(Finding("serial port", "missing", f"{name} ({description}): no permission", hint))
        else:
            result.append(Finding("serial port", "ok", f"{name} ({description})"))
    return result


def emulator() -> Finding:
    """Starts the emulated board and asks who it is."""
    from onnxino_tools.devices import open_device

    try:
        with open_device("emulator") as link:
            hello = link.hello()
    except OnnxinoError as e:
        return Finding("emulator", "missing", e.message, e.hint)
    return Finding("emulator", "ok", f"the board answers, firmware {hello.firmware_version}")


def cache() -> Finding:
    """Where compiled helpers are kept."""
    from onnxino.compile_cache import cache_dir

    try:
        return Finding("cache", "ok", str(cache_dir()))
    except OnnxinoError as e:
        return Finding("cache", "missing", e.message, e.hint)
