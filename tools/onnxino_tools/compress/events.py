"""What a compression tells while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxino_tools.compress.result import StageResult


@dataclass(frozen=True)
class Event:
    """What is going on. kind: "stage" (one is done: result), "epoch" (done of total, of what `text` says) or "note"
    (text)."""

    kind: str
    text: str = ""
    done: int = 0
    total: int = 0
    result: StageResult | None = None


Progress = Callable[[Event], None]


def silent(_: Event) -> None:
    """For a caller who wants no news."""
