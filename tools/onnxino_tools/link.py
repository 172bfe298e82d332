"""Talks to a device: requests with timeouts and retries, loading a model, inference, profile, reset."""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from onnxino.errors import LinkError, ModelError
from onnxino_tools.protocol import (
    REPLY,
    STATUS_TEXT,
    VERSION,
    Command,
    Decoder,
    Event,
    FaultRecord,
    Frame,
    FrameError,
    Hello,
    InferFlag,
    Measurement,
    Memory,
    Statistics,
    Status,
    parse_last_fault,
)
from onnxino_tools.transport import Transport

if TYPE_CHECKING:
    from onnxino.camera import Frame as CameraFrame
    from onnxino_tools.pipeline import Job

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

TIMEOUT = 1.0  # seconds until a request is repeated
RETRIES = 4
FLASH_TIMEOUT = 2.0  # a page takes 85 ms to erase, its words 42 ms
COMMIT_TIMEOUT = 5.0  # CRC-32 and verification of up to 640 KB
INFER_TIMEOUT = 10.0  # until the device's own speed is known
INFER_PATIENCE = 60.0  # in all
DATA = 1024  # bytes of model, input or output in a frame
MODEL_HEADER = 32
SILENCE_AFTER_RESET = 10.0
LEAST_FLOOD = 0.5  # seconds of bytes without a frame before a device is given up, however short the timeout
AFTER_GARBAGE = 0.05  # seconds to wait for an answer after the device said that it received garbage


class SilentError(LinkError):
    """Nothing that can be understood came back."""


class DeviceError(LinkError):
    """The device answered a request with an error status."""

    def __init__(self, doing: str, status: int, payload: bytes) -> None:
        try:
            self.status: Status | int = Status(status)
            text = STATUS_TEXT[Status(status)]
        except ValueError:
            self.status = status
            text = f"unknown status {status}"
        self.payload = payload
        if self.status in (Status.MODEL_REFUSED, Status.RUN_FAILED, Status.FRAME_REFUSED) and len(payload) >= 8:
            code, where = struct.unpack_from("<iI", payload)
            text += f": {payload[8:].decode('utf-8', 'replace')} (code {code}, index {where})"
        super().__init__(f"{doing}: {text}", _HINTS.get(self.status))


_GARBAGE = "it sends bytes, but no answer: another firmware, or another baud rate?"
_HINTS: dict[int, str] = {
    Status.BAD_VERSION: "install the firmware that came with this version of Onnxino",
    Status.UNKNOWN_COMMAND: "install the firmware that came with this version of Onnxino",
    Status.NO_MODEL: "load a model first",
    Status.MODEL_REFUSED: "convert the model again with this version of Onnxino",
    Status.FRAME_TOO_LARGE: "send a smaller frame: frame and model share the board's memory",
    Status.INPUT_DIFFERS: "the device's firmware converts frames in another way: onnxino flash installs this version's",
    Status.FLASH_FAILED: "try again; when it fails at the same place each time, the flash is worn out",
}


@dataclass(frozen=True)
class InferResult:
    """output: the bytes of all outputs in order; CPU cycles and microseconds from start to end of the inference.

    Where they were asked for: the CRC-32 of each operator's output, and (operator, cycles) of each operator.
    """

    output: bytes
    cycles: int
    microseconds: int
    hashes: list[int] | None = None
    profile: list[tuple[int, int]] | None = None


class DeviceLink:
    """A device that speaks the protocol, behind a transport. One request at a time; not for use from several threads.

    `retries` counts requests that were sent again, `errors_recovered` those of them that were answered in the end.
    """

    def __init__(self, transport: Transport, timeout: float = TIMEOUT, retries: int = RETRIES) -> None:
        self.transport = transport
        self.timeout = timeout
        self.max_retries = retries
        self.flash_timeout = FLASH_TIMEOUT
        self.commit_timeout = COMMIT_TIMEOUT
        self.infer_timeout = INFER_TIMEOUT
        self.infer_patience = INFER_PATIENCE
        self.retries = 0
        self.errors_recovered = 0
        self._decoder = Decoder()
        # Begins at random, so that a request is never taken for the repetition of another program's last one.
        self._sequence = int.from_bytes(os.urandom(2), "little")
        self._heard = False  # whether any byte came since the last answer
        self._understood = False  # whether any frame ever came

    def __enter__(self) -> DeviceLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the transport."""
        self.transport.close()

    @property
    def damaged_frames(self) -> int:
        """Pieces of bytes received that were no frames."""
        return self._decoder.damaged

    # ------------------------------------------------------------------ requests

    def request(
        self,
        command: Command,
        payload: bytes = b"",
        *,
        doing: str,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> bytes:
        """Sends a request until it is answered and returns the answer's payload.

        timeout: seconds until it is sent again; repetitions carry the same sequence number: the device runs them once.
        Raises DeviceError for an error status, LinkError when nothing answers or the device faults; `doing` says in
        the message what was being done.
        """
        frame = self.new_frame(command, payload)
        wait = self.timeout if timeout is None else timeout
        attempts = 1 + (self.max_retries if retries is None else retries)
        for attempt in range(attempts):
            if attempt:
                self.retries += 1
            self.transport.write(frame.encode())
            answer = self._answer(frame, wait, doing)
            if answer is not None:
                self.errors_recovered += attempt > 0
                self._heard = False
                if answer.status != Status.OK:
                    raise DeviceError(doing, answer.status, answer.payload)
                return answer.payload
        hint = "is it powered and running Onnxino's firmware? Press its reset button and try again"
        if self._heard:
            hint = _GARBAGE
        raise SilentError(
            f"the device at {self.transport.name} does not answer while {doing} ({attempts} attempts, {wait:g} s each)",
            hint,
        )

    def new_frame(self, command: Command, payload: bytes = b"") -> Frame:
        """A request with the next sequence number."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        return Frame(command, self._sequence, payload)

    def poll(self, timeout: float, doing: str) -> tuple[list[Frame] | None, bool]:
        """The answers that came, and whether the device says that it received garbage; None for no byte in `timeout`.

        For Pipeline, which has several requests under way. Raises LinkError for a fault or another protocol.
        """
        data = self.transport.read(timeout)
        if not data:
            return None, False
        frames: list[Frame] = []
        garbage = False
        for frame in self._decoder.feed(data):
            self._understood = True
            if self._is_garbage_report(frame, doing):
                garbage = True
            else:
                frames.append(frame)
        return frames, garbage

    def _answer(self, frame: Frame, wait: float, doing: str) -> Frame | None:
        """The answer to `frame`; None after `wait` seconds, or soon after the device says that it received garbage.

        Only the transport's own clock says that time is up (the emulator's is not ours), unless bytes come without end.
        Raises LinkError when they do, for twice as long, and no frame was ever among them.
        """
        start = time.monotonic()
        deadline, left, first = start + wait, wait, 0.0
        while time.monotonic() < start + 10 * wait:
            data = self.transport.read(left)
            if not data:
                return None
            self._heard = True
            first = first or time.monotonic()
            for got in self._decoder.feed(data):
                self._understood = True
                if self._is_garbage_report(got, doing):
                    # That may have been noise before our frame, so that its answer still follows.
                    deadline = 0
                elif got.type == frame.type | REPLY and got.sequence == frame.sequence:
                    return got
                # else: the late answer to an earlier attempt
            if not self._understood and time.monotonic() > first + max(2 * wait, LEAST_FLOOD):
                raise LinkError(f"the device at {self.transport.name} sends bytes without end while {doing}", _GARBAGE)
            left = max(deadline - time.monotonic(), AFTER_GARBAGE)
        return None

    def _is_garbage_report(self, got: Frame, doing: str) -> bool:
        """Also raises LinkError for a fault or another version of the protocol."""
        if got.type == Event.FAULT | REPLY:
            raise _fault(got, doing)
        if got.version != VERSION:
            raise LinkError(
                f"the device speaks version {got.version} of the protocol, this program version {VERSION}",
                "install the firmware that came with this version of Onnxino",
            )
        return got.type == Event.BAD_FRAME | REPLY

    # ------------------------------------------------------------------ commands

    def hello(self) -> Hello:
        """Who is there, and with which model."""
        return _parse_hello(self.request(Command.HELLO, doing="waiting for its hello"))

    def echo(self, data: bytes) -> bytes:
        """The same bytes, sent there and back: a test of the line."""
        return self.request(Command.ECHO, data, doing="testing the line")

    def load_model(self, data: bytes, progress: Progress | None = None) -> None:
        """Writes a .oxm file to the device's flash, where it is checked completely before it counts as a model.

        Raises ModelError when `data` is no .oxm file, LinkError when the device refuses it or the line fails: then
        the device has no model.
        """
        if len(data) < MODEL_HEADER or data[:4] != b"OXM\x1a":
            raise ModelError(
                "not a .oxm file: it does not begin with the magic 'OXM'",
                "convert the ONNX model first: onnxino convert",
            )
        doing = "loading the model"
        self.request(Command.LOAD_BEGIN, data[:MODEL_HEADER], doing=doing, timeout=self.flash_timeout)
        at = MODEL_HEADER
        while at < len(data):
            # Pieces end where pages end, so that no piece erases in its middle.
            piece = data[at : min(at + DATA, (at // DATA + 1) * DATA)]
            self.request(
                Command.LOAD_WRITE,
                struct.pack("<I", at) + piece,
                doing=f"{doing} (byte {at} of {len(data)})",
                timeout=self.flash_timeout,
            )
            at += len(piece)
            if progress is not None:
                progress(at, len(data))
        self.request(Command.LOAD_COMMIT, doing=f"{doing} (verifying it)", timeout=self.commit_timeout)

    def has_model(self, data: bytes) -> bool:
        """Whether the device's model is these bytes: same size, same CRC-32 in the header and over the flash."""
        hello = self.hello()
        if not hello.model_valid or (hello.model_size, hello.model_crc) != (
            len(data),
            int.from_bytes(data[16:20], "little"),
        ):
            return False
        return self.model_crc(0, len(data)) == zlib.crc32(data)

    def model_crc(self, offset: int, size: int) -> int:
        """CRC-32 over bytes of the model region."""
        answer = self.request(
            Command.MODEL_CRC,
            struct.pack("<II", offset, size),
            doing="checking the model in flash",
            timeout=self.commit_timeout,
        )
        return int.from_bytes(answer, "little")

    def image_crc(self, offset: int, size: int) -> int:
        """CRC-32 over bytes of the firmware's region."""
        answer = self.request(
            Command.IMAGE_CRC,
            struct.pack("<II", offset, size),
            doing="checking the firmware in flash",
            timeout=self.commit_timeout,
        )
        return int.from_bytes(answer, "little")

    def last_fault(self, *, clear: bool = False) -> tuple[int, FaultRecord | None]:
        """Faults since power-on, and what is known of the last one; `clear` forgets that."""
        answer = self.request(Command.LAST_FAULT, bytes([clear]), doing="asking for its last fault")
        return _parsed(parse_last_fault, answer)

    def statistics(self) -> Statistics:
        """Counters of the line since the device started."""
        return _parsed(Statistics.parse, self.request(Command.STATISTICS, doing="reading its counters"))

    def measure(self, what: Memory, words: int) -> Measurement:
        """CPU cycles for reading so many words (16,384 at most) of flash or RAM."""
        payload = struct.pack("<II", what, words)
        return _parsed(Measurement.parse, self.request(Command.MEASURE, payload, doing="measuring its memory"))

    def hashes(self) -> list[int]:
        """CRC-32 of each operator's output bytes in the last inference, which was asked to keep them; at most 256."""
        return self._words_of_operators(Command.HASHES, "reading the hashes")

    def read_model(self, offset: int, size: int) -> bytes:
        """Bytes of the model region."""
        out = b""
        while len(out) < size:
            piece = struct.pack("<II", offset + len(out), min(DATA, size - len(out)))
            out += self.request(Command.MODEL_READ, piece, doing="reading the model back")
        return out

    def infer(self, inputs: bytes | list[bytes], output_sizes: list[int] | None = None) -> InferResult:
        """Runs the device's model on input bytes (a list when it has several inputs).

        output_sizes: bytes of each output; without it the first output, which must not exceed 1024 bytes.
        A device that lost the input (it was reset) is given it again, once. Raises LinkError.
        """
        pieces = [inputs] if isinstance(inputs, bytes) else inputs
        try:
            answer = self._infer(pieces)
        except DeviceError as error:
            if error.status not in (Status.INPUT_INCOMPLETE, Status.OUT_OF_ORDER):
                raise
            self.retries += 1
            answer = self._infer(pieces)
            self.errors_recovered += 1
        cycles, microseconds = _unpack("<QI", answer, "the inference")
        return InferResult(self._outputs(answer[12:], output_sizes), cycles, microseconds)

    def frame(
        self,
        frame: CameraFrame,
        fit: str = "crop",
        output_sizes: list[int] | None = None,
        expected_input: bytes | None = None,
    ) -> InferResult:
        """Sends a camera's raw frame, which the device makes its input of (docs/camera.md), and runs the model on it.

        expected_input: what `onnxino.camera.frame_input` makes of it; the device then computes only when it has the
        same bytes. output_sizes: as in `infer`. Raises LinkError: also when the model takes no frame, or the frame does
        not fit beside it.
        """
        from onnxino.camera import FITS, FORMATS

        begin = struct.pack("<BBHH", FORMATS[frame.format], FITS[fit], frame.width, frame.height)
        payload = b""
        if expected_input is not None:
            payload = struct.pack("<BxxxI", InferFlag.CHECK, zlib.crc32(expected_input))
        self.request(Command.FRAME_BEGIN, begin, doing=f"sending a frame of {frame.width}x{frame.height}")
        for at in range(0, len(frame.data), DATA):
            piece = struct.pack("<I", at) + frame.data[at : at + DATA]
            self.request(Command.FRAME_WRITE, piece, doing="sending a frame")
        self.request(Command.FRAME_CONVERT, doing="converting the frame", timeout=self.infer_timeout)
        answer = self._run(payload)
        cycles, microseconds = _unpack("<QI", answer, "the inference")
        return InferResult(self._outputs(answer[12:], output_sizes), cycles, microseconds)

    def _infer(self, inputs: list[bytes]) -> bytes:
        for index, data in enumerate(inputs):
            for at in range(0, len(data), DATA):
                payload = struct.pack("<II", index, at) + data[at : at + DATA]
                self.request(Command.INPUT_WRITE, payload, doing=f"sending input {index}")
        return self._run()

    def _run(self, payload: bytes = b"") -> bytes:
        # The device is silent while it computes. Asking again does no harm: the repetition waits in its buffer.
        retries = min(30, max(self.max_retries, round(self.infer_patience / self.infer_timeout)))
        start, before = time.monotonic(), self.retries
        answer = self.request(
            Command.INFER, payload, doing="waiting for the inference", timeout=self.infer_timeout, retries=retries
        )
        if self.retries == before:  # an undisturbed inference tells how long to wait for the next
            # In the emulator the device's time is not ours: the longer of the two counts.
            seconds = max(time.monotonic() - start, int.from_bytes(answer[8:12], "little") / 1e6)
            self.infer_timeout = max(self.timeout, 3 * seconds)
        return answer

    def _outputs(self, first: bytes, sizes: list[int] | None) -> bytes:
        if sizes is None:
            return first
        out = bytearray(first[: sizes[0]])
        for index, size in enumerate(sizes):
            for at in range(len(out) if index == 0 else 0, size, DATA):
                payload = struct.pack("<III", index, at, min(DATA, size - at))
                out += self.request(Command.OUTPUT_READ, payload, doing=f"reading output {index}")
        return bytes(out)

    def infer_many(self, jobs: Iterable[Job], sizes: list[int]) -> Iterator[InferResult]:
        """Runs the device's model on each job's input; the next input is sent while the device computes.

        sizes: bytes of each output. The results come in order. Raises LinkError; the jobs whose results did not come
        are then to be given again.
        """
        from onnxino_tools.pipeline import Pipeline

        return Pipeline(self, self.hello(), sizes).run(jobs)

    def profile(self) -> list[tuple[int, int]]:
        """(operator index, CPU cycles) of each operator in the last inference."""
        return list(enumerate(self._words_of_operators(Command.PROFILE, "reading the profile")))

    def _words_of_operators(self, command: Command, doing: str) -> list[int]:
        words: list[int] = []
        while True:
            answer = self.request(command, struct.pack("<I", len(words)), doing=doing)
            (total,) = _unpack("<I", answer, doing.replace("reading ", ""))
            more = struct.unpack(f"<{len(answer) // 4 - 1}I", answer[4 : len(answer) // 4 * 4])
            words += more
            if not more or len(words) >= total:
                return words

    def reset(self, wait: float = SILENCE_AFTER_RESET) -> Hello:
        """Restarts the device and waits up to `wait` seconds for its hello. Raises LinkError when it stays silent."""
        self.request(Command.RESET, doing="resetting it")
        deadline = time.monotonic() + wait
        while True:
            try:
                payload = self.request(Command.HELLO, doing="waiting for it to start again", timeout=0.2, retries=0)
                return _parse_hello(payload)
            except DeviceError:
                raise
            except LinkError:
                if time.monotonic() > deadline:
                    raise


def _parse_hello(payload: bytes) -> Hello:
    try:
        return Hello.parse(payload)
    except FrameError as error:
        raise LinkError(f"the device's hello cannot be read: {error}") from None


def _parsed(parse: Callable[[bytes], T], payload: bytes) -> T:
    try:
        return parse(payload)
    except FrameError as error:
        raise LinkError(f"the device's answer cannot be read: {error}") from None


def _unpack(form: str, answer: bytes, what: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, answer)
    except struct.error:
        raise LinkError(f"the device's answer about {what} has {len(answer)} bytes, too few") from None


def _fault(frame: Frame, doing: str) -> LinkError:
    words = struct.unpack(f"<{len(frame.payload) // 4}I", frame.payload)
    names = ("exception", "pc", "lr", "psr", "CFSR", "HFSR", "MMFAR", "BFAR")
    text = ", ".join(f"{name} 0x{word:08X}" for name, word in zip(names, words, strict=False))
    return LinkError(
        f"the firmware stopped with a fault while {doing}: {text}",
        "the device restarts by itself; please report this with the model and the figures above",
    )
