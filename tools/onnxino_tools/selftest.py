"""What `onnxino selftest` measures on a board, as one document that its owner can pass on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino import InferenceSession, __version__
from onnxino.errors import LinkError, OnnxinoError
from onnxino.model import tensor_bytes
from onnxino_tools.evaluate import joined, reference_hashes
from onnxino_tools.inspect.device import kernel_name
from onnxino_tools.kept_model import KeptModel
from onnxino_tools.link import DeviceError, DeviceLink, InferResult
from onnxino_tools.pipeline import Job
from onnxino_tools.protocol import Bootloader, Hello, Memory, Transport
from onnxino_tools.selftest_models import SelftestModel, selftest_models

if TYPE_CHECKING:
    from onnxino.schema.model import Model

FORMAT = 1
WORDS = (256, 1024, 4096, 16384)  # that are read from flash and RAM
Progress = Callable[[str, int, int], None]
"""Called with (what, done, in all)."""


def selftest(
    link: DeviceLink, progress: Progress | None = None, say: Callable[[str], None] | None = None
) -> dict[str, object]:
    """Runs the fixed models on a device and gives what docs/hardware.md lists. Raises LinkError.

    The device's own model is put back at the end, also when something fails in between; until then it is kept in a
    file, which the error names where that fails too. `say` is told the file. progress may raise KeyboardInterrupt.
    """
    report = progress or _silent
    hello = link.hello()
    models = selftest_models()
    own = KeptModel.keep(link, board_mark(hello.device_id), [model.content for model in models])
    if say is not None and own.path is not None:
        left = " by a selftest that broke off" if own.found else ""
        say(f"the board's own model is kept{left} in {own.path} until it is put back")
    failure: BaseException | None = None
    results: list[dict[str, Any]] = []
    memory: list[dict[str, object]] = []
    try:
        for i, model in enumerate(models):
            results.append(_run(link, model, lambda i=i: report("models", i, len(models))))
        for what in Memory:
            for words in WORDS:
                report("models", len(models), len(models))
                memory.append(_measured(link, what, words))
    except BaseException as error:
        failure = error
    try:
        own.put_back(link)
    except (OnnxinoError, KeyboardInterrupt) as error:
        raise own.lost(link.transport.name, failure, error) from (failure or error)
    if failure is not None:
        raise failure
    count, fault = link.last_fault()
    return {
        "format": FORMAT,
        "onnxino": __version__,
        "host": {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()},
        "board": _board(hello),
        "models": results,
        "memory": memory,
        "line": {
            "retries": link.retries,
            "errors_recovered": link.errors_recovered,
            "damaged_frames": link.damaged_frames,
            "device": asdict(link.statistics()),
        },
        "faults": {"since_power_on": count, "last": None if fault is None else asdict(fault)},
        "ok": all(result["ok"] for result in results),
    }


def _silent(what: str, done: int, total: int) -> None:
    """No progress is wanted."""


def board_mark(device_id: str) -> str:
    """16 digits that tell boards apart without telling the chip's number, which is also its radio's address."""
    return hashlib.sha256(f"onnxino selftest {device_id}".encode()).hexdigest()[:16]


def _board(hello: Hello) -> dict[str, object]:
    return {
        "mark": board_mark(hello.device_id),
        "emulated": is_emulated(hello),
        "board_id": hello.board_id,
        "clock_hz": hello.clock_hz,
        "firmware_version": hello.firmware_version,
        "protocol_version": hello.protocol_version,
        "image_size": hello.image_size,
        "image_crc": f"{hello.image_crc:08x}",
        "own_image": _is_own_image(hello),
        "transport": Transport(hello.transport).name,
        "bootloader": Bootloader(hello.bootloader).name,
        "reset_reasons": hello.reset_reasons,
        "arena_size": hello.arena_size,
        "stack_size": hello.stack_size,
        "stack_free": hello.stack_free,
    }


def is_emulated(hello: Hello) -> bool:
    """Whether the device is the emulator: its chip has a made-up number."""
    from onnxino_tools.emulator.machine import DEVICE_ID

    return hello.device_id == f"{DEVICE_ID:016X}"


def _is_own_image(hello: Hello) -> bool:
    """Whether the firmware is the image that came with this version of Onnxino."""
    import zlib

    from onnxino_tools.build import firmware_image

    return hello.image_crc == zlib.crc32(firmware_image())


def _run(link: DeviceLink, model: SelftestModel, progress: Callable[[], None]) -> dict[str, Any]:
    """Loads one model, runs its inputs, and compares every byte and every operator with the reference."""
    progress()
    with InferenceSession(model.content) as session:
        device = session.to_device({session.model.inputs[0].name: model.inputs})
        reference = joined(session.backend.run(device))
        hashes = [reference_hashes(session, [part[i : i + 1] for part in device]) for i in range(len(reference))]
        jobs = [Job([part[i].tobytes() for part in device], True, True) for i in range(len(reference))]
        sizes = [tensor_bytes(session.model.tensors[port.tensor]) for port in session.model.outputs]
        if not link.has_model(model.content):
            link.load_model(model.content, lambda done, total: progress())
        answers: list[InferResult] = []
        for answer in link.infer_many(jobs, sizes):
            answers.append(answer)
            progress()
        estimates = {states: estimated_cycles(model.content, jobs[0], sizes, states) for states in (0, 2)}
        different = sum(
            int((np.frombuffer(answer.output, np.uint8) != expected).sum())
            for answer, expected in zip(answers, reference, strict=True)
        )
        wrong = sum(
            a != b
            for answer, own in zip(answers, hashes, strict=True)
            for a, b in zip(answer.hashes or [], own, strict=True)
        )
        return {
            "name": model.name,
            "sha256": hashlib.sha256(model.content).hexdigest(),
            "inferences": len(answers),
            "cycles": [answer.cycles for answer in answers],
            "microseconds": [answer.microseconds for answer in answers],
            "bytes_compared": int(reference.size),
            "bytes_different": different,
            "operators_different": wrong,
            "operators": _operators(session.model, [c for _, c in answers[0].profile or []], estimates),
            "ok": different == 0 and wrong == 0,
        }


def _operators(model: Model, measured: list[int], estimates: dict[int, list[int] | None]) -> list[dict[str, object]]:
    from onnxino.ops import OPERATORS

    rows: list[dict[str, object]] = []
    for index, (operator, cycles) in enumerate(zip(model.operators, measured, strict=False)):
        inputs = [model.tensors[int(i)] for i in operator.inputs]
        outputs = [model.tensors[int(i)] for i in operator.outputs]
        macs = int(OPERATORS[type(operator.kernel)].macs(operator.kernel, inputs, outputs))
        row: dict[str, object] = {"name": operator.name, "kernel": kernel_name(operator.kernel), "macs": macs}
        row["cycles"] = cycles
        for states, estimate in estimates.items():
            row[f"estimated_{states}_wait_states"] = None if estimate is None else estimate[index]
        rows.append(row)
    return rows


def estimated_cycles(content: bytes, job: Job, sizes: list[int], wait_states: int) -> list[int] | None:
    """What the emulator says of each operator; None where it is not installed."""
    if find_spec("unicorn") is None:
        return None
    from onnxino_tools.build import firmware_image
    from onnxino_tools.emulator import EmulatorTransport, Machine

    machine = Machine(firmware_image(), content, wait_states=wait_states)
    with DeviceLink(EmulatorTransport(machine)) as link:
        (answer,) = link.infer_many([Job(job.inputs, profile=True)], sizes)
    return [cycles for _, cycles in answer.profile or []]


def _measured(link: DeviceLink, what: Memory, words: int) -> dict[str, object]:
    try:
        found = link.measure(what, words)
    except DeviceError as error:
        raise LinkError(f"{error.message} ({words} words of {what.name})", error.hint) from None
    return {"memory": what.name.lower(), "words": words, **asdict(found)}
