"""How fields of the generated dataclasses lie in a flatbuffer: one small descriptor class per kind of field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, bool or enum of NumPy type `dtype`."""

    id: int
    name: str
    dtype: str
    default: float
    enum: type[IntEnum] | None


@dataclass(frozen=True, slots=True)
class Text:
    """A UTF-8 string."""

    id: int
    name: str
    required: bool


@dataclass(frozen=True, slots=True)
class Texts:
    """A vector of strings."""

    id: int
    name: str
    required: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector of scalars, 16-byte aligned, a NumPy array of `dtype`."""

    id: int
    name: str
    dtype: str
    required: bool


@dataclass(frozen=True, slots=True)
class Inline:
    """A struct."""

    id: int
    name: str
    type: type
    required: bool


@dataclass(frozen=True, slots=True)
class Child:
    """A table."""

    id: int
    name: str
    type: type
    required: bool


@dataclass(frozen=True, slots=True)
class Children:
    """A vector of tables."""

    id: int
    name: str
    type: type
    required: bool


@dataclass(frozen=True, slots=True)
class Union:
    """One of several tables; its tag is field id - 1, with the value index + 1."""

    id: int
    name: str
    types: tuple[type, ...]
    required: bool


Field = Scalar | Text | Texts | Numbers | Inline | Child | Children | Union


@dataclass(frozen=True, slots=True)
class Spec:
    """A table, or a struct of `size` bytes aligned to `align`."""

    is_struct: bool
    size: int
    align: int
    fields: tuple[Field, ...]
