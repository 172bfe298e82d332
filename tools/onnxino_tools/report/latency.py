"""The time of one inference on the board, estimated by the emulator's cycle counter."""

from __future__ import annotations

from dataclasses import dataclass

from onnxino.boards import NANO33BLE, Board
from onnxino.errors import OnnxinoError
from onnxino.model import tensor_bytes
from onnxino_tools.report.subject import Subject

_PORTS = 8  # inputs, and outputs, that a device takes


@dataclass(frozen=True)
class Latency:
    """CPU cycles of one inference, and of each operator (of the first 256), as the emulator estimates them."""

    cycles: int
    clock_hz: int
    operators: list[int]

    @property
    def ms(self) -> float:
        """Milliseconds."""
        return self.cycles * 1000 / self.clock_hz


@dataclass(frozen=True)
class Fit:
    """Whether a model fits the board, and by how many bytes it does not (0 where it does)."""

    board: Board
    flash_over: int
    arena_over: int
    ports_over: int

    @property
    def fits(self) -> bool:
        """Flash, arena and the number of ports."""
        return not (self.flash_over or self.arena_over or self.ports_over)

    @property
    def text(self) -> str:
        """What is in the way, for people."""
        parts: list[str] = []
        if self.flash_over:
            size, over = self.board.model_size, self.flash_over
            parts.append(f"the model takes {size + over:,} bytes of flash, {over:,} more than the {size:,} there are")
        if self.arena_over:
            size, over = self.board.arena_size, self.arena_over
            parts.append(f"running it takes {size + over:,} bytes of RAM, {over:,} more than the {size:,} there are")
        if self.ports_over:
            parts.append(f"it has more than {_PORTS} inputs or outputs")
        return "; ".join(parts)


def fit(subject: Subject, board: Board = NANO33BLE) -> Fit:
    """By the sizes of the .oxm file and its arena."""
    model = subject.model
    return Fit(
        board,
        max(0, len(subject.content) - board.model_size),
        max(0, int(model.arena_size) - board.arena_size),
        max(0, len(model.inputs) - _PORTS, len(model.outputs) - _PORTS),
    )


def estimate(subject: Subject, inputs: list[bytes] | None = None) -> tuple[Latency | None, str | None]:
    """One inference in the emulator: (latency, None), or (None, why there is none).

    inputs: the device's bytes of each input; default: zeros. Cycles hardly depend on them.
    """
    found = fit(subject)
    if not found.fits:
        return None, f"no latency: the model does not fit {found.board.title}: {found.text}"
    model = subject.model
    given = inputs or [bytes(tensor_bytes(model.tensors[port.tensor])) for port in model.inputs]
    try:
        return _count(subject, given, found.board.clock_hz), None
    except OnnxinoError as error:  # the extra is missing, or the device failed: the rest of the report stands
        hint = f" ({error.hint})" if error.hint else ""
        return None, f"no latency: {error.message}{hint}"


def _count(subject: Subject, inputs: list[bytes], clock_hz: int) -> Latency:
    from onnxino.backends.device import DeviceBackend

    sizes = [tensor_bytes(subject.model.tensors[port.tensor]) for port in subject.model.outputs]
    backend = DeviceBackend(subject.model, subject.content, "emulator")
    try:
        cycles = int(backend.link.infer(inputs, sizes).cycles)
        return Latency(cycles, clock_hz, [count for _, count in backend.link.profile()])
    finally:
        backend.close()
