"""The portable firmware as a process on the host (host_board.c), behind a Transport."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from pathlib import Path

from onnxino.errors import LinkError

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_firmware(out: Path) -> str | None:
    """Builds the process with the host's compiler and sanitizers. Returns why that cannot be done here, or None."""
    compiler = next((name for name in ("gcc", "clang", "cc") if shutil.which(name)), None)
    if compiler is None:
        return "no C compiler for the host"
    if not Path("/proc/self/exe").exists():
        return "the host board needs Linux"
    runtime = ROOT / "runtime" / "onnxino"
    sources = [Path(__file__).with_name("host_board.c")]
    sources += [f for f in sorted((ROOT / "firmware").glob("*.c")) if f.name != "memory.c"]
    sources += [f for part in ("engine", "ops", "camera") for f in sorted((runtime / part).glob("*.c"))]
    includes = [f"-I{path}" for path in (ROOT / "firmware", ROOT / "firmware" / "boards" / "nano33ble", runtime)]
    command = [
        compiler,
        "-std=gnu11",
        "-D_GNU_SOURCE",
        "-g",
        "-O1",
        "-ffp-contract=off",
        *WARNINGS,
        *includes,
        *map(str, sources),
    ]
    done = subprocess.run([*command, *SANITIZERS, "-o", str(out)], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "asan" in done.stderr:  # a compiler without the sanitizers' libraries
        done = subprocess.run([*command, "-o", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return None


class HostDevice:
    """A Transport to the process. `flash` is the file that holds the model region."""

    name = "host process"

    def __init__(self, program: Path, flash: Path, cut: int = 0) -> None:
        if not flash.exists():
            flash.write_bytes(b"\xff" * 0xA0000)
        command = [str(program), str(flash), *([str(cut)] if cut else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
        except OSError:
            raise LinkError("the process ended") from None

    def read(self, timeout: float) -> bytes:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return b""
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise LinkError("the process ended")
        return data

    def close(self) -> None:
        """Ends the process; fails when a sanitizer or the board complained."""
        _, errors = self.process.communicate(timeout=20)  # closes stdin first: the process then ends by itself
        assert self.process.returncode in (0, 9), errors.decode(errors="replace")
