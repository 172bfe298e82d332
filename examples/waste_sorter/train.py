"""Trains the waste sorter: a teacher on TrashNet, a student that learns from it, int8, and the emulated board.

    pip install 'onnxino[train]'
    python examples/waste_sorter/train.py                      downloads the images (43 MB) once
    python examples/waste_sorter/train.py --data-file F.npz    images, labels, split, classes

Writes, beside this script or into --output: waste_sorter_int8.onnx, the student that is best on the validation split,
and results.json. The test split is read once, at the end; nothing is chosen by it. Ctrl-C loses at most a minute: the
same command goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError, MissingExtraError, OnnxinoError
from onnxino_tools import arguments, ui
from onnxino_tools.files import check_writable, write_whole

if TYPE_CHECKING:
    from argparse import Namespace

    from board import Measured
    from torch import nn
    from training import Recipe

    from onnxino_tools.data import Dataset

HERE = Path(__file__).resolve().parent
MODEL, RESULTS = "waste_sorter_int8.onnx", "results.json"
TEACHER_EPOCHS, STUDENT_EPOCHS, VIEWS = 120, 400, 40
CALIBRATION = 400  # training images from which the quantizer reads the ranges
QUICK = {"train": 64, "val": 32, "test": 12}  # images; the last are validation images too


@dataclass(frozen=True)
class Seed:
    """One seed's networks, on disk, and how long they took (seconds; in one go or in several)."""

    number: int
    teacher: Path
    student: Path
    int8: Path
    seconds: float
    validation: float  # accuracy of the int8 student on the validation split


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    ui.ensure_streams()
    try:
        args = parser().parse(sys.argv[1:] if argv is None else argv)
        return 0 if args is None else run(args)
    except arguments.UsageError as e:
        ui.error(e.message, e.hint)
        return 2
    except OnnxinoError as e:
        ui.error(e.message, e.hint)
        return 1
    except KeyboardInterrupt:
        ui.error("interrupted", "the same command goes on where it was")
        return 130


def parser() -> arguments.Parser:
    """The command line."""
    made = arguments.Parser("train.py", (__doc__ or "").strip())
    made.add_argument("--data-file", metavar="F.npz", help="TrashNet at 64x64 (default: the cache, else a download)")
    made.add_argument("--seeds", type=arguments.positive, default=3, metavar="N", help="trainings (default: 3)")
    made.add_argument("--epochs", type=arguments.positive, metavar="N", help=f"student (default: {STUDENT_EPOCHS})")
    made.add_argument(
        "--teacher-epochs", type=arguments.positive, metavar="N", help=f"teacher (default: {TEACHER_EPOCHS})"
    )
    made.add_argument("-o", "--output", metavar="DIR", help="where the results go (default: beside this script)")
    made.add_argument("--work", metavar="DIR", help="for what is half done (default: in the user's cache)")
    made.add_argument("--threads", type=arguments.positive, default=1, metavar="N", help="of PyTorch (default: 1)")
    made.add_argument("--bfloat16", action="store_true", help="faster on processors that have it (AVX-512 BF16, AMX)")
    made.add_argument("--validation-only", action="store_true", help="stop before the test split is read")
    made.add_argument("--quick", action="store_true", help="a few images and epochs, to see that everything runs")
    return made


def run(args: Namespace) -> int:
    """Trains, chooses by the validation split, and then reads the test split."""
    start = time.monotonic()
    needs()
    import torch
    from board import on_board
    from images import find_images, load

    output = Path(args.output) if args.output else HERE
    if output == HERE and (args.quick or args.epochs or args.teacher_epochs):
        raise InputError("a trial would replace the results beside this script", "name another folder: -o DIR")
    for name in (MODEL, RESULTS):
        check_writable(output / name)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    path = find_images(None if args.data_file is None else Path(args.data_file), ui.talk)
    splits = {name: few(load(path, name), args, name) for name in ("train", "val")}
    work = work_folder(args, splits["train"])
    seeds = [train_seed(number, args, splits, work) for number in range(1 if args.quick else args.seeds)]
    best = max(seeds, key=lambda seed: (seed.validation, -seed.number))
    ui.talk(f"best on the validation split: seed {best.number}, {best.validation:.2%} as int8")
    content = best.int8.read_bytes()
    write_whole(output / MODEL, lambda file: file.write(content))
    if args.validation_only:
        return 0
    final = "val" if args.quick else "test"
    test = few(load(path, final), args, "test")
    floats = {kind: [float_accuracy(seed, kind, test) for seed in seeds] for kind in ("teacher", "student")}
    boards = [on_board(seed.int8, path, final, len(test)) for seed in seeds]
    results = summary(args, seeds, best, floats, boards) | {"seconds": round(time.monotonic() - start)}
    text = json.dumps(results, indent=2) + "\n"
    write_whole(output / RESULTS, lambda file: file.write(text.encode()))
    for line in report(results):
        ui.out(line)
    return 0


def needs() -> None:
    """Raises MissingExtraError where something for training, images or the emulated board is not installed."""
    from importlib.util import find_spec

    for module, what, extra in (("torch", "Training", "train"), ("unicorn", "The emulated board", "emulator")):
        if find_spec(module) is None:
            raise MissingExtraError(what, extra)


def few(data: Dataset, args: Namespace, split: str) -> Dataset:
    """All images, or with --quick the first few."""
    import numpy as np

    return data.take(np.arange(QUICK[split])) if args.quick else data


def recipes(args: Namespace) -> tuple[Recipe, Recipe]:
    """How the teacher and the student are trained."""
    from training import Recipe

    quick = 1 if args.quick else None
    return (
        Recipe(args.teacher_epochs or quick or TEACHER_EPOCHS, learning_rate=2e-3),
        Recipe(args.epochs or quick or STUDENT_EPOCHS, views=quick or VIEWS),
    )


def work_folder(args: Namespace, train: Dataset) -> Path:
    """Where checkpoints lie. Other images, settings or scripts are another folder, so that nothing old goes on."""
    from onnxino.compile_cache import cache_dir

    root = Path(args.work) if args.work else cache_dir() / "waste_sorter"
    mark = hashlib.sha256(train.images.tobytes())
    for script in ("networks.py", "training.py"):
        mark.update((HERE / script).read_bytes())
    mark.update(json.dumps([asdict(recipe) for recipe in recipes(args)] + [args.bfloat16, args.threads]).encode())
    return root / mark.hexdigest()[:12]


def train_seed(number: int, args: Namespace, splits: dict[str, Dataset], work: Path) -> Seed:
    """Teacher, student and int8 of one seed; what is done already is taken from the work folder."""
    from board import accuracy, quantized
    from networks import student, teacher

    folder = work / f"seed{number}"
    for_teacher, for_student = recipes(args)
    one, two, int8 = folder / "teacher.pt", folder / "student.pt", folder / MODEL
    master, pupil = fresh(teacher, number), fresh(student, number)
    spent = train(f"seed {number}: teacher", master, splits, for_teacher, number, one, args)
    spent += train(f"seed {number}: student", pupil, splits, for_student, number, two, args, teachers=(master,))
    content = quantized(pupil, splits["train"].images[:CALIBRATION])
    write_whole(int8, lambda file: file.write(content))
    validation = accuracy(int8, splits["val"])
    ui.talk(f"seed {number}: {validation:.2%} of the validation split as int8; {spent / 60:.1f} minutes of training")
    return Seed(number, one, two, int8, spent, validation)


def fresh(make: Any, seed: int) -> nn.Module:
    """A network with random weights that the seed alone decides."""
    import torch

    torch.manual_seed(seed)
    return make()


def train(
    label: str,
    network: nn.Module,
    splits: dict[str, Dataset],
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    args: Namespace,
    teachers: tuple[nn.Module, ...] = (),
) -> float:
    """Trains one network, or takes it from its checkpoint; returns the seconds of training, over all sittings."""
    import torch
    from training import as_tensor, fit, predict

    images = as_tensor(splits["train"].images)
    with ui.Progress(recipe.epochs, "epochs", label) as bar:
        seconds = fit(
            network,
            images,
            torch.as_tensor(splits["train"].labels),
            recipe,
            seed,
            teachers=teachers,
            checkpoint=checkpoint,
            bfloat16=args.bfloat16,
            progress=lambda epoch: bar.update(epoch.done),
        )
    share = (predict(network, as_tensor(splits["val"].images)).argmax(1) == splits["val"].labels).mean()
    ui.talk(f"{label}: {share:.2%} of the validation split, {seconds / 60:.1f} minutes")
    return seconds


def float_accuracy(seed: Seed, kind: str, data: Dataset) -> float:
    """Accuracy of a seed's teacher or student in float32."""
    import networks
    import torch
    from training import as_tensor, predict

    network = {"teacher": networks.teacher, "student": networks.student}[kind]()
    path = {"teacher": seed.teacher, "student": seed.student}[kind]
    network.load_state_dict(torch.load(path, weights_only=True)["network"])
    return float((predict(network, as_tensor(data.images)).argmax(1) == data.labels).mean())


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The values of the seeds, their mean and their standard deviation (n - 1; None for one seed)."""
    deviation = round(statistics.stdev(values), 5) if len(values) > 1 else None
    per_seed = [round(value, 5) for value in values]
    return {"mean": round(statistics.fmean(values), 5), "standard_deviation": deviation, "per_seed": per_seed}


def summary(
    args: Namespace, seeds: Sequence[Seed], best: Seed, floats: dict[str, list[float]], boards: Sequence[Measured]
) -> dict[str, Any]:
    """What results.json holds. Accuracies are those of `split` unless their name says otherwise."""
    board = boards[best.number]
    return {
        "teacher_accuracy": spread(floats["teacher"]),
        "student_float_accuracy": spread(floats["student"]),
        "student_int8_accuracy": spread([measured.accuracy for measured in boards]),
        "student_int8_validation_accuracy": spread([seed.validation for seed in seeds]),
        "chosen_seed": best.number,
        "images": board.images,
        "bytes_different": sum(measured.bytes_different for measured in boards),
        "model_bytes": board.model_bytes,
        "arena_bytes": board.arena_bytes,
        "macs": board.macs,
        "latency_ms": round(board.latency_ms, 2),
        "training_seconds": [round(seed.seconds) for seed in seeds],
        "split": "val" if args.quick else "test",
        "settings": {
            "teacher": asdict(recipes(args)[0]),
            "student": asdict(recipes(args)[1]),
            "quantizer": {"method": "minmax", "bias_correction": True, "calibration_images": CALIBRATION},
            "bfloat16": args.bfloat16,
            "threads": args.threads,
            "cores": os.cpu_count(),
        },
    }


def report(results: dict[str, Any]) -> list[str]:
    """The results for the terminal."""

    def shown(name: str) -> str:
        value = results[name]
        deviation = value["standard_deviation"]
        return f"{value['mean']:.2%}" + ("" if deviation is None else f" +- {deviation * 100:.2f} points")

    rows = [
        ("teacher, float32", shown("teacher_accuracy")),
        ("student, float32", shown("student_float_accuracy")),
        ("student, int8 on the emulated board", shown("student_int8_accuracy")),
        ("model file", ui.size(results["model_bytes"])),
        ("arena", ui.size(results["arena_bytes"])),
        ("multiply-adds", f"{results['macs']:,}"),
        ("latency, estimated at 64 MHz", f"{results['latency_ms']:.1f} ms"),
    ]
    images, seeds = ui.counted(results["images"], "image"), ui.counted(len(results["training_seconds"]), "seed")
    return [f"{results['split']} split, {images}, mean of {seeds}:", *ui.table(rows)]


if __name__ == "__main__":
    sys.exit(main())
