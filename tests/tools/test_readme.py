"""What the README shows works: commands exist, links lead somewhere, the library example runs."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from onnxino_tools.arguments import Parser
from onnxino_tools.main import COMMANDS
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_commands_exist() -> None:
    shown = set(re.findall(r"(?:^ {4}|`)onnxino ([a-z][a-z-]+)", README, re.MULTILINE))
    assert shown
    assert shown <= set(COMMANDS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z]+) ", README):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_command_lines_are_understood(page: Path) -> None:
    """Every line of a page that shows a whole command has the arguments and options of that command."""
    for line in re.findall(r"^ {4}(onnxino [^#\n]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        _, name, *arguments = shlex.split(line)
        if "..." in arguments:
            continue
        module = importlib.import_module(f"onnxino_tools.commands.{name.replace('-', '_')}")
        parser = Parser(prog=name, description="")
        module.add_arguments(parser)
        assert parser.parse(arguments) is not None, line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_demos_image_is_about_as_large_as_it_says() -> None:
    from onnxino_tools.build import firmware_image

    (said,) = re.findall(r"built with ziglang: ([0-9,]+) bytes", README)
    assert int(said.replace(",", "")) == pytest.approx(len(firmware_image()), rel=0.05)


def test_the_library_in_ten_lines(c_backend_missing: str | None) -> None:
    pytest.importorskip("unicorn")
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 12
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.endswith("bytes of RAM")
    results = dict(line.split(" ", 1) for line in lines)
    assert set(results) == {"numpy", "c", "emulator"}
    assert len(set(results.values())) == 1
