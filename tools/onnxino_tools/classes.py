"""What an output means as a class, and whether the class names of model and data belong together."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


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


def _some(names: list[str]) -> str:
    return ", ".join(names if len(names) <= 12 else [*names[:12], "..."])
