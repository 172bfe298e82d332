"""A stream of inferences: while the device computes, the next input is already on its way (docs/protocol.md, Overlap).

Every request is repeated until it is answered, and the device is told the CRC-32 of the input it shall compute from: no
fault of the line makes a wrong result.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onnxino.errors import LinkError
from onnxino_tools.link import DATA, DeviceError, DeviceLink, InferResult
from onnxino_tools.protocol import MAX_WINDOW, REPLY, Command, Frame, Hello, InferFlag, Status, Transport

RESEND = 0.4  # seconds until a request is sent again; a round trip takes milliseconds
RESEND_FIRST = 1.2  # while the first inference runs: nothing is known of the device's speed
MORE_TIME = 0.8  # seconds that an inference is taken to last at most while its requests had to be repeated
RESEND_MOST = 2.0  # each further time takes twice as long, up to this
SOON = 0.05  # after the device or the host received garbage
GIVE_UP = 5.0  # seconds without any answer, beyond the time that an inference takes
FIRST = 60.0  # the first inference: nothing is known of the device's speed
UART_WINDOW = 2  # INFER and one INPUT_WRITE
_REWRITES = 5  # times that an input is written anew before the link is given up


@dataclass(frozen=True)
class Job:
    """One inference: the bytes of all inputs, and what else is wanted of it."""

    inputs: list[bytes]
    hashes: bool = False
    profile: bool = False


@dataclass
class _Request:
    frame: Frame
    due: float
    wait: float
    sent: int = 1
    soon: bool = False  # it is sent again because something damaged came, not for silence
    answer: Frame | None = None


@dataclass
class _Writing:
    """How far the inputs of a job are on the device."""

    job: Job
    pieces: list[bytes] = field(default_factory=list[bytes])  # payloads of INPUT_WRITE
    next: int = 0
    failed: bool = False  # the device has another idea of what comes next

    def __post_init__(self) -> None:
        self.pieces = [
            struct.pack("<II", index, at) + data[at : at + DATA]
            for index, data in enumerate(self.job.inputs)
            for at in range(0, len(data), DATA)
        ]


class Pipeline:
    """Runs jobs on a device whose `hello` is known. sizes: bytes of each output."""

    def __init__(self, link: DeviceLink, hello: Hello, sizes: list[int]) -> None:
        self.link = link
        self.sizes = sizes
        self.overlaps = hello.stages_inputs
        self.window = MAX_WINDOW if hello.transport == Transport.USB else UART_WINDOW
        self.overlapped = 0  # pieces of input that were sent while an inference ran
        self._clock = 0.0  # seconds as the transport counts them: the emulator's are not ours
        self._heard = 0.0  # when the last answer came
        self._longest = 0.0  # seconds that an inference took
        self._usual = 0.0  # seconds that the last one took, as far as is known; 0: none yet
        self._device = 0.0  # seconds that it took by the device's own clock
        self._open: dict[int, _Request] = {}
        self._writes: dict[int, _Request] = {}

    def run(self, jobs: Iterable[Job]) -> Iterator[InferResult]:
        """The results in order. Raises LinkError or DeviceError; then the results that were not given are lost."""
        source = iter(jobs)
        job = next(source, None)
        writing = None
        while job is not None:
            writing = writing or _Writing(job)
            following: _Writing | None = None
            coming: Job | None = None
            asked = False
            for attempt in range(_REWRITES + 1):
                self._write_all(writing)
                infer = self._send_infer(job)
                if not asked:
                    coming, asked = next(source, None), True
                if coming is not None and self.overlaps and not (job.hashes or job.profile):
                    following = following or _Writing(coming)
                answer = self._await_infer(infer, following)
                if answer is not None:
                    break
                self.link.retries += 1
                # What was written ahead is gone or would be in the way.
                self._settle(following)
                following, writing = None, _Writing(job)
                if attempt == _REWRITES:
                    raise LinkError(
                        f"the device at {self.link.transport.name} loses its input again and again",
                        "does it restart? Look at its LED, and try another cable or port",
                    )
            else:
                raise AssertionError("unreachable")
            yield self._result(job, answer, following)
            job, writing = coming, following

    # ------------------------------------------------------------------ the steps of one inference

    def _write_all(self, writing: _Writing) -> None:
        """Until the device has all inputs. Without an inference running, one piece at a time."""
        rewrites = 0
        while True:
            if writing.failed:
                self._settle(writing)
                rewrites += 1
                if rewrites > _REWRITES:
                    raise LinkError(f"the device at {self.link.transport.name} does not take its input")
                self.link.retries += 1
                writing.next, writing.failed = 0, False
            if not self._writes:
                if writing.next == len(writing.pieces):
                    return
                self._send_piece(writing)
            self._look()
            self._take_writes(writing)

    def _send_piece(self, writing: _Writing, *, busy: bool = False) -> None:
        wait = self._computing() if busy else RESEND
        request = self._send(Command.INPUT_WRITE, writing.pieces[writing.next], wait)
        self._writes[request.frame.sequence] = request
        writing.next += 1

    def _take_writes(self, writing: _Writing) -> None:
        for sequence, request in list(self._writes.items()):
            answer = request.answer
            if answer is None:
                continue
            del self._writes[sequence]
            if answer.status in (Status.OUT_OF_ORDER, Status.BUSY):
                writing.failed = True
            elif answer.status != Status.OK:
                raise DeviceError("sending an input", answer.status, answer.payload)

    def _settle(self, writing: _Writing | None) -> None:
        """Waits until no INPUT_WRITE is under way."""
        while self._writes:
            self._look()
            self._take_writes(writing or _Writing(Job([])))

    def _send_infer(self, job: Job) -> _Request:
        crc = 0
        for data in job.inputs:
            crc = zlib.crc32(data, crc)
        flags = InferFlag.CHECK | (InferFlag.HASHES if job.hashes else 0)
        return self._send(Command.INFER, struct.pack("<B3xI", flags, crc), self._computing())

    def _computing(self) -> float:
        """Seconds until a request is sent again while an inference runs: the device may not answer sooner."""
        # Not much longer than the device itself says that it computes: a computer that was busy takes any time.
        most = max(RESEND_FIRST, 1.5 * self._device)
        return min(max(RESEND, 1.5 * self._usual if self._usual else RESEND_FIRST), most, RESEND_MOST)

    def _await_infer(self, infer: _Request, following: _Writing | None) -> bytes | None:
        """The answer's payload; None when the device does not hold the input. Writes the next input meanwhile."""
        start = self._heard = self._clock
        limit = max(GIVE_UP + 3 * self._longest, 0.0 if self._longest else FIRST)
        while True:
            while infer.answer is None:
                if following is not None and not following.failed:
                    while len(self._writes) < self.window - 1 and following.next < len(following.pieces):
                        self._send_piece(following, busy=True)
                        self.overlapped += 1
                self._look(limit)
                if following is not None:
                    self._take_writes(following)
            answer = infer.answer
            if answer.status == Status.BUSY:  # an inference that somebody else began
                infer = self._again_later(infer)
                continue
            break
        took = self._clock - start
        self._longest = max(self._longest, took)
        if answer.status in (Status.INPUT_INCOMPLETE, Status.INPUT_DIFFERS):
            return None
        if answer.status != Status.OK:
            raise DeviceError("waiting for the inference", answer.status, answer.payload)
        # How long an answer takes is known only where the request was sent once; else the next one gets more time.
        self._usual = took if infer.sent == 1 else max(self._usual, min(infer.wait, MORE_TIME))
        if len(answer.payload) < 12:
            raise LinkError(f"the device's answer about the inference has {len(answer.payload)} bytes, too few")
        self._device = struct.unpack_from("<I", answer.payload, 8)[0] / 1e6
        return answer.payload

    def _again_later(self, request: _Request) -> _Request:
        end = self._clock + SOON
        while self._clock < end:
            self._receive(end - self._clock)
        return self._send(Command(request.frame.type), request.frame.payload)

    def _result(self, job: Job, answer: bytes, following: _Writing | None) -> InferResult:
        cycles, microseconds = struct.unpack_from("<QI", answer)
        output = bytearray(answer[12 : 12 + self.sizes[0]])
        rest = len(output) < sum(self.sizes)
        if rest or job.hashes or job.profile:  # requests that may not run beside others
            self._settle(following)
        for index, size in enumerate(self.sizes):
            for at in range(len(output) if index == 0 else 0, size, DATA):
                payload = struct.pack("<III", index, at, min(DATA, size - at))
                output += self._ask(Command.OUTPUT_READ, payload, f"reading output {index}")
        hashes = self.link.hashes() if job.hashes else None
        profile = self.link.profile() if job.profile else None
        return InferResult(bytes(output), cycles, microseconds, hashes, profile)

    def _ask(self, command: Command, payload: bytes, doing: str) -> bytes:
        request = self._send(command, payload)
        while request.answer is None:
            self._look()
        if request.answer.status == Status.BUSY:
            return self._ask(command, payload, doing)
        if request.answer.status != Status.OK:
            raise DeviceError(doing, request.answer.status, request.answer.payload)
        return request.answer.payload

    # ------------------------------------------------------------------ requests under way

    def _send(self, command: Command, payload: bytes, wait: float = 0.0) -> _Request:
        wait = wait or RESEND
        frame = self.link.new_frame(command, payload)
        if not self._open:
            self._heard = self._clock
        request = _Request(frame, self._clock + wait, wait)
        self._open[frame.sequence] = request
        self.link.transport.write(frame.encode())
        return request

    def _look(self, limit: float | None = None) -> None:
        """Waits for the next answers and repeats what is due. Raises LinkError after `limit` seconds of silence."""
        limit = GIVE_UP if limit is None else limit
        due = min(request.due for request in self._open.values()) if self._open else self._clock + RESEND
        self._receive(max(due - self._clock, 0.001))
        for request in self._open.values():
            if request.due <= self._clock:
                self.link.retries += 1
                if not request.soon:  # silence; after a damaged answer the line is as quick as ever
                    request.wait = min(2 * request.wait, RESEND_MOST)
                request.soon = False
                request.due = self._clock + request.wait
                request.sent += 1
                self.link.transport.write(request.frame.encode())
        if self._clock - self._heard > limit:
            raise LinkError(
                f"the device at {self.link.transport.name} does not answer any more, for {limit:.1f} s",
                "is it powered? Press its reset button and try again",
            )

    def _receive(self, timeout: float) -> None:
        start = time.monotonic()
        damaged = self.link.damaged_frames
        frames, garbage = self.link.poll(timeout, "streaming data")
        if frames is None:
            self._clock += timeout
            return
        self._clock += min(time.monotonic() - start, timeout)
        for frame in frames:
            request = self._open.get(frame.sequence)
            if request is not None and frame.type == request.frame.type | REPLY:
                del self._open[frame.sequence]
                request.answer = frame
                self._heard = self._clock
                self.link.errors_recovered += request.sent > 1
        if garbage or self.link.damaged_frames > damaged:
            for request in self._open.values():
                request.soon = request.soon or self._clock + SOON < request.due
                request.due = min(request.due, self._clock + SOON)
