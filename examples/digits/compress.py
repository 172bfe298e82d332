"""What each method of compression does to the digits network: pruning, 8 bits, distillation, all on one processor core.

    pip install 'onnxino[train,emulator]'
    python examples/digits/compress.py            # some minutes on one core

Trains the network of train.py in float32 and a wider teacher on 3,200 digits, 800 others choose, and the 1,000 held-out
digits (digits_test.npz), read once at the end of each part, are what the figures are of:

    half      channels pruned until the multiply-adds are half, fine-tuned: at most 2 points of accuracy are lost
    tenth     channels pruned and 8 bits, until the bytes of weights are a tenth of those in float32: at least 90 % of
              the accuracy remains
    distil    the same network from random weights, with the teacher's answers and without, by five seeds: the mean of
              the paired differences and its standard error; "proven" where their 95 % interval (Student's t) is above
              zero. Once on all training images, which the teacher had as well, and once on 640 of them

Writes digits.onnx (the float32 network) and compressed.json beside this script, or into DIR. `--quick` trains
for an epoch or two: it shows that everything runs, no more.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from onnxino_tools.compress import CompressResult, compress
from onnxino_tools.data import Dataset
from onnxino_tools.train import Training, evaluate, fit, from_module, to_module

HERE = Path(__file__).resolve().parent
SHAPE = (1, 1, 28, 28)
SEEDS = 5
STUDENT_T = {1: 12.706, 4: 2.776}  # two-sided 95 %, by degrees of freedom
VALIDATION = 80  # images of each class
CLASSES = [str(digit) for digit in range(10)]
FULL = Training(epochs=25, learning_rate=0.004, label_smoothing=0.05, augment=("shift", "rotate"), warmup=1)
TUNE = {"epochs": 12, "learning_rate": 0.002, "label_smoothing": 0.05, "augment": ["shift", "rotate"]}
STUDENT = Training(learning_rate=0.004, warmup=1, temperature=4.0, alpha=0.9)
FEW = 640  # of 3,200 training images


def example() -> Any:
    """train.py beside this script: the network, and which images are held out."""
    spec = importlib.util.spec_from_file_location("digits_train", HERE / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dataset(digits: Any) -> Dataset:
    """The 5,000 digits with splits train (3,200), val (800) and test (1,000, as in train.py)."""
    images, labels, test_images, test_labels = digits.split()
    split = np.full(len(labels), "train", dtype="<U5")
    for digit in range(10):
        split[np.flatnonzero(labels == digit)[:VALIDATION]] = "val"
    return Dataset(
        np.concatenate([images, test_images]),
        "digits",
        np.concatenate([labels, test_labels]).astype(np.int64),
        CLASSES,
        np.concatenate([split, np.full(len(test_labels), "test")]),
    )


def network(widths: tuple[int, int, int], seed: int) -> nn.Sequential:
    """The network of train.py in other widths, from random weights."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    before = 1
    for width, kernel in zip(widths, (5, 3, 3), strict=True):
        convolution = nn.Conv2d(before, width, kernel, stride=2, padding=kernel // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 4 * before, 10))


def arrays(data: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [N, 1, 28, 28] in 0..1, and labels."""
    assert data.split is not None
    assert data.labels is not None
    chosen = data.split == split
    return data.images[chosen].transpose(0, 3, 1, 2).astype(np.float32) / 255, data.labels[chosen]


class Bench:
    """The data, the network and its teacher, and the three experiments."""

    def __init__(self, quick: bool) -> None:
        digits = example()
        self.quick = quick
        self.data = dataset(digits)
        self.train, self.val, self.test = (arrays(self.data, split) for split in ("train", "val", "test"))
        torch.manual_seed(0)
        self.network = self._trained(digits.network(), "the network")
        self.teacher = self._trained(network((32, 64, 96), 0), "the teacher")

    def _trained(self, module: nn.Module, what: str) -> Any:
        start = time.monotonic()
        model = to_module(from_module(module, SHAPE))
        fit(model, self.train, self.val, self._shorter(FULL))
        accuracy = evaluate(model, self.test).accuracy
        print(f"{what}: {100 * accuracy:.2f} % on the test images ({time.monotonic() - start:.0f} s)", flush=True)
        return model.to_onnx()

    def _shorter(self, settings: Training) -> Training:
        return replace(settings, epochs=2) if self.quick else settings

    def _tune(self) -> dict[str, Any]:
        return {**TUNE, "epochs": 2} if self.quick else TUNE

    def _compress(self, recipe: dict[str, Any]) -> CompressResult:
        result = compress(
            self.network, self.data, {**recipe, "data": {"evaluate": "test", "scale": 1 / 255}}, name="digits"
        )
        for stage in result.stages:
            row, share = stage.row, f"{100 * stage.row.accuracy:.2f} %"
            print(f"  {stage.name:10}  {share} val, {row.macs:,} multiply-adds, {row.weight_bytes:,} bytes of weights")
        return result

    def half(self) -> dict[str, Any]:
        """Structured pruning with fine-tuning, in float32 all the way."""
        print("half: channels pruned until the multiply-adds are half")
        macs = self._compress({"quantize": {"method": "none"}}).stages[0].row.macs
        recipe = {"fine_tune": self._tune(), "quantize": {"method": "none"}, "targets": {"macs": macs // 2}}
        result = self._compress(recipe)
        return {**_before_and_after(result), "ratio": result.ratio, "macs": [macs, result.stages[-1].row.macs]}

    def tenth(self) -> dict[str, Any]:
        """Pruning, fine-tuning and 8 bits."""
        print("tenth: channels pruned and 8 bits until the bytes of weights are a tenth")
        weights = self._compress({"quantize": {"method": "none"}}).stages[0].row.weight_bytes
        result = self._compress({"fine_tune": self._tune(), "targets": {"weight_bytes": weights // 10}})
        found = _before_and_after(result)
        kept = found["accuracy"][1] / found["accuracy"][0]
        bytes_after = result.stages[-1].row.weight_bytes
        return {**found, "ratio": result.ratio, "weight_bytes": [weights, bytes_after], "accuracy_kept": kept}

    def distil(self, images: int, epochs: int) -> dict[str, Any]:
        """The same student, images and order of images, with the teacher and without."""
        print(f"distil: a student of {images:,} images with the teacher and without, by seed")
        train = self.train[0][:images], self.train[1][:images]
        rows: list[list[float]] = []
        for seed in range(2 if self.quick else SEEDS):
            row: list[float] = []
            for teacher in (None, to_module(self.teacher)):
                student = to_module(from_module(network((8, 16, 24), seed), SHAPE))
                settings = self._shorter(replace(STUDENT, epochs=epochs, seed=seed))
                fit(student, train, self.val, settings, teacher=teacher)
                row.append(evaluate(student, self.test).accuracy)
            rows.append(row)
            print(f"  seed {seed}: {100 * row[0]:.2f} % plain, {100 * row[1]:.2f} % distilled", flush=True)
        differences = np.array([distilled - plain for plain, distilled in rows])
        error = float(differences.std(ddof=1) / np.sqrt(len(differences)))
        mean = float(differences.mean())
        return {
            "images": images,
            "epochs": epochs,
            "plain": [plain for plain, _ in rows],
            "distilled": [distilled for _, distilled in rows],
            "mean_difference": mean,
            "standard_error": error,
            "proven": mean > STUDENT_T[len(differences) - 1] * error,
        }


def _before_and_after(result: CompressResult) -> dict[str, Any]:
    """Accuracies on the test images."""
    report = result.report
    assert report.accuracy is not None
    assert report.baseline is not None
    assert report.baseline.accuracy is not None
    before, after = report.baseline.accuracy.top1, report.accuracy.top1
    print(f"  test images: {100 * before:.2f} % before, {100 * after:.2f} % after", flush=True)
    return {"accuracy": [before, after]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one or two epochs: does it run?")
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(args.quick)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "digits.onnx").write_bytes(bench.network.SerializeToString(deterministic=True))
    found: dict[str, Any] = {"quick": args.quick, "half": bench.half(), "tenth": bench.tenth()}
    found["distil"] = [bench.distil(len(bench.train[1]), 10), bench.distil(FEW, 30)]
    found["bars"] = {
        "half_loses_at_most_2_points": found["half"]["accuracy"][0] - found["half"]["accuracy"][1] <= 0.02,
        "half_of_the_multiply_adds": found["half"]["macs"][1] <= found["half"]["macs"][0] / 2,
        "a_tenth_of_the_weight_bytes": found["tenth"]["weight_bytes"][1] <= found["tenth"]["weight_bytes"][0] / 10,
        "a_tenth_keeps_90_percent_of_the_accuracy": found["tenth"]["accuracy_kept"] >= 0.9,
        "distillation_of_few_images_proven": found["distil"][1]["proven"],
    }
    (args.output / "compressed.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    for one in found["distil"]:
        points = 100 * one["mean_difference"], 100 * one["standard_error"]
        judged = "proven" if one["proven"] else "unproven"
        print(f"distilling {one['images']:,} images: {points[0]:+.2f} points, standard error {points[1]:.2f}: {judged}")
    for bar, held in found["bars"].items():
        print(f"  {'holds' if held else 'FAILS'}  {bar}")


if __name__ == "__main__":
    main()
