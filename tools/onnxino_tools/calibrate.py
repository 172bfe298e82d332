"""convert --calibrate: the options, the calibration data they name, and the quantized model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from onnxino.errors import InputError
from onnxino_tools import arguments, ui
from onnxino_tools.files import check_writable, write_whole

if TYPE_CHECKING:
    from argparse import Namespace

    from numpy.typing import NDArray
    from onnx import ModelProto

    from onnxino.schema.model import Model

_METHODS = ["minmax", "percentile", "mse", "entropy"]
_ONLY_WITH_DATA = ("split", "limit", "method", "per_tensor", "activations", "equalize", "bias_correction", "save_onnx")
_USUAL_NAMES = ("x_train", "x", "train_images", "data", "x_test")  # what Keras and others call images
_USUAL_SPLIT = "train"
_FEW = 20  # samples: with fewer, the least and the greatest value of a tensor are mostly not among them
_MANY = 1000  # with more, the ranges hardly change


def add_calibration(parser: arguments.Parser) -> None:
    """--calibrate and what goes with it."""
    group = parser.add_argument_group(
        "quantization", "for a float model: 8-bit weights and activations, with ranges from calibration data"
    )
    group.add_argument(
        "--calibrate",
        metavar="DATA",
        help=".npz (images; or arrays by input name), .npy, or folder of class folders: a few hundred training samples",
    )
    group.add_argument(
        "--split",
        metavar="NAME",
        help="only this split of the data (default: train, where there is one; all: everything)",
    )
    group.add_argument("--limit", type=arguments.positive, metavar="N", help="only N samples")
    arguments.add_resize(group)
    group.add_argument("--method", choices=_METHODS, help="how ranges of activations are chosen (default: minmax)")
    weights = group.add_mutually_exclusive_group()
    weights.add_argument(
        "--per-channel", action="store_true", help="a weight scale for each output channel (the default)"
    )
    weights.add_argument("--per-tensor", action="store_true", help="one weight scale for each layer")
    group.add_argument(
        "--activations",
        choices=["int8", "uint8"],
        help="in the ONNX model (default: uint8, for which ONNX Runtime always has integer kernels)",
    )
    group.add_argument("--equalize", action="store_true", help="balance channels between layers first")
    group.add_argument("--bias-correction", action="store_true", help="take the mean rounding error out of biases")
    group.add_argument("--save-onnx", metavar="F.onnx", help="write the quantized model, which ONNX Runtime runs too")


def check_options(args: Namespace) -> None:
    """Raises UsageError for options of the quantizer without --calibrate, and for --float with it."""
    if args.calibrate is not None and args.float:
        raise arguments.UsageError("--float and --calibrate cannot be given together", "say one of them")
    given = [name for name in (*_ONLY_WITH_DATA, "per_channel") if getattr(args, name)]
    if args.calibrate is None and given:
        option = "--" + given[0].replace("_", "-")
        raise arguments.UsageError(f"{option} is for --calibrate DATA", "onnxino convert --help")


def quantized(args: Namespace) -> ModelProto:
    """The model of the command line, quantized as its options say; saved where they say so.

    Raises ConvertError for a model that cannot be quantized, InputError for calibration data that do not fit it and for
    a --save-onnx that cannot be written: both before the work.
    """
    from onnxino_converter.importer import import_graph, load_source
    from onnxino_converter.quantize import quantize
    from onnxino_converter.quantize.quantizer import check

    if args.save_onnx is not None:
        _check_folder(args.save_onnx)
        check_writable(args.save_onnx, "net_int8.onnx")
    model = load_source(args.model).model
    check(model)
    import_graph(model)  # what cannot be converted is refused before the work
    feeds, text = calibration_data(model, args)
    _warn(feeds)
    result = quantize(
        model,
        feeds,
        method=args.method or "minmax",
        per_channel=not args.per_tensor,
        activations=args.activations or "uint8",
        equalize=args.equalize,
        bias_correction=args.bias_correction,
    )
    ui.talk(f"quantized: {text}, {args.method or 'minmax'}")
    if args.save_onnx is not None:
        content = result.SerializeToString(deterministic=True)

        def write(file: BinaryIO) -> None:
            file.write(content)

        write_whole(args.save_onnx, write)
        ui.talk(f"saved: {args.save_onnx}")
    return result


def _check_folder(path: str) -> None:
    """Raises InputError where the folder of a file to be written does not exist: a slip rather than a wish."""
    folder = Path(path).parent
    if not folder.exists():
        raise InputError(f"there is no folder '{folder}' for '{path}'", f"mkdir -p {shlex.quote(str(folder))}")


def note_steps(report: dict[str, Any], args: Namespace) -> None:
    """Says where ONNX Runtime will not give the same bytes for the quantized model."""
    operators = report["operators"]
    steps = sum(operator["exactness"] == "step" for operator in operators)
    if steps:
        remedy = "; --activations uint8 may avoid that" if args.activations == "int8" else ""
        ui.note(
            f"ONNX Runtime computes {steps} of {len(operators)} operators in float32, "
            f"so that its bytes may be one quantization step apart{remedy}"
        )


def calibration_data(model: ModelProto, args: Namespace) -> tuple[dict[str, NDArray[Any]], str]:
    """Arrays by input name for a float model, and what they are. Raises InputError."""
    initializers = {t.name for t in model.graph.initializer}
    names = [port.name for port in model.graph.input if port.name not in initializers]
    path = Path(args.calibrate)
    if path.suffix == ".npz" and path.is_file():
        arrays = _arrays_by_name(path, names, args)
        if arrays is not None:
            _check_samples(path, arrays)
            return arrays, f"{_count(len(next(iter(arrays.values()))))} from {path}"
    if len(names) != 1:
        raise InputError(
            f"the model has {len(names)} inputs ({', '.join(names)}); '{path}' is for one",
            "give a .npz with an array for each input, by its name",
        )
    return _images(model, names[0], args)


def _arrays_by_name(path: Path, names: list[str], args: Namespace) -> dict[str, NDArray[Any]] | None:
    """What a .npz holds for these inputs; None where it is a data set, or no archive (load_dataset says what is wrong).

    Raises InputError where it is an archive of something else.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            held: list[str] = list(archive.files)
            if not set(names) <= set(held):
                if "images" not in held or len(names) > 1:
                    raise _other_names(path, names, held)
                return None
            if args.split not in (None, "all"):
                raise InputError(f"'{path}' holds arrays by input name, which have no splits", "leave --split away")
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in names}
    except (TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile):
        return None
    if names == ["images"] and arrays["images"].dtype.kind == "u":
        return None  # pixels, for a model whose input has the name that a data set uses
    return {name: array[: args.limit] if array.ndim else array for name, array in arrays.items()}


def _check_samples(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Raises InputError for a single number in an array's place."""
    for name, array in arrays.items():
        if not array.ndim:
            raise InputError(
                f"'{path}' holds a single number as '{name}'; expected an array [samples, ...]",
                f"np.savez('data.npz', {name}=array)" if name.isidentifier() else "put the samples into one array",
            )


def _other_names(path: Path, names: list[str], held: list[str]) -> InputError:
    found = f"(it holds: {', '.join(held) or 'nothing'})"
    from onnxino_converter.refusal import escaped

    hint = "give float32 arrays by input name, [samples, ...] as the model takes them"
    if len(names) == 1:
        message = f"'{path}' holds neither the model's input '{names[0]}' nor 'images' {found}"
        likely = next((name for name in held if name.lower() in _USUAL_NAMES), None)
        rename = ""
        if likely is not None:
            text = f"import numpy as np; np.savez('renamed.npz', images=np.load('{escaped(str(path))}')['{likely}'])"
            rename = f'; uint8 images, for example: python -c "{text}"'
        return InputError(message, f"{hint}; or images (uint8 [N, H, W, C]) under the name 'images'{rename}")
    missing = ", ".join(f"'{name}'" for name in names if name not in held)
    return InputError(f"'{path}' does not hold the model's input {missing} {found}", hint)


def _count(samples: int) -> str:
    return f"{samples:,} sample" + ("s" if samples != 1 else "")


def _warn(feeds: dict[str, NDArray[Any]]) -> None:
    """Says where the data are valid but can hardly give good ranges."""
    samples = min(len(array) if array.ndim else 1 for array in feeds.values())
    if 0 < samples < _FEW:
        ui.note(f"calibrating with {_count(samples)} only: a few hundred give ranges that hold for others, too")
    if samples > _MANY:
        ui.note(f"calibrating with {_count(samples)} takes a while; a few hundred do: --limit {_MANY // 2}")
    if all(array.size and (array == array.flat[0]).all() for array in feeds.values()):
        ui.note("every value of the calibration data is the same: the ranges will mean nothing")


def _images(model: ModelProto, name: str, args: Namespace) -> tuple[dict[str, NDArray[Any]], str]:
    from onnxino_tools.arguments import pixel_options
    from onnxino_tools.data.dataset import usual_split
    from onnxino_tools.data.inputs import image_feed

    options = pixel_options(args)
    split = None if args.split == "all" else args.split or usual_split(args.calibrate, _USUAL_SPLIT)
    data, feed, text = image_feed(
        stand_in(model, name), args.calibrate, options, split=split, limit=args.limit, resize=args.resize
    )
    if options.scale is None and data.images.dtype.kind == "u":
        text = "pixel / 255"
        ui.note("calibrating with pixels of 0..1; for a model trained on others give --scale, --mean and --std")
    ui.talk(f"input: {text}")
    where = f"{data.source}, split {split}" if split else data.source
    return {name: feed(data.images)}, f"{_count(len(data))} from {where}"


def stand_in(model: ModelProto, name: str) -> Model:
    """The input port as the data functions want it; its scale makes them divide pixels by 255."""
    import numpy as np

    from onnxino.schema import model as schema

    shape = next(port for port in model.graph.input if port.name == name).type.tensor_type.shape
    sizes = np.array([d.dim_value if d.HasField("dim_value") else -1 for d in shape.dim], np.int32)
    port = schema.Port(name=name, tensor=0, type=schema.ElementType.Float32, shape=sizes)
    tensor = schema.Tensor(name=name, shape=np.abs(sizes), scale=1 / 255, zero_point=-128)
    nothing = schema.Provenance(tool_version="", options="", source_sha256=np.zeros(32, np.uint8))
    return schema.Model(name="float", tensors=[tensor], operators=[], inputs=[port], outputs=[], provenance=nothing)
