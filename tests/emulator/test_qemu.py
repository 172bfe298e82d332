"""A second opinion: QEMU executes the same program, one instruction at a time, and both counts are equal."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onnxino_tools.emulator import EmulatorFault, Machine


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed")
def test_instructions_equal_qemus(program: Callable[..., Any], tmp_path: Path) -> None:
    made = program("compute")
    machine = Machine(made.image, elf=made.elf)
    with pytest.raises(EmulatorFault, match="BKPT"):
        machine.run()
    image, log = tmp_path / "image.bin", tmp_path / "log"
    image.write_bytes(made.image[:8].ljust(0x10000, b"\0") + made.image)  # QEMU's board starts at address 0
    version = subprocess.run(["qemu-system-arm", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", version)
    new = found is not None and (int(found[1]), int(found[2])) >= (8, 1)
    single = ["-accel", "tcg,one-insn-per-tb=on"] if new else ["-singlestep"]
    subprocess.run(
        [
            "qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none",
            "-semihosting", *single, "-d", "exec,nochain", "-D", str(log),
            "-kernel", str(image),
        ],
        timeout=60,
        check=False,
        capture_output=True,
    )  # fmt: skip
    executed = sum(line.startswith("Trace") for line in log.read_text().splitlines())
    assert executed > 10_000
    assert machine.instructions == executed - 1  # QEMU executes the BKPT too
