"""The sanitizer driver: the C runtime as a program that dies of any read outside or undefined behaviour."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxino.backends.c import PACKAGE, engine_sources

HERE = Path(__file__).parent
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Calls tests/engine/driver.c with arguments and returns what it prints; fails on any sanitizer report."""
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler with sanitizers")
    program = tmp_path_factory.mktemp("driver") / "driver"
    sources = [str(path) for path in [HERE / "driver.c", *engine_sources()]]
    flags = ["-std=gnu11", "-ffp-contract=off", f"-I{PACKAGE}"]
    probe_command = [compiler, *SANITIZERS, "-x", "c", "-", "-o", str(program)]
    probe = subprocess.run(
        probe_command, input="int main(void){return 0;}", text=True, capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"{compiler} has no sanitizers here")
    subprocess.run([compiler, *flags, *SANITIZERS, *sources, "-o", str(program)], check=True)

    def call(*arguments: object) -> str:
        done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call
