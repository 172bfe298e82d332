"""The reference runtime is fast enough to be used: at least a twentieth of ONNX Runtime's throughput."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from onnxino import InferenceSession

BATCH = 64
RATIO = 20  # at most so many times ONNX Runtime's time; about 3 where this was written


def fastest(runs: int, *works: Callable[[], object]) -> list[float]:
    """Seconds of the fastest run of each, in turns: what else the machine does only adds time, and meets all."""
    best = [float("inf")] * len(works)
    for _ in range(runs):
        for i, work in enumerate(works):
            begin = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - begin)
    return best


def test_a_twentieth_of_onnx_runtime_on_resnet8(shared: Path, record_property: Callable[[str, float], None]) -> None:
    path = shared / "models" / "mlperf_tiny" / "ic.onnx"
    theirs = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).integers(-128, 128, (BATCH, 32, 32, 3)).astype(np.int8)
    with InferenceSession(path) as ours:
        feeds = {ours.get_inputs()[0].name: x}
        our_time, their_time = fastest(5, lambda: ours.run(None, feeds), lambda: theirs.run(None, feeds))
    record_property("onnxino_images_per_second", BATCH / our_time)
    record_property("onnxruntime_images_per_second", BATCH / their_time)
    assert our_time < RATIO * their_time, f"{our_time * 1e3:.0f} ms, ONNX Runtime {their_time * 1e3:.0f} ms"
