"""Compiles C to a shared library once and keeps it in a cache folder: for the host C backend and the emulator's block
hook.

The compiler is $CC, else cc, gcc or clang of the system, else the one in the PyPI package ziglang. The file name holds
a hash of everything that goes in (compiler, options, sources), so a change of any of them compiles anew.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from onnxino.errors import OnnxinoError


class CompileError(OnnxinoError):
    """The C compiler refused sources, or there is none."""


def cache_dir() -> Path:
    """$ONNXINO_CACHE_DIR, else the user's cache folder (made when missing). Raises CompileError where it cannot be."""
    chosen = os.environ.get("ONNXINO_CACHE_DIR")
    if chosen:
        path = Path(chosen)
    elif sys.platform == "win32":
        path = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "onnxino" / "cache"
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onnxino"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error
    return path


def _unusable(path: Path, error: OSError) -> CompileError:
    return CompileError(
        f"the folder for compiled code '{path}' cannot be written: {error.strerror or error}",
        "set the environment variable ONNXINO_CACHE_DIR to a folder that can be",
    )


def find_compiler() -> list[str] | None:
    """The command of a C compiler for this host, or None."""
    chosen = os.environ.get("CC")
    if chosen:
        command = shlex.split(chosen, posix=os.name == "posix")
        return command if command and shutil.which(command[0]) else None
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    return None


def shared_library(
    name: str, sources: Sequence[Path], options: Sequence[str] = (), depends: Sequence[Path] = ()
) -> Path:
    """Path of the shared library made of `sources` with `options`; `depends` are headers whose change compiles anew.

    Raises CompileError with the compiler's first words when it fails, when there is no compiler, or no folder to write.
    """
    compiler = find_compiler()
    if compiler is None:
        what = "no C compiler found (cc, gcc, clang or the package ziglang)"
        raise CompileError(what, "pip install 'onnxino[toolchain]'")
    suffix = ".dll" if sys.platform == "win32" else ".so"
    key = hashlib.sha256(repr((compiler, tuple(options), sysconfig.get_platform())).encode())
    for path in (*sources, *depends):
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    target = cache_dir() / f"{name}-{key.hexdigest()[:16]}{suffix}"
    if target.exists():
        return target
    try:
        scratch = tempfile.TemporaryDirectory(dir=target.parent)
    except OSError as error:
        raise _unusable(target.parent, error) from error
    with scratch as folder:
        made = Path(folder) / target.name
        position = [] if sys.platform == "win32" else ["-fPIC"]
        command = [*compiler, "-shared", *position, *options, "-o", str(made), *(str(path) for path in sources)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
            )
        except OSError as error:
            raise CompileError(f"cannot run the C compiler {compiler[0]}: {error}") from error
        if done.returncode:
            words = "\n".join(done.stderr.strip().splitlines()[:6])
            raise CompileError(f"the C compiler {' '.join(compiler)} failed on {name}:\n{words}")
        try:
            made.replace(target)  # atomic: another process may have made the same file
        except PermissionError:  # Windows, when that process has loaded it already
            if not target.exists():
                raise
    return target
