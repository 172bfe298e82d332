"""Converting any of the shared models takes less than three seconds of this process' time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from onnxino.errors import ConvertError
from onnxino_converter import convert

SECONDS = 3.0  # 0.05 to 0.2 s each where this was written


def test_every_shared_model_converts_quickly(shared: Path, record_property: Callable[[str, float], None]) -> None:
    """Those that are refused are refused as quickly. Processor time: what else the machine does is not counted."""
    paths = sorted((shared / "models").rglob("*.onnx"))
    assert len(paths) >= 20
    slow: list[str] = []
    converted = 0
    for path in paths:
        begin = time.process_time()
        try:
            convert(path, board=None, float=True)
            converted += 1
        except ConvertError:
            pass
        seconds = time.process_time() - begin
        record_property(path.name, round(seconds, 3))
        if seconds >= SECONDS:
            slow.append(f"{path.name}: {seconds:.1f} s")
    assert slow == []
    assert converted >= 20
