"""The whole path in one go, on real images.

Converts a quantized ONNX model, takes the firmware image of the board, starts the emulated board in a process of its
own, loads the model over its serial port and classifies a test set there; every output byte is compared with the
reference.

    onnxino demo                     the waste sorter where TrashNet's images are at hand, else 1,000 handwritten digits
    onnxino demo --data-file F.npz   the waste sorter: photographs of waste (TrashNet) in 6 classes
    onnxino demo --data digits       the digits; everything is included

examples/waste_sorter/train.py downloads TrashNet; its images stay in the user's cache, where this command finds them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import InputError
from onnxino_tools import arguments, ui
from onnxino_tools.files import write_all

if TYPE_CHECKING:
    from argparse import Namespace

STEPS = 5
CACHED = "trashnet_64.npz"  # in the cache, put there by examples/waste_sorter/train.py


@dataclass(frozen=True)
class Task:
    """What a demo runs. limit: number of images, or None for all."""

    title: str
    name: str
    model: Path
    data: Path
    split: str | None
    limit: int | None


def add_arguments(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--data",
        choices=["digits", "trashnet"],
        help="what to classify (default: trashnet where its images are in the cache or given, else digits)",
    )
    parser.add_argument("--data-file", metavar="F.npz", help="images, labels, split, classes")
    parser.add_argument("--model", metavar="M.onnx", help="another quantized model for these images")
    parser.add_argument("--limit", type=arguments.positive, metavar="N", help="only the first N images")
    parser.add_argument("--build", action="store_true", help="compile the firmware where a compiler is installed")
    parser.add_argument("-o", "--output", metavar="DIR", help="keep the converted model there")
    parser.add_argument("--tcp", action="store_true", help="serial port over TCP (socket://) instead of a pty")
    arguments.add_save(parser, "inputs, outputs, predictions and latency of each image")
    arguments.add_json(parser)


def run(args: Namespace) -> int:
    cached = _cached()
    chosen = args.data or ("trashnet" if args.data_file is not None or cached is not None else "digits")
    task = _trashnet(args, cached) if chosen == "trashnet" else _digits(args)
    arguments.check_save(args)
    if args.data is None and args.data_file is None:
        ui.note(_why(task))
    with tempfile.TemporaryDirectory(prefix="onnxino-demo-") as scratch:
        return _run(args, task, Path(scratch))


def _digits(args: Namespace) -> Task:
    from onnxino_tools.examples import example

    model = Path(args.model) if args.model else example("digits", "digits_int8.onnx")
    data = Path(args.data_file) if args.data_file else example("digits", "digits_test.npz")
    return Task("handwritten digits", "digits", model, data, None, args.limit)


def _trashnet(args: Namespace, cached: Path | None) -> Task:
    from onnxino_tools.examples import example

    data = cached if args.data_file is None else Path(args.data_file)
    if data is None:
        raise InputError(
            "--data trashnet needs its images: --data-file F.npz",
            "a .npz with images uint8 [N, 64, 64, 3], labels, split; examples/waste_sorter/train.py downloads them",
        )
    if not data.is_file():
        raise InputError(f"there is no file '{data}'", "--data-file names the .npz with the images of the waste sorter")
    model = Path(args.model) if args.model else example("waste_sorter", "waste_sorter_int8.onnx")
    return Task("pieces of waste", "waste_sorter", model, data, "test", args.limit)


def _cached() -> Path | None:
    """TrashNet's images where they are in the user's cache; None also where there can be no cache."""
    from onnxino.compile_cache import CompileError, cache_dir

    try:
        path = cache_dir() / CACHED
    except CompileError:
        return None
    return path if path.is_file() else None


def _why(task: Task) -> str:
    """What was chosen to be classified, and how to have the other."""
    if task.name == "digits":
        return (
            "TrashNet's images are not at hand, so these are digits; "
            "examples/waste_sorter/train.py downloads them, or --data-file names them"
        )
    return f"TrashNet's images are at hand ({task.data}), so this is the waste sorter; --data digits has digits"


def _run(args: Namespace, task: Task, scratch: Path) -> int:
    from onnxino import InferenceSession
    from onnxino_tools.commands.serial_eval import load_if_needed, measure
    from onnxino_tools.data import PixelOptions
    from onnxino_tools.data.inputs import image_feed
    from onnxino_tools.devices import open_device
    from onnxino_tools.emulator_process import EmulatorProcess
    from onnxino_tools.evaluate import Evaluator

    start = time.monotonic()
    ui.talk(f"Onnxino: {task.title}, classified by the firmware of an Arduino Nano 33 BLE Sense in the emulator")
    ui.talk()
    content = _convert(task, Path(args.output) if args.output else scratch)
    image, text = _firmware(args.build, scratch)
    _step(2, "firmware", text)
    with InferenceSession(content) as session:
        data, feed, text = image_feed(session.model, str(task.data), PixelOptions(), split=task.split, limit=task.limit)
        evaluator = Evaluator(session, data, feed)
        with EmulatorProcess(image, scratch, tcp=args.tcp) as emulator:
            _step(3, "emulator", f"the emulated board is running; its serial port is {emulator.port}")
            for line in emulator.notes:
                ui.note(line)
            with open_device(emulator.port) as link:
                _step(4, "load", load_if_needed(link, content))
                count = ui.counted(len(data), "image")
                _step(5, "evaluate", f"{count}; every output byte is compared with the NumPy reference")
                ui.talk(f"{'':13} input: {text}")
                ui.talk()
                code = measure(link, evaluator, save=args.save, as_json=args.json)
    if code == 0:
        _next(task, time.monotonic() - start)
    return code


def _convert(task: Task, folder: Path) -> bytes:
    """The model file's bytes, also written into the folder."""
    from onnxino_converter import convert

    if not task.model.is_file():
        raise InputError(f"there is no model '{task.model}'")
    converted = convert(task.model, name=task.name)
    oxm = folder / f"{task.name}.oxm"
    write_all(folder, [(oxm.name, converted.model)])
    report = converted.report
    sizes = f"{report['model_bytes']:,} bytes of flash, {report['arena_bytes']:,} bytes of RAM"
    _step(1, "convert", f"{task.model.name} -> {oxm.name}: {report['macs']:,} multiply-adds, {sizes}")
    return converted.model


def _firmware(build: bool, scratch: Path) -> tuple[Path, str]:
    """The image's path, and what to say about it."""
    from onnxino.errors import MissingExtraError
    from onnxino_tools.build import build_firmware, firmware_image, prebuilt_path

    if build:
        try:
            path = build_firmware(scratch)
            return path, f"built with ziglang: {ui.size(path.stat().st_size)}, the image that is flashed to a board"
        except MissingExtraError as e:
            ui.note(f"{e.message}; taking the finished image ({e.hint})")
    size = len(firmware_image())
    return prebuilt_path(), f"the finished image that is flashed to a board: {ui.size(size)}"


def _step(number: int, name: str, text: str) -> None:
    ui.talk(f"{number}/{STEPS} {name:9} {text}")


def _next(task: Task, seconds: float) -> None:
    ui.talk()
    ui.talk(f"Done in {seconds:.0f} s: the board computed exactly the bytes of the reference.")
    ui.talk("What next:")
    program = _program()
    rows = [
        ("your own model", f"{program} convert YOUR_MODEL.onnx -o out"),
        ("compare with ONNX Runtime", f"{program} verify {_short(task.model)}"),
        ("the same on a real board", f"{program} serial-eval --port PORT --model MODEL.oxm --data DATA.npz"),
    ]
    for line in ui.table(rows):
        ui.talk(line)


def _program() -> str:
    """How this command is called from here: `make demo` installs it beside the project, not on the PATH."""
    called = Path(sys.argv[0])
    return "onnxino" if shutil.which("onnxino") or called.stem != "onnxino" else _short(called)


def _short(path: Path) -> str:
    """The path as seen from here, where that is shorter."""
    try:
        return min(os.path.relpath(path), str(path), key=len)
    except ValueError:  # another drive
        return str(path)
