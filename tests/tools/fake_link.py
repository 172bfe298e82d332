"""A DeviceLink without a device: computes with the NumPy reference, and fails when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from onnxino import InferenceSession
from onnxino.errors import LinkError
from onnxino_tools.evaluate import reference_hashes
from onnxino_tools.link import InferResult
from onnxino_tools.pipeline import Job
from onnxino_tools.protocol import Hello


class FakeLink:
    """before(n) runs before inference n and may raise; flip: numbers of inferences whose first output byte is wrong."""

    def __init__(self, before: Callable[[int], None] = lambda n: None, flip: tuple[int, ...] = ()) -> None:
        self.before = before
        self.flip = flip
        self.model = b""
        self.loads = 0
        self.count = 0
        self.errors_recovered = self.retries = 0
        self.timeout = 1.0
        self.closed = False
        self.wrong_hashes = False
        self.device_id = "00FF00FF00FF00FF"

    def __enter__(self) -> FakeLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def hello(self) -> Hello:
        return Hello(*[0] * 3, "0.1.0", self.device_id, *[0] * 13, "tiny")

    def has_model(self, data: bytes) -> bool:
        return self.model == data

    def load_model(self, data: bytes, progress: Callable[[int, int], None]) -> None:
        self.model = data
        self.session = InferenceSession(data)
        self.loads += 1
        progress(len(data), len(data))

    def close(self) -> None:
        self.closed = True

    def infer_many(self, jobs: Iterable[Job], sizes: list[int]) -> Iterator[InferResult]:
        for job in jobs:
            result = self.infer(job.inputs, sizes)
            device = [np.frombuffer(data, np.int8).reshape(1, 4, 4, 1) for data in job.inputs]
            hashes = reference_hashes(self.session, device) if job.hashes else None
            if hashes and self.wrong_hashes:
                hashes[0] ^= 1
            profile = [(i, 100 + i) for i in range(len(self.session.model.operators))] if job.profile else None
            yield replace(result, hashes=hashes, profile=profile)

    def infer(self, inputs: list[bytes], sizes: list[int]) -> InferResult:
        self.before(self.count)
        model = self.session.model
        arrays = [
            np.frombuffer(data, np.int8).reshape(1, *(int(d) for d in model.tensors[port.tensor].shape))
            for data, port in zip(inputs, model.inputs, strict=True)
        ]
        output = bytearray(b"".join(a.tobytes() for a in self.session.backend.run(arrays)))
        assert len(output) == sum(sizes)
        if self.count in self.flip:
            output[0] ^= 1
        self.count += 1
        return InferResult(bytes(output), 64_000 * self.count, 1000 * self.count)


def dying(at: int) -> Callable[[int], None]:
    """Stops answering at inference `at`."""

    def before(n: int) -> None:
        if n == at:
            raise LinkError("the device at fake does not answer while waiting for the inference", "is it powered?")

    return before
