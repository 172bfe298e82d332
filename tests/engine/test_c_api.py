"""The programs of docs/c-api.md: extracted, compiled as it says, and run on real images."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import engine_models as em
import numpy as np
import pytest

from onnxino import InferenceSession
from onnxino.backends.c import PACKAGE
from onnxino.schema.codec import encode
from onnxino_converter import convert

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "docs" / "c-api.md").read_text(encoding="utf-8")
PROGRAM, HOOK = re.findall(r"```c\n(.*?)```", DOCUMENT, re.DOTALL)
FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """main.c, digits.c and digits.h as a reader of the document has them."""
    folder = tmp_path_factory.mktemp("program")
    converted = convert(ROOT / "examples" / "digits" / "digits_int8.onnx", name="digits")
    (folder / "digits.c").write_text(converted.c_source, encoding="utf-8")
    (folder / "digits.h").write_text(converted.c_header, encoding="utf-8")
    (folder / "digits.oxm").write_bytes(converted.model)
    (folder / "main.c").write_text(PROGRAM, encoding="utf-8")
    return folder


def sources(project: Path) -> list[str]:
    own = [project / "main.c", project / "digits.c"]
    return [str(path) for path in [*own, *PACKAGE.glob("engine/*.c"), *PACKAGE.glob("ops/*.c")]]


def test_the_smallest_program(project: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = project / "digits"
    subprocess.run(
        [compiler, *FLAGS, f"-I{PACKAGE}", f"-I{project}", *sources(project), "-lm", "-o", str(program)], check=True
    )
    images = np.load(ROOT / "examples" / "digits" / "digits_test.npz")["images"][::50]
    session = InferenceSession(project / "digits.oxm")
    name = session.get_inputs()[0].name
    found: list[int] = []
    for image in images:
        done = subprocess.run([str(program)], input=image.tobytes(), capture_output=True, check=True)
        digit, score = done.stdout.decode().split()
        expected = session.run(None, {name: image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)})[0][0]
        assert int(digit) == int(np.argmax(expected))
        assert float(score) == pytest.approx(float(expected.max()), abs=1e-5)
        found.append(int(digit))
    assert len(set(found)) > 5


def test_the_smallest_program_links_for_a_cortex_m4(project: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    target = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "--specs=nosys.specs"]
    command = ["arm-none-eabi-gcc", *FLAGS, *target, f"-I{PACKAGE}", f"-I{project}", *sources(project), "-lm"]
    done = subprocess.run([*command, "-o", str(project / "arm.elf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_hook_compiles(project: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source = project / "hook.c"
    source.write_text(
        '#include "engine/onnxino.h"\nextern struct { uint32_t CYCCNT; } *DWT;\nonx_hook use(void);\n'
        + HOOK
        + "onx_hook use(void) { return profile; }\n",
        encoding="utf-8",
    )
    subprocess.run(["gcc", *FLAGS, f"-I{PACKAGE}", "-c", str(source), "-o", str(project / "hook.o")], check=True)


def test_public_functions_used_rightly_and_wrongly(api: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "zoo.oxm"
    path.write_bytes(encode(em.float_zoo()))
    assert api(path) == "ok\n"


def test_every_function_and_status_is_documented() -> None:
    header = (PACKAGE / "engine" / "onnxino.h").read_text(encoding="utf-8")
    functions = set(re.findall(r"\b(onx_\w+)\(", header)) - {"onx_model_"}
    for function in functions:
        short = function.removeprefix("onx_model")
        assert function in DOCUMENT or f"`{short}`" in DOCUMENT, function
    texts = (PACKAGE / "engine" / "status.c").read_text(encoding="utf-8")
    for status in re.findall(r"(ONX_ERROR_\w+) = -\d+,\s+/\*", header):
        assert f"case {status}: return" in texts
