"""Finds the example models and data: in the checkout first, else in the installed package."""

from __future__ import annotations

from pathlib import Path

from onnxino.errors import InputError


def example(*parts: str) -> Path:
    """The path of a file below examples/. Raises InputError where it is in neither place."""
    package = Path(__file__).resolve().parent
    for root in (package.parents[1] / "examples", package / "_examples"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise InputError(f"the example {'/'.join(parts)} is not there", "install Onnxino again, or run it from a checkout")
