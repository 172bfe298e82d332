"""Loads an ONNX model from a path, bytes or ModelProto, and tells other formats apart by name and content."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import ConvertError
from onnxino_converter.importer.kinds import kind_of, similar_model
from onnxino_converter.refusal import escaped

if TYPE_CHECKING:
    from onnx import ModelProto

# {source}, {folder}, {target}: as a shell takes them; {file}, {onnx}, {int8}: between quotes within quotes; {onnx} and
# {int8} are new files. Every command is a line of its own, and runs as it is, given samples.npy.
_QUANTIZE = (
    "then quantize it with inputs like the real ones (samples.npy, float32, the first axis counts them):\n"
    'python -c "import numpy as np, onnxruntime as ort, onnxruntime.quantization as q; '
    "name = ort.InferenceSession('{onnx}').get_inputs()[0].name; batches = iter(np.load('samples.npy')[:, None]); "
    "reader = type('Reader', (q.CalibrationDataReader,), "
    "dict(get_next=lambda self: next((dict([(name, x)]) for x in batches), None))); "
    "q.quantize_static('{onnx}', '{int8}', reader(), per_channel=True)\""
)
_TFLITE = "pip install tf2onnx\npython -m tf2onnx.convert --tflite {source} --output {target} --opset 13"
_KERAS = (
    'pip install tf2onnx\npython -c "import tf2onnx, tensorflow as tf; tf2onnx.convert.from_keras('
    "tf.keras.models.load_model('{file}'), output_path='{onnx}')\"\n" + _QUANTIZE
)
_TORCH = (
    "in Python, where the model is built and its weights are loaded:\nimport torch; torch.onnx.export(model.eval(), "
    "(torch.zeros(1, 3, 64, 64),), '{onnx}')  # the shape of its input\n" + _QUANTIZE
)
_FROZEN = (
    "pip install tf2onnx\npython -m tf2onnx.convert --graphdef {source} --output {target} --inputs input:0 "
    "--outputs output:0  # the names in the graph\n" + _QUANTIZE
)
_SAVED_MODEL = "pip install tf2onnx\npython -m tf2onnx.convert --saved-model {folder} --output {target}\n" + _QUANTIZE

# suffix -> (what it is, how to make quantized ONNX of it)
FOREIGN = {
    ".tflite": ("a TensorFlow Lite model", _TFLITE + "  # a quantized model stays quantized"),
    ".h5": ("a Keras model (HDF5)", _KERAS),
    ".hdf5": ("a Keras model (HDF5)", _KERAS),
    ".keras": ("a Keras model", _KERAS),
    ".pt": ("a PyTorch file", _TORCH),
    ".pth": ("a PyTorch file", _TORCH),
    ".pkl": ("a Python pickle", _TORCH),
    ".pb": ("a TensorFlow graph", _FROZEN),
    ".safetensors": ("a safetensors file: weights without a graph", _TORCH),
    ".ort": ("an ORT format model", "convert the ONNX file that it was made from"),
}


@dataclass(frozen=True)
class Source:
    """A loaded model. `sha256` is over the file's bytes, `stem` names the outputs when the user gives no name."""

    model: ModelProto
    sha256: bytes
    stem: str
    label: str  # how messages name it
    path: Path | None = None


def load_source(source: str | Path | bytes | bytearray | memoryview | ModelProto) -> Source:
    """Load a model with its external data. Raises ConvertError when it cannot be read or is not ONNX."""
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        model = _parse(data, "the given bytes", None)
        _refuse_external(model)
        return Source(model, hashlib.sha256(data).digest(), "model", "the given bytes")
    if isinstance(source, str | Path):
        return _load_file(Path(source))
    from onnx import ModelProto

    # A wrong type here is a programming error of the caller, not of the model's author: no ConvertError.
    if not isinstance(source, ModelProto):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"convert() takes a path, bytes or an onnx.ModelProto, not {type(source).__name__}")
    data = source.SerializeToString(deterministic=True)
    return Source(source, hashlib.sha256(data).digest(), source.graph.name or "model", "the given model")


def _load_file(path: Path) -> Source:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        near = similar_model(path)
        hint = "give the path of an .onnx file" if near is None else f"did you mean {near}?"
        raise ConvertError(f"{path}: no such file", hint) from None
    except IsADirectoryError:
        raise ConvertError(f"{path}: is a folder, not an .onnx file", _folder_hint(path)) from None
    except OSError as error:
        raise ConvertError(f"{path}: cannot be read ({error.strerror})") from None
    model = _parse(data, str(path), path)
    _load_external(model, path)
    return Source(model, hashlib.sha256(data).digest(), path.stem, str(path), path)


def _folder_hint(path: Path) -> str | None:
    if (path / "saved_model.pb").exists():
        return _filled(_SAVED_MODEL, path / "saved_model.pb")
    return "give the path of an .onnx file"


def _parse(data: bytes, label: str, path: Path | None) -> ModelProto:
    foreign = _foreign(data, path)
    if foreign:
        raise foreign
    import onnx
    from google.protobuf.message import DecodeError

    if not data:
        raise ConvertError(f"{label}: the file is empty", "give an .onnx file")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:
        raise ConvertError(
            f"{label}: is not an ONNX model (the protobuf does not parse)", _not_onnx_hint(data)
        ) from None
    if not model.HasField("graph"):
        raise ConvertError(f"{label}: is not an ONNX model (it holds no graph)", _not_onnx_hint(data))
    return model


def _not_onnx_hint(data: bytes) -> str:
    if data.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer: run git lfs pull"
    if data[:4] == b"OXM\x1a":
        return "this file is already converted (.oxm)"
    return "the file is incomplete, damaged or of another kind: copy it again, or export the model again"


def _foreign(data: bytes, path: Path | None) -> ConvertError | None:
    """The error for another framework's format, told by content first, then by suffix."""
    kind = kind_of(data, path)
    if kind is not None:
        label = str(path) if path else "the given bytes"
        return ConvertError(f"{label}: is {kind.name}; a model (.onnx) was expected", kind.hint)
    suffix = path.suffix.lower() if path else ""
    if data[4:8] == b"TFL3":
        suffix = ".tflite"
    elif data.startswith(b"\x89HDF"):
        suffix = ".h5"
    elif data.startswith(b"PK\x03\x04"):
        suffix = ".keras" if b"config.json" in data[:4096] or suffix == ".keras" else ".pt"
    elif suffix == ".onnx" or suffix not in FOREIGN:
        return None
    what, hint = FOREIGN[suffix]
    if path and path.name == "saved_model.pb":
        hint = _SAVED_MODEL
    filled = _filled(hint, path or Path(f"model{suffix}"))
    return ConvertError(f"{path or 'the given bytes'}: is {what}, not ONNX", filled)


def _filled(hint: str, path: Path) -> str:
    """The hint with the names of this file and of those to be made, which are in the current folder and new."""
    stem = path.resolve().parent.name if path.name == "saved_model.pb" else path.stem
    new, number = stem, 2
    while any(Path(f"{new}{end}").exists() or f"{new}{end}" == path.name for end in (".onnx", "_int8.onnx")):
        new, number = f"{stem}_{number}", number + 1
    return hint.format(
        source=shlex.quote(str(path)),
        folder=shlex.quote(str(path.parent)),
        target=shlex.quote(f"{new}.onnx"),
        file=escaped(path.as_posix()),
        onnx=escaped(f"{new}.onnx"),
        int8=escaped(f"{new}_int8.onnx"),
    )


def _external_names(model: ModelProto) -> list[str]:
    from onnx import TensorProto

    return [t.name for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]


def _refuse_external(model: ModelProto) -> None:
    names = _external_names(model)
    if names:
        raise ConvertError(
            f"tensor '{names[0]}' lies in an external data file, which bytes alone do not reach",
            "give the path of the .onnx file",
        )


def _load_external(model: ModelProto, path: Path) -> None:
    names = _external_names(model)
    if not names:
        return
    from onnx.checker import ValidationError
    from onnx.external_data_helper import load_external_data_for_model

    try:
        load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ConvertError(
            f"{path}: the external data of tensor '{names[0]}' cannot be read ({reason})",
            "keep the data file beside the .onnx file",
        ) from None
