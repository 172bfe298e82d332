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


Program = Callable[..., str]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """Compiles the runtime with sanitizers; returns a function that makes a program of tests/engine/<name>.c.

    Calling the program returns what it prints, and fails with any sanitizer report. Skips without a compiler that has
    sanitizers.
    """
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler with sanitizers")
    folder = tmp_path_factory.mktemp("sanitized")
    probe_command = [compiler, *SANITIZERS, "-x", "c", "-", "-o", str(folder / "probe")]
    probe = subprocess.run(probe_command, input="int main(void){}", text=True, capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"{compiler} has no sanitizers here")
    command = [compiler, "-std=gnu11", "-ffp-contract=off", f"-I{PACKAGE}", *SANITIZERS]
    subprocess.run([*command, "-c", *map(str, engine_sources())], check=True, cwd=folder)
    objects = sorted(map(str, folder.glob("*.o")))

    def make(name: str) -> Program:
        program = folder / name
        subprocess.run([*command, str(HERE / f"{name}.c"), *objects, "-o", str(program)], check=True)

        def call(*arguments: object) -> str:
            done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        return call

    return make


@pytest.fixture(scope="session")
def driver(build: Callable[[str], Program]) -> Program:
    """tests/engine/driver.c as a function of its arguments."""
    return build("driver")


@pytest.fixture(scope="session")
def api(build: Callable[[str], Program]) -> Program:
    """tests/engine/api.c as a function of its arguments."""
    return build("api")
