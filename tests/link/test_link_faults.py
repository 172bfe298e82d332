"""serial-eval on a line full of faults: every image is answered, none wrongly, and each fault is over within 2 s.

A few dozen faults of each kind in ordinary tests; ONNXINO_LINK_FAULTS=1000 (make link-faults) for the long run.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("unicorn")

from onnxino import InferenceSession
from onnxino.errors import LinkError
from onnxino_converter import convert
from onnxino_tools.build import firmware_image
from onnxino_tools.connection import Connection
from onnxino_tools.data import PixelOptions
from onnxino_tools.data.inputs import image_feed
from onnxino_tools.emulator import Machine
from onnxino_tools.emulator.link_faults import FROM_DEVICE, TO_DEVICE, FaultRule, LinkFaults
from onnxino_tools.evaluate import Evaluation, Evaluator, Options
from onnxino_tools.examples import example
from onnxino_tools.flasher.emulated import EmulatedPorts
from onnxino_tools.link import DeviceLink

FAULTS = int(os.environ.get("ONNXINO_LINK_FAULTS", "15"))  # of each kind
RECOVERY = 2.0  # seconds of the board's time
# An image takes about 840 bytes to the device and 60 from it: a fault for every other image.
RATES = {TO_DEVICE: 1 / 3400, FROM_DEVICE: 1 / 240}
KINDS = ("drop", "flip", "duplicate", "stall", "unplug")


@cache
def digits() -> bytes:
    return convert(example("digits", "digits_int8.onnx"), name="digits").model


@pytest.fixture
def session() -> Iterator[InferenceSession]:
    with InferenceSession(digits()) as session:
        yield session


class Run:
    """One evaluation over the emulated USB; `gaps`: seconds between two results, and faults in between."""

    def __init__(self, session: InferenceSession, faults: LinkFaults, images: int, options: Options) -> None:
        machine = Machine(firmware_image(), digits(), bootloader="bl2", usb=True, link_faults=faults, faults="deliver")
        self.ports = EmulatedPorts(machine=machine)
        self.faults = faults
        data, feed, _ = image_feed(session.model, str(example("digits", "digits_test.npz")), PixelOptions())
        chosen = np.arange(images) % len(data)
        assert data.labels is not None
        many = dataclasses.replace(data, images=data.images[chosen], labels=data.labels[chosen])
        self.evaluator = Evaluator(session, many, feed, options)
        self.gaps: list[tuple[float, int]] = []
        self._last = (0.0, 0)

    @property
    def injected(self) -> int:
        return sum(self.faults.counters.values())

    def evaluate(self) -> tuple[Evaluation, Connection]:
        connection = Connection(self._open(), self._open, digits(), clock=self.ports)
        self._last = (self.ports.now(), self.injected)

        def progress(_: int) -> None:
            now = (self.ports.now(), self.injected)
            self.gaps.append((now[0] - self._last[0], now[1] - self._last[1]))
            self._last = now

        return self.evaluator.run(connection, progress), connection

    def _open(self) -> DeviceLink:
        """As soon as the board is there."""
        while not self.ports.boards():
            self.ports.sleep(0.05)
        return DeviceLink(self.ports.open("emulator"))


@pytest.mark.parametrize("kind", KINDS)
def test_faults(session: InferenceSession, kind: str) -> None:
    # Each return takes more bytes; and the same image may not break the connection again and again (evaluate.TRIES).
    rarer, images = (6, 12 * FAULTS) if kind == "unplug" else (1, 9 * FAULTS // 4)
    rules = [FaultRule(kind, direction, rate=rate / rarer) for direction, rate in RATES.items()]
    run = Run(session, LinkFaults(rules, seed=KINDS.index(kind)), images + 10, Options())
    result, connection = run.evaluate()
    assert run.injected >= (FAULTS if FAULTS >= 1000 else 0.8 * FAULTS), run.faults.counters
    assert {key.split(".")[1] for key in run.faults.counters} == {kind}
    assert (result.images, result.bytes_different) == (result.total, 0)
    assert result.ok
    slow = [(gap, faults) for gap, faults in run.gaps if gap > RECOVERY * max(faults, 1)]
    assert slow == []
    if kind == "unplug":
        assert result.reconnects >= 0.5 * FAULTS  # some strike while it comes back
    else:
        assert result.reconnects == 0
    connection.close()
    print(
        f"{kind}: {run.injected} faults in {result.images} images, {result.retries} requests repeated, "
        f"slowest {max(gap / max(faults, 1) for gap, faults in run.gaps):.2f} s a fault"
    )


def test_all_faults_at_once_with_every_check(session: InferenceSession) -> None:
    rules = [FaultRule(kind, direction, rate=rate / len(KINDS)) for kind in KINDS for direction, rate in RATES.items()]
    run = Run(session, LinkFaults(rules, seed=7), 2 * FAULTS, Options(check_every=3, repeat=2))
    result, _ = run.evaluate()
    assert result.ok
    assert result.images == result.total
    assert result.repeats == result.total
    assert result.layers_compared == 4 * -(-result.total // 3)
    assert run.injected > FAULTS / 2


def test_a_board_that_stays_away(session: InferenceSession) -> None:
    """The images done are in the result, the rest is reported as missing."""
    rule = FaultRule("unplug", TO_DEVICE, at=(9000,), seconds=3000.0)
    run = Run(session, LinkFaults([rule]), 50, Options())

    def reopen() -> DeviceLink:
        raise LinkError("there is no port")

    connection = Connection(run._open(), reopen, digits(), clock=run.ports)
    with pytest.raises(LinkError, match="broke"):
        run.evaluator.run(connection, lambda done: None)
    result = run.evaluator.result
    assert 0 < result.images < result.total
    assert not result.ok
    assert result.bytes_different == 0


def test_over_a_real_port(tmp_path: Path) -> None:
    """The same through a pty and the command line."""
    if os.name == "nt":
        pytest.skip("no ptys")
    import json
    import subprocess
    import sys

    from onnxino_tools.emulator_process import EmulatorProcess

    (tmp_path / "digits.oxm").write_bytes(digits())
    (tmp_path / "image.bin").write_bytes(firmware_image())
    spec = "seed=3,drop=2e-4,flip=2e-4,duplicate=2e-4,stall=1e-4:30ms,to-device.unplug=@30000:300ms"
    options = ["--bootloader", "bl1", "--usb", "--model", str(tmp_path / "digits.oxm"), "--link-faults", spec]
    with EmulatorProcess(tmp_path / "image.bin", tmp_path, options=options) as emulator:
        argv = ["serial-eval", "--port", emulator.port, "--model", str(tmp_path / "digits.oxm"), "--json"]
        argv += ["--data", str(example("digits", "digits_test.npz")), "--limit", "60", "--check-every", "10"]
        done = subprocess.run(
            [sys.executable, "-m", "onnxino_tools.main", *argv],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr + "\n".join(emulator.log)
    result = json.loads(done.stdout)
    assert (result["ok"], result["images"], result["bytes_different"], result["layers_different"]) == (True, 60, 0, 0)
    assert result["reconnects"] >= 1
    assert result["link_errors"] > 0
