"""Compare Onnxino with ONNX Runtime, byte by byte.

The same inputs go through ONNX Runtime 1.31.1, the NumPy reference, the C runtime and the firmware in the emulator.
Then each operator is fed with the very values that ONNX Runtime fed its own kernel. What ONNX Runtime computes on
integers must come out the same to the byte, and so must what runs by table here; what it computes in float32 and then
quantizes may be one step apart; float32 results must lie close together. All differences are counted.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from onnxino_tools import ui
from onnxino_tools.arguments import (
    Parser,
    UsageError,
    add_data,
    add_json,
    add_preprocessing,
    add_save,
    check_save,
    positive,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from onnxino.schema.model import Model
    from onnxino_tools.verify.compare import ClassReport, OperatorReport, VerifyReport
    from onnxino_tools.verify.run import Feeds
    from onnxino_tools.verify.snr import SnrReport

BACKENDS = ("numpy", "c", "emulator")


def add_arguments(parser: Parser) -> None:
    """The options of `onnxino verify`."""
    parser.add_argument("model", metavar="model.onnx", help="the quantized ONNX model")
    parser.add_argument("--random", type=positive, metavar="N", help="N random inputs (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    parser.add_argument(
        "--backends",
        default=",".join(BACKENDS),
        metavar="B,B",
        help=f"default: {','.join(BACKENDS)}; a serial port is one, too",
    )
    parser.add_argument(
        "--float-model",
        metavar="F",
        help="the float model that was quantized: shows the signal-to-noise ratio of every layer",
    )
    add_data(parser, required=False)
    add_preprocessing(parser)
    add_save(parser, "inputs and the outputs of every backend")
    add_json(parser)


def run(args: Namespace) -> int:
    """Exit code 0: every promise kept; 1: not."""
    if args.data is not None and args.random is not None:
        raise UsageError("--data and --random cannot be given together", "say one of them")
    backends = [name.strip() for name in args.backends.split(",") if name.strip()]
    if not backends:
        raise UsageError("--backends names none", f"for example --backends {','.join(BACKENDS)}")
    check_save(args)
    from onnxino import load_model
    from onnxino_converter import convert
    from onnxino_tools.verify.run import load_onnx, verify

    proto = load_onnx(Path(args.model))
    float_model = None
    if args.float_model is not None:
        from onnxino_tools.verify.snr import check_float

        float_model = load_onnx(Path(args.float_model))
        check_float(float_model, f"'{args.float_model}'")
    converted = convert(args.model, float=True)
    model = load_model(converted.model)
    feeds, source = _feeds(args, model)
    with ui.Progress(1, "inputs", "verify") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.label, bar.total = what, total
            bar.update(done)

        report, outputs = verify(proto, converted.model, feeds, backends, progress=progress)
    noise = None
    if float_model is not None:
        from onnxino import InferenceSession
        from onnxino_tools.verify.snr import compare_with_float

        with InferenceSession(converted.model) as session:
            noise = compare_with_float(session, proto, float_model, feeds)
    if args.save is not None:
        _save(args.save, feeds, outputs)
    if args.json:
        ui.out_json(as_json(report) | ({} if noise is None else {"snr": snr_as_json(noise)}))
    else:
        ui.out("\n".join(as_text(report, Path(args.model).name, source)))
        if noise is not None:
            ui.out("\n".join(["", *snr_as_text(noise, Path(str(args.float_model)).name)]))
    if noise is not None and args.data is None:
        ui.note(
            "random inputs reach values that calibration did not see, and lower these ratios; "
            "for those of real inputs give --data"
        )
    return 0 if report.kept else 1


def _feeds(args: Namespace, model: Model) -> tuple[Feeds, str]:
    if args.data is None:
        from onnxino_tools.verify.run import random_feeds

        count = args.random or 8
        return random_feeds(model, count, args.seed), f"{ui.counted(count, 'random input')} (seed {args.seed})"
    from onnxino_tools.data.inputs import model_inputs

    return model_inputs(model, args)


def _save(path: str, feeds: Feeds, outputs: dict[str, Any]) -> None:
    import numpy as np

    from onnxino_tools.files import write_whole

    arrays: dict[str, Any] = {f"inputs/{name}": array for name, array in feeds.items()} | outputs
    write_whole(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def snr_as_json(report: SnrReport) -> dict[str, Any]:
    """Decibels by layer and output; null where not one value differs (the ratio is infinite)."""
    return {
        "layers": [
            {
                "operator": one.operator,
                "kernel": one.kernel,
                "float_tensor": one.tensor,
                "decibels": _finite(round(one.decibels, 3)),
                "channels_rescaled": one.as_it_is is not None,
                "decibels_not_rescaled": _finite(round(one.decibels if one.as_it_is is None else one.as_it_is, 3)),
            }
            for one in report.layers
        ],
        "outputs": {name: _finite(round(value, 3)) for name, value in report.outputs.items()},
        "operators_not_matched": report.unmatched,
        "operators_with_too_few_values": report.too_few,
    }


def snr_as_text(report: SnrReport, name: str) -> list[str]:
    """The ratios for people."""
    rows = [["layer", "kernel", "tensor of the float model", "SNR"]]
    rows += [
        [one.operator, one.kernel, one.tensor, f"{one.decibels:.1f} dB", "" if one.as_it_is is None else "rescaled"]
        for one in report.layers
    ]
    rows += [["output", "", output, f"{value:.1f} dB"] for output, value in report.outputs.items()]
    lines = [
        f"signal-to-noise ratio against {name} (20 dB: quantization errors are a tenth of the values; more is better)"
    ]
    lines += ui.table(rows, right=(3,))
    if any(one.as_it_is is not None for one in report.layers):
        lines.append("rescaled: the channels differ by constant factors, as equalization makes them; compared without")
        if report.too_few:
            few = ", ".join(report.too_few)
            lines.append(f"too few inputs to tell such factors: {few}; give more, for example --random 32")
    if report.unmatched:
        lines.append(f"without a counterpart in the float model: {', '.join(report.unmatched)}")
    return lines


def _finite(value: float) -> float | None:
    """JSON has no infinity, nor NaN: null."""
    return value if math.isfinite(value) else None


def as_json(report: VerifyReport) -> dict[str, Any]:
    """The report as JSON values; a difference of infinity is null."""
    return {
        "kept": report.kept,
        "inputs": report.inputs,
        "x64quantprecision": report.precision,
        "backends": {
            name: {
                "bytes_compared": b.bytes_compared,
                "bytes_different": b.bytes_different,
                "largest_step": b.steps,
                "floats_compared": b.floats_compared,
                "largest_float_difference": _finite(b.largest),
                "bytes_different_from_reference": b.reference_different,
                "first_different_operator": b.first_different,
            }
            for name, b in report.backends.items()
        },
        "classes": {
            name: {
                "operators": c.operators,
                "bytes_compared": c.bytes_compared,
                "bytes_different": c.bytes_different,
                "largest_step": c.steps,
                "floats_compared": c.floats_compared,
                "largest_float_difference": _finite(c.largest),
                "largest_relative_difference": _finite(c.relative),
                "floats_outside_tolerance": c.outside,
            }
            for name, c in report.classes.items()
        },
        "operators": [
            {
                "name": o.name,
                "kernel": o.kernel,
                "tensor": o.tensor,
                "class": o.promise,
                "compared_alone": o.alone,
                "onnxruntime": o.onnxruntime,
                "integer": o.integer,
                "bytes_compared": o.bytes_compared,
                "bytes_different": o.bytes_different,
                "largest_step": o.steps,
                "floats_compared": o.floats_compared,
                "largest_float_difference": _finite(o.largest),
                "largest_relative_difference": _finite(o.relative),
                "floats_outside_tolerance": o.outside,
                "kept": o.kept,
            }
            for o in report.operators
        ],
        "operators_not_located": report.not_located,
        "inputs_made_otherwise": report.wrong_inputs,
        "outputs_made_otherwise": report.wrong_outputs,
        "outputs_not_compared": report.outputs_not_compared,
        "onnxruntime_float_operators": report.float_operators,
    }


MEANINGS = {
    "exact": "ONNX Runtime computes on integers: every byte must be the same",
    "table": "a table of 256 bytes here, made from the float formula: every byte must be the same",
    "step": "ONNX Runtime computes in float32 and quantizes the result: one step apart at most",
    "float": "the result is float32: apart by 1/100,000 of its largest value at most",
}


def as_text(report: VerifyReport, name: str, source: str) -> list[str]:
    """The report for people."""
    lines = [f"{name}: {source}, against ONNX Runtime", ""]
    lines += _operators_as_text(report)
    lines += ["", "the whole model: output values that differ from ONNX Runtime's, and from the NumPy reference's"]
    rows: list[list[str]] = [["backend", "values", "from ONNX Runtime", "by at most", "from NumPy"]]
    for label, b in report.backends.items():
        if b.bytes_compared:
            apart = [f"{b.bytes_different:,}", _steps(b.steps)]
            rows.append([label, f"{b.bytes_compared:,}", *apart, f"{b.reference_different:,}"])
        if b.floats_compared:
            rows.append([label, f"{b.floats_compared:,} float32", "", f"{b.largest:.2g}", f"{b.reference_different:,}"])
    lines += ui.table(rows, right=(1, 2, 3, 4))
    if any(b.steps for b in report.backends.values()) and report.kept:
        lines.append("  differences of the step and float classes add up on the way to the output")
    for label, b in report.backends.items():
        if b.first_different:
            lines.append(f"{label}: the first operator that differs from NumPy is {b.first_different}")
    return [*lines, "", _verdict(report)]


def _verdict(report: VerifyReport) -> str:
    if report.kept:
        return "every promise kept"
    wrong = [f"operator '{o.name}' ({o.kernel}, class {o.promise})" for o in report.operators if not o.kept]
    wrong += [f"backend {name} differs from NumPy" for name, b in report.backends.items() if b.reference_different]
    wrong += [f"input '{name}' does not reach the first operator as in ONNX Runtime" for name in report.wrong_inputs]
    wrong += [
        f"output '{name}' is not what ONNX Runtime makes of the last operator's result" for name in report.wrong_outputs
    ]
    wrong += [f"output '{name}' could not be compared" for name in report.outputs_not_compared]
    wrong += ["outputs differ from ONNX Runtime's though no operator does"] if report.unexplained else []
    return f"NOT KEPT: {'; '.join(wrong)}"


def _operators_as_text(report: VerifyReport) -> list[str]:
    """A line for each class that occurs, what the classes mean, and each operator with differences."""
    lines = ["operator by operator, each fed the same values in ONNX Runtime and in NumPy"]
    classes = {label: c for label, c in report.classes.items() if c.operators}
    rows = [["class", "operators", "values", "different", "by at most"]]
    rows += [_class_row(label, c) for label, c in classes.items()]
    lines += ui.table(rows, right=(1, 2, 3, 4))
    lines += ui.table([[f"{label}:", MEANINGS[label]] for label in classes])
    alone = sum(o.alone for o in report.operators)
    if alone:
        lines.append(
            f"  {ui.counted(alone, 'operator')} whose tensors ONNX Runtime's optimizer removed: "
            "compared with the model's own nodes, not optimized"
        )
    if report.not_located:
        lines.append(f"  compared together with the operator behind: {', '.join(report.not_located)}")
    details = [_operator_row(o) for o in report.operators if o.bytes_different or o.outside]
    if details:
        header = ["operator", "kernel", "class", "in ONNX Runtime", "different", "by at most"]
        lines += ["", "operators with differences", *ui.table([header, *details], right=(4, 5))]
    return lines


def _class_row(label: str, c: ClassReport) -> list[str]:
    if label == "float":
        return [label, str(c.operators), f"{c.floats_compared:,} float32", f"{c.outside:,} too far", f"{c.largest:.2g}"]
    return [label, str(c.operators), f"{c.bytes_compared:,} bytes", f"{c.bytes_different:,}", _steps(c.steps)]


def _operator_row(o: OperatorReport) -> list[str]:
    head = [o.name, o.kernel, o.promise, o.onnxruntime]
    if o.promise == "float":
        return [*head, f"{o.outside:,} of {o.floats_compared:,}", f"{o.largest:.2g}"]
    return [*head, f"{o.bytes_different:,} of {o.bytes_compared:,}", _steps(o.steps)]


def _steps(count: int) -> str:
    return ui.counted(count, "step") if count else "0"
