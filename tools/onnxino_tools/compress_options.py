"""The options of `onnxino compress`, and the recipe that they say; an option comes before the recipe's file."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino_tools import arguments
from onnxino_tools.arguments import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

CRITERIA = ["l1", "l2", "l1-next", "bn", "taylor"]  # as in onnxino_converter.prune, which takes a while to import

# Option -> (section, key) of the recipe.
_KEYS = {
    "seed": ("", "seed"),
    "train_split": ("data", "train"),
    "validation": ("data", "validation"),
    "evaluate_split": ("data", "evaluate"),
    "limit": ("data", "limit"),
    "resize": ("data", "resize"),
    "scale": ("data", "scale"),
    "mean": ("data", "mean"),
    "std": ("data", "std"),
    "layout": ("data", "layout"),
    "granularity": ("prune", "granularity"),
    "criterion": ("prune", "criterion"),
    "scope": ("prune", "scope"),
    "schedule": ("prune", "schedule"),
    "steps": ("prune", "steps"),
    "step_epochs": ("prune", "epochs"),
    "exclude": ("prune", "exclude"),
    "multiple": ("prune", "multiple"),
    "max_drop": ("prune", "max_drop"),
    "fine_tune": ("fine_tune", "epochs"),
    "teacher": ("fine_tune", "teacher"),
    "temperature": ("fine_tune", "temperature"),
    "alpha": ("fine_tune", "alpha"),
    "learning_rate": ("fine_tune", "learning_rate"),
    "batch": ("fine_tune", "batch"),
    "augment": ("fine_tune", "augment"),
    "patience": ("fine_tune", "patience"),
    "quantize": ("quantize", "method"),
    "per_channel": ("quantize", "per_channel"),
    "activations": ("quantize", "activations"),
    "equalize": ("quantize", "equalize"),
    "bias_correction": ("quantize", "bias_correction"),
    "calibration": ("quantize", "calibration"),
    "target_macs": ("targets", "macs"),
    "target_weights": ("targets", "weight_bytes"),
    "target_arena": ("targets", "arena_bytes"),
    "target_ms": ("targets", "ms"),
    "min_accuracy": ("targets", "accuracy"),
}


_SIZES = ("target_macs", "target_weights", "target_arena", "target_ms")
_SILENT = {
    "--compare": ("html", "evaluate_split", "min_accuracy", "name"),
    "--sensitivity": ("html", "evaluate_split", "min_accuracy", "name", *_SIZES),
}
_REASONS = {"--compare": "not for --compare", "--sensitivity": "not for --sensitivity, which only looks"}


def add_recipe(parser: arguments.Parser) -> None:
    """All options that a recipe may hold."""
    _add_data(parser)
    arguments.add_preprocessing(parser)
    _add_pruning(parser)
    _add_training(parser)
    _add_quantization(parser)
    _add_targets(parser)


def _add_data(parser: arguments.Parser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help=".npz (images, labels, split) or a folder of splits",
    )
    group.add_argument("--train-split", metavar="NAME", help="which images train and calibrate (default: train)")
    group.add_argument(
        "--validation",
        type=_split_or_share,
        metavar="NAME|SHARE",
        help="which images choose: a split, or a share of those that train, such as 0.15 (default: val)",
    )
    group.add_argument(
        "--evaluate-split", metavar="NAME", help="which images the final report is about (default: those that choose)"
    )
    group.add_argument("--limit", type=arguments.positive, metavar="N", help="only N images of each split")
    group.add_argument(
        "--resize",
        choices=["crop", "stretch", "pad"],
        help="image files: cut the centre out (default), distort, or add black borders",
    )


def _add_pruning(parser: arguments.Parser) -> None:
    group = parser.add_argument_group("pruning")
    group.add_argument(
        "--prune",
        type=_ratio,
        metavar="RATIO|N:M|auto",
        help="the share of channels to remove; N of M weights stay; or what the layers' sensitivity allows",
    )
    group.add_argument("--granularity", choices=["channel", "weight", "n:m"], help="what is removed (default: channel)")
    group.add_argument("--criterion", choices=CRITERIA, help="what is unimportant (default: l1)")
    group.add_argument("--scope", choices=["layer", "global"], help="the same share of each layer (default), or of all")
    group.add_argument(
        "--schedule", choices=["one-shot", "iterative", "polynomial"], help="at once (default), or in --steps"
    )
    group.add_argument("--steps", type=arguments.positive, metavar="N", help="of the schedule")
    group.add_argument("--step-epochs", type=int, metavar="N", help="of fine-tuning between the steps (default: 1)")
    group.add_argument("--exclude", type=_names, metavar="LAYER[,LAYER]", help="layers that stay as they are")
    group.add_argument("--multiple", type=arguments.positive, metavar="N", help="numbers of channels: multiples of N")
    group.add_argument("--max-drop", type=float, metavar="SHARE", help="of accuracy, for 'auto' (default: 0.02)")


def _add_training(parser: arguments.Parser) -> None:
    group = parser.add_argument_group("fine-tuning and distillation (extra 'train')")
    group.add_argument("--fine-tune", type=arguments.positive, metavar="EPOCHS", help="train on after pruning")
    group.add_argument("--teacher", metavar="T.onnx", help="a larger model, whose answers are learned too")
    group.add_argument("--temperature", type=float, metavar="T", help="by which the teacher's answers are softened")
    group.add_argument("--alpha", type=float, metavar="A", help="weight of the teacher's answers, 0 to 1")
    group.add_argument("--learning-rate", type=float, metavar="R", help="its greatest value")
    group.add_argument("--batch", type=arguments.positive, metavar="N", help="images of one step")
    group.add_argument("--augment", type=_names, metavar="A[,A]", help="changes of the images (docs/training.md)")
    group.add_argument("--patience", type=int, metavar="N", help="end after N epochs that are no better (0: never)")


def _add_quantization(parser: arguments.Parser) -> None:
    group = parser.add_argument_group("quantization (docs/quantizing.md)")
    group.add_argument(
        "--quantize",
        choices=["minmax", "percentile", "mse", "entropy", "none"],
        help="how ranges are chosen (default: minmax); none: stay in float32",
    )
    group.add_argument(
        "--per-tensor", dest="per_channel", action="store_const", const=False, help="one weight scale a layer"
    )
    group.add_argument("--activations", choices=["int8", "uint8"], help="in the ONNX model (default: uint8)")
    group.add_argument("--equalize", action="store_const", const=True, help="balance channels between layers first")
    group.add_argument("--bias-correction", action="store_const", const=True, help="take the mean error out of biases")
    group.add_argument("--calibration", type=arguments.positive, metavar="N", help="training images (default: 300)")


def _add_targets(parser: arguments.Parser) -> None:
    group = parser.add_argument_group("targets", "as much is pruned as they need, and no more; several hold together")
    group.add_argument("--target-macs", type=_count, metavar="N", help="multiply-adds at most")
    group.add_argument("--target-weights", type=_count, metavar="BYTES", help="weights at most")
    group.add_argument("--target-arena", type=_count, metavar="BYTES", help="working memory at most")
    group.add_argument("--target-ms", type=float, metavar="MS", help="estimated milliseconds at most (extra emulator)")
    group.add_argument(
        "--min-accuracy",
        type=float,
        metavar="SHARE",
        help="of the validation images at least, such as 0.9; else exit 1",
    )


def recipe_values(args: Namespace) -> tuple[dict[str, Any], Path | None]:
    """The recipe's file with the options that are given, and where its teacher lies. Raises UsageError."""
    values: dict[str, Any] = {}
    folder = None
    if args.recipe is not None:
        from onnxino_tools.compress.recipe import load

        values, folder = load(args.recipe)
    given = {name: getattr(args, name) for name in _KEYS if getattr(args, name) is not None}
    _set_prune(args, values, given)
    for name, value in given.items():
        section, key = _KEYS[name]
        place: Any = values.setdefault(section, {}) if section else values
        if isinstance(place, dict):  # else the recipe's reader says what is wrong
            place[key] = value
    if args.teacher is not None and isinstance(values["fine_tune"], dict):
        values["fine_tune"]["teacher"] = str(Path(args.teacher).absolute())
    for section, option in (("prune", "--prune RATIO, a target"), ("fine_tune", "--fine-tune EPOCHS")):
        only = [name for name in given if _KEYS[name][0] == section]
        if only and not _wanted(section, args, values):
            raise UsageError(
                f"--{only[0].replace('_', '-')} is for {option} or a recipe with [{section}]", "onnxino compress --help"
            )
    _check_given(args, values)
    return values, folder


def _check_given(args: Namespace, values: dict[str, Any]) -> None:
    """Raises UsageError for options that would do nothing: with --compare or --sensitivity, or without the one that
    they are about. values: the recipe with the options."""
    looks = "--sensitivity" if args.sensitivity else "--compare" if args.compare else None
    for name in _SILENT.get(looks or "", ()):
        if getattr(args, name) is not None:
            reason = _REASONS[looks or ""]
            raise UsageError(f"--{name.replace('_', '-')} is for one result, {reason}", "leave it away")
    prune, tune = (_section(values, name) for name in ("prune", "fine_tune"))
    checks = (
        ("max_drop", prune.get("ratio") == "auto" or args.sensitivity, "--prune auto or --sensitivity"),
        ("step_epochs", prune.get("schedule", "one-shot") != "one-shot", "--schedule iterative or polynomial"),
        ("temperature", tune.get("teacher") is not None, "--teacher T.onnx"),
        ("alpha", tune.get("teacher") is not None, "--teacher T.onnx"),
    )
    for name, used, owner in checks:
        if getattr(args, name) is not None and not used:
            raise UsageError(f"--{name.replace('_', '-')} is for {owner}", "onnxino compress --help")


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    """What the recipe says in a section; nothing where it is no section, which the recipe's reader tells."""
    found: Any = values.get(name)
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _set_prune(args: Namespace, values: dict[str, Any], given: dict[str, Any]) -> None:
    """--prune says the ratio, or with N:M what stays."""
    if args.prune is None:
        return
    if not isinstance(values.setdefault("prune", {}), dict):
        return  # the recipe's reader says what is wrong
    section: dict[str, Any] = values["prune"]
    if isinstance(args.prune, str) and ":" in args.prune:
        section.pop("ratio", None)
        section["nm"] = args.prune
        given.setdefault("granularity", "n:m")
    else:
        section["ratio"] = args.prune


def _wanted(section: str, args: Namespace, values: dict[str, Any]) -> bool:
    """Whether the stage is asked for, and not only its details."""
    if section == "fine_tune":
        return args.fine_tune is not None or args.recipe is not None
    sizes = any(name != "accuracy" for name in _section(values, "targets"))
    return args.prune is not None or args.recipe is not None or sizes or args.sensitivity


def _ratio(text: str) -> float | str:
    """argparse type: a number, N:M, or auto."""
    if text == "auto" or ":" in text:
        return text
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is no share such as 0.5, no N:M such as 2:4, and not auto") from None


def _split_or_share(text: str) -> float | str:
    """argparse type: a share, or the name of a split."""
    try:
        return float(text)
    except ValueError:
        return text


def _names(text: str) -> list[str]:
    """argparse type: names with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _count(text: str) -> int:
    """argparse type: a number of things, which may have separators."""
    digits = text.replace(",", "").replace("_", "")
    if not digits.isdecimal() or int(digits) < 1:
        raise ArgumentTypeError(f"'{text}' is no whole number of 1 or more, such as 60000 or 60,000")
    return int(digits)
