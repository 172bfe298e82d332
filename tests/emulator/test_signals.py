"""Ctrl-C while the engine runs: raised out of `run`, never lost in a callback, and the machine can run on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from onnxino.errors import OnnxinoError
from onnxino_tools.emulator import EmulatorFault, Machine

ROOT = Path(__file__).resolve().parents[2]
SPIN = "1: b 1b"
POLL = "ldr r0, =0x40000400; 1: ldr r1, [r0]; b 1b"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent by a signal")


@contextmanager
def signalled(number: int, after: float = 0.3) -> Generator[None]:
    timer = threading.Timer(after, os.kill, (os.getpid(), number))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.mark.parametrize(
    ("count", "code"),
    [("native", SPIN), ("native", POLL), ("python", SPIN), ("python", POLL), ("off", POLL)],
)
def test_ctrl_c_in_any_count(program: Callable[..., Any], count: str, code: str) -> None:
    try:
        machine = Machine(program("fault", f'CODE="{code}"').image, count=count)
    except OnnxinoError as error:
        pytest.skip(f"no native counter: {error}")
    for _ in range(2):  # the machine runs on afterwards
        before, start = machine.cycles, time.monotonic()
        with signalled(signal.SIGINT), pytest.raises(KeyboardInterrupt):
            machine.run()
        assert time.monotonic() - start < 3
        assert machine.cycles > before
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_that_only_takes_note(program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called once, and the machine runs on in the same call."""
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGINT, handle)
    try:
        machine = Machine(program("fault", f'CODE="{POLL}"').image, count="python")
        with signalled(signal.SIGINT):
            assert machine.run(until=lambda: bool(seen)) == "until"
        assert seen == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is handle
        signal.raise_signal(signal.SIGINT)
        assert len(seen) == 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_put_back_after_a_fault(program: Callable[..., Any]) -> None:
    machine = Machine(program("fault", 'CODE="ldr r0, =0x60000000; ldr r1, [r0]"').image)
    with pytest.raises(EmulatorFault):
        machine.run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored(program: Callable[..., Any]) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        machine = Machine(program("fault", f'CODE="{SPIN}"').image)
        with signalled(signal.SIGINT, 0.05):
            assert machine.run(max_cycles=64_000_000) == "limit"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread(program: Callable[..., Any]) -> None:
    """Where no handlers may be set."""
    machine = Machine(program("fault", f'CODE="{SPIN}"').image)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(machine.run(max_cycles=64_000)))
    thread.start()
    thread.join(30)
    assert found == ["limit"]


@pytest.mark.parametrize("wait", [0.5, 1.0])
def test_ctrl_c_of_the_command_run(tmp_path: Path, wait: float) -> None:
    pytest.importorskip("unicorn")
    model = ROOT / "examples/digits/digits_int8.onnx"
    np.savez(tmp_path / "many.npz", images=np.zeros((20_000, 28, 28), np.uint8))
    argv = ["run", str(model), str(tmp_path / "many.npz"), "--backend", "emulator"]
    with subprocess.Popen(
        [sys.executable, "-m", "onnxino_tools.main", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline()  # "input: ...": the images are about to be classified
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - start < 3
    assert "error: interrupted" in err
    assert "Traceback" not in err
