"""flash is killed at random moments while it writes a board behind a real serial port: the next call always recovers.

5 times in ordinary tests; ONNXINO_KILLS=50 (make kill-flash) for the long run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onnxino.schema.codec import encode
from onnxino_tools.build import firmware_image
from onnxino_tools.emulator_process import EmulatorProcess
from onnxino_tools.image_mark import seal
from tests.tools.models import tiny_model

pytest.importorskip("unicorn")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="ptys are needed")

KILLS = int(os.environ.get("ONNXINO_KILLS", "5"))
LONGEST = 1.6  # seconds that a whole run takes at least


def flash_command(*argv: object) -> list[str]:
    return [sys.executable, "-m", "onnxino_tools.main", "flash", *map(str, argv)]


def flash_of(state: Path) -> bytes:
    from onnxino_tools.emulator.state import HEADER_SIZE

    return state.read_bytes()[HEADER_SIZE : HEADER_SIZE + 0x100000]


@pytest.mark.parametrize("generation", ["bl1", "bl2"])
def test_killed(generation: str, tmp_path: Path) -> None:
    images = [firmware_image(), seal(firmware_image().replace(b"model", b"MODEL"))]
    models = [encode(tiny_model()), encode(tiny_model(labels=["a", "b", "c"]))]
    for i in range(2):
        (tmp_path / f"{i}.bin").write_bytes(images[i])
        (tmp_path / f"{i}.oxm").write_bytes(models[i])
    state = tmp_path / "board.flash"
    rng = random.Random(generation)
    killed = 0
    options = ["--bootloader", generation, "--usb", "--state", str(state)]
    with EmulatorProcess(None, tmp_path, options=options) as emulator:
        before = flash_of(state)
        for number in range((KILLS + 1) // 2):
            which = number % 2
            argv = flash_command(tmp_path / f"{which}.bin", tmp_path / f"{which}.oxm", "--port", emulator.port)
            with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(0.25 + (LONGEST - 0.25) * rng.random())
                killed += process.poll() is None
                process.kill()
            time.sleep(rng.choice([0, 0, 0.7]))  # the board goes on alone for a while, or not
            done = subprocess.run([*argv, "--json"], capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr + "\n".join(emulator.log)
            assert json.loads(done.stdout)["ok"]
            now = flash_of(state)
            assert now[0x10000 : 0x10000 + len(images[which])] == images[which]
            assert now[0x40000 : 0x40000 + len(models[which])] == models[which]
            assert now[:0x10000] == before[:0x10000]
            assert now[0xE0000:] == before[0xE0000:]
        assert emulator.log == emulator.log[:1], "the emulator complains"
    assert killed > 0
