"""What a stage cost and gained: the row of figures that is shown after each, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from onnxino_tools import ui

BOARD = "nano33ble"


@dataclass(frozen=True)
class Row:
    """Figures of one model. accuracy: share of the validation images; weight_bytes: of the converted model, packed;
    oxm_bytes: the model file; arena_bytes: working memory; latency_ms: estimated at 64 MHz, None where it does not fit
    the board or the emulator is not installed."""

    stage: str
    accuracy: float
    parameters: int
    nonzero: int
    macs: int
    weight_bytes: int
    oxm_bytes: int
    arena_bytes: int
    latency_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def header() -> list[str]:
    """Titles of the columns of `cells`."""
    return ["stage", "accuracy", "parameters", "not zero", "multiply-adds", "weights", ".oxm", "arena", "latency"]


def cells(row: Row) -> list[str]:
    """One row of the table of stages."""
    return [
        row.stage,
        percent(row.accuracy),
        f"{row.parameters:,}",
        f"{row.nonzero:,}",
        f"{row.macs:,}",
        f"{row.weight_bytes:,} B",
        f"{row.oxm_bytes:,} B",
        f"{row.arena_bytes:,} B",
        milliseconds(row.latency_ms),
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """All stages, aligned."""
    return ui.table([header(), *(cells(row) for row in rows)], right=range(1, 9))


def sentence(row: Row, seconds: float) -> str:
    """One stage that is done, in a line."""
    return (
        f"{row.stage}: {percent(row.accuracy)}, {row.macs:,} multiply-adds, {row.weight_bytes:,} bytes of weights, "
        f"{row.arena_bytes:,} of working memory, {milliseconds(row.latency_ms)} ({seconds:.1f} s)"
    )


def percent(share: float) -> str:
    """A share as per cent."""
    return f"{100 * share:.2f} %"


def milliseconds(value: float | None) -> str:
    """Estimated milliseconds; a dash where there are none."""
    return "-" if value is None else f"{value:.2f} ms"
