"""Whether inputs reach the device, and outputs leave it, as in ONNX: layout, type, scale, and nothing that was lost
before the first operator or behind the last.

The operators are compared one by one, so that rounding does not add up; these are the two ends of that chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxino_tools.verify.compare import TOLERANCE, as_steps, different, float_difference, source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxino import InferenceSession
    from onnxino.schema.model import Tensor
    from onnxino_tools.verify.parts import Parts

    Arrays = dict[int, NDArray[Any]]


class PortComparison:
    """Gathers, batch after batch, names of `wrong_inputs`, of outputs that are `wrong`, and that are `not_compared`."""

    def __init__(self, session: InferenceSession, parts: Parts) -> None:
        self.wrong_inputs: dict[str, None] = {}
        self.wrong: dict[str, None] = {}  # in order, each once
        self.not_compared: dict[str, None] = {}
        self._session = session
        self._model = session.model
        self._parts = parts

    def add(self, values: Arrays, ours: Arrays, compared: set[int], inside: list[dict[str, NDArray[Any]]]) -> None:
        """One batch. `values`: tensors (B, *shape) by number, ONNX Runtime's own where they are known; `ours`: what our
        operators made instead; `compared`: compared already; `inside`: each sample's in ONNX Runtime."""
        for k, seen in enumerate(inside):
            known = {number: value[k : k + 1] for number, value in values.items()}
            own = known | {number: value[k : k + 1] for number, value in ours.items()}
            for port in self._model.inputs:
                expected = self._parts.before(port.tensor, seen)
                if expected is not None and different(known[port.tensor], expected).any():
                    self.wrong_inputs[port.name] = None
            made, made_by_us = self._made(known), self._made(own)
            for index, port in enumerate(self._model.outputs):
                theirs = seen.get(port.name)
                if theirs is None or not _same(made[index], theirs):
                    self._judge(index, known, compared, made[index], made_by_us[index])

    def _judge(
        self, index: int, known: Arrays, compared: set[int], made: NDArray[Any], made_by_us: NDArray[Any]
    ) -> None:
        """An output that is not ONNX Runtime's own, perhaps because the last tensor is not: alone, then."""
        port = self._model.outputs[index]
        root = source(self._model, port.tensor)
        if root in compared:
            part = self._parts.behind(port.name, port.tensor, known[root])
            if part is not None:
                if not _same(made, part):
                    self.wrong[port.name] = None
                return
        part = self._parts.ending(port.name, {number: v for number, v in known.items() if number != root})
        if part is None:
            self.not_compared[port.name] = None
        elif not _close(made_by_us, part, self._model.tensors[port.tensor]):
            self.wrong[port.name] = None

    def _made(self, known: Arrays) -> list[NDArray[Any]]:
        return self._session.from_device([known[source(self._model, port.tensor)] for port in self._model.outputs])


def _same(made: NDArray[Any], theirs: NDArray[Any]) -> bool:
    return made.shape == theirs.shape and made.dtype == theirs.dtype and not different(made, theirs).any()


def _close(made: NDArray[Any], theirs: NDArray[Any], tensor: Tensor) -> bool:
    """Whether they are as close as an operator's result must be: float32 by TOLERANCE, quantized by one step."""
    import numpy as np

    if made.shape != theirs.shape or made.dtype != theirs.dtype:
        return False
    if made.dtype == np.int64:
        return bool(np.array_equal(made, theirs))
    if tensor.scale and tensor.type.name == "Int8":
        steps = [as_steps(value, tensor.scale, tensor.zero_point) for value in (made, theirs)]
        return bool((np.abs(steps[0] - steps[1]) <= 1).all())
    difference, scale = float_difference(made, theirs)
    return bool((difference <= TOLERANCE * scale).all())
