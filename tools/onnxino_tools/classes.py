"""What an output means as a class, and whether the class names of model and data belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto


def is_index(values: NDArray[Any]) -> bool:
    """Whether an output is not a value for each class but the number of one: what ArgMax gives."""
    return values.size == 1 and values.dtype.name in ("int32", "int64")


def prediction(values: NDArray[Any]) -> int:
    """The class that an output means: of quantized values too, for their scale is positive."""
    return int(values.reshape(-1)[0]) if is_index(values) else int(values.argmax())


def unknown_classes(own: list[str], classes: list[str]) -> str | None:
    """Says which classes of the data the model's labels do not have; None where they have all."""
    unknown = [f"'{name}'" for name in classes if name not in own]
    if not unknown:
        return None
    what = f"class {unknown[0]} is" if len(unknown) == 1 else f"classes {_some(unknown)} are"
    return f"{what} not among the model's labels {_some(own)}"


def classes_for(data: str, model: ModelProto) -> list[str] | None:
    """The class names of a .npz for a model that has none of its own, where they are as many as its outputs."""
    import zipfile
    from pathlib import Path

    import numpy as np

    from onnxino_converter.metadata import LABEL_KEYS
    from onnxino_tools import ui

    if Path(data).suffix != ".npz" or any(entry.key.lower() in LABEL_KEYS for entry in model.metadata_props):
        return None
    try:
        with np.load(data, allow_pickle=False) as archive:
            names: list[str] = [str(name) for name in archive["classes"].reshape(-1)] if "classes" in archive else []
    except (TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile):
        return None
    dims = model.graph.output[0].type.tensor_type.shape.dim
    if not names or not dims or dims[-1].dim_value != len(names) or len(set(names)) != len(names):
        return None
    ui.note(f"labels: the {len(names)} classes of '{data}' ({_some(names)}); for others give --labels")
    return names


def _some(names: list[str]) -> str:
    return ", ".join(names if len(names) <= 12 else [*names[:12], "..."])
