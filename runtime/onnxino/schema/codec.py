"""Writes and reads .oxm files: header, CRC-32 and flatbuffer, to and from the dataclasses of model.py.

Both directions are driven by the field descriptors in `model.SPECS`; reading trusts nothing (docs/format.md).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, TypeVar, cast

import flatbuffers
import numpy as np
from flatbuffers import number_types

from onnxino.errors import ModelError
from onnxino.schema import fields as kinds
from onnxino.schema.model import IDENTIFIER, SPECS, Model

MAGIC = b"OXM\x1a"
FORMAT_MAJOR = 1
FORMAT_MINOR = 1
NEEDED_VERSION = (0, 1, 0)  # the first release of Onnxino that reads this format
HEADER_SIZE = 32
ALIGNMENT = 16
OBJECT_LIMIT = 1_000_000  # tables and strings in one file; a hostile file can share one table many times

_HEADER = struct.Struct("<4sHHBBHII12s")
_FLAGS: dict[str, Any] = {
    "bool": number_types.BoolFlags,
    "int8": number_types.Int8Flags,
    "uint8": number_types.Uint8Flags,
    "int16": number_types.Int16Flags,
    "uint16": number_types.Uint16Flags,
    "int32": number_types.Int32Flags,
    "uint32": number_types.Uint32Flags,
    "float32": number_types.Float32Flags,
}
_FORMATS = {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "<h",
    "uint16": "<H",
    "int32": "<i",
    "uint32": "<I",
    "float32": "<f",
}

T = TypeVar("T")


# ------------------------------------------------------------------------------------------------- writing


def encode(model: Model) -> bytes:
    """Returns the complete .oxm file of a model. The same model gives the same bytes everywhere."""
    builder: Any = flatbuffers.Builder(1 << 16)  # Any: the flatbuffers package is untyped
    root = _write(builder, model)
    builder.Finish(root, file_identifier=IDENTIFIER)
    body = bytes(builder.Output())
    body += bytes(-len(body) % ALIGNMENT)
    size = HEADER_SIZE + len(body)
    return seal(_HEADER.pack(MAGIC, FORMAT_MAJOR, FORMAT_MINOR, *NEEDED_VERSION, size, 0, bytes(12)) + body)


def seal(data: bytes) -> bytes:
    """Returns the file with its CRC-32 set to what its other bytes give."""
    return data[:16] + struct.pack("<I", file_crc(data)) + data[20:]


def file_crc(data: bytes) -> int:
    """CRC-32 of a .oxm file: over everything but the field that holds it."""
    return zlib.crc32(data[20:], zlib.crc32(data[:16]))


def _write(builder: Any, value: Any) -> int:
    spec = SPECS[type(value)]
    offsets: dict[int, int] = {}
    for f in spec.fields:
        part = getattr(value, f.name)
        if part is None:
            if not isinstance(f, kinds.Scalar) and f.required:
                raise ValueError(f"{type(value).__name__}.{f.name} is required")
        elif isinstance(f, kinds.Text):
            offsets[f.id] = builder.CreateString(part)
        elif isinstance(f, kinds.Numbers):
            offsets[f.id] = _write_numbers(builder, np.asarray(part, dtype=f.dtype))
        elif isinstance(f, kinds.Texts):
            offsets[f.id] = _write_offsets(builder, [builder.CreateString(s) for s in part])
        elif isinstance(f, kinds.Children):
            offsets[f.id] = _write_offsets(builder, [_write(builder, v) for v in part])
        elif isinstance(f, kinds.Child | kinds.Union):
            offsets[f.id] = _write(builder, part)
    builder.StartObject(1 + max((f.id for f in spec.fields), default=-1))
    for f in spec.fields:
        part = getattr(value, f.name)
        if isinstance(f, kinds.Scalar):
            builder.PrependSlot(_FLAGS[f.dtype], f.id, part, f.default)
        elif part is not None and isinstance(f, kinds.Inline):
            builder.PrependStructSlot(f.id, _write_struct(builder, part), 0)
        elif f.id in offsets:
            builder.PrependUOffsetTRelativeSlot(f.id, offsets[f.id], 0)
            if isinstance(f, kinds.Union):
                builder.PrependUint8Slot(f.id - 1, f.types.index(type(part)) + 1, 0)
    return int(builder.EndObject())


def _write_struct(builder: Any, value: Any) -> int:
    spec = SPECS[type(value)]
    builder.Prep(spec.align, spec.size)
    for f in reversed(spec.fields):
        assert isinstance(f, kinds.Scalar)
        builder.Prepend(_FLAGS[f.dtype], getattr(value, f.name))
    return int(builder.Offset())


def _write_numbers(builder: Any, array: np.ndarray[Any, Any]) -> int:
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    builder.StartVector(array.itemsize, array.size, ALIGNMENT)
    builder.head = builder.head - len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


def _write_offsets(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


# ------------------------------------------------------------------------------------------------- reading


def decode(data: bytes, where: str = "model") -> Model:
    """Reads a .oxm file. Arrays are read-only views of `data`.

    Checks header, CRC-32 and that every offset of the flatbuffer stays inside; what the values mean is checked by
    `onnxino.verify_model`. Raises ModelError.
    """
    check_header(data, where)
    return _Reader(memoryview(data)[HEADER_SIZE : len(data)], where).root(Model)


def check_header(data: bytes, where: str = "model") -> None:
    """Raises ModelError unless `data` begins with a header that this version reads, of exactly these bytes."""
    if data[:4] != MAGIC[: len(data)] or not data:
        raise ModelError(
            f"{where} is not an Onnxino model: it begins with {data[:4].hex(' ') or 'nothing'}, not {MAGIC.hex(' ')}",
            "make one with: onnxino convert model.onnx -o DIR",
        )
    if len(data) < HEADER_SIZE:
        raise ModelError(
            f"{where} is truncated: {len(data)} bytes, the header alone has {HEADER_SIZE}", "copy or convert it again"
        )
    _, major, minor, needed_major, needed_minor, patch, size, crc, reserved = _HEADER.unpack_from(data)
    if (major, minor) != (FORMAT_MAJOR, FORMAT_MINOR) and (major != FORMAT_MAJOR or minor > FORMAT_MINOR):
        relation = "newer" if (major, minor) > (FORMAT_MAJOR, FORMAT_MINOR) else "older"
        raise ModelError(
            f"{where} has format {major}.{minor}, {relation} than this version reads ({FORMAT_MAJOR}.{FORMAT_MINOR})",
            f"it needs Onnxino {needed_major}.{needed_minor}.{patch} or newer: pip install --upgrade onnxino"
            if relation == "newer"
            else "convert the ONNX file again",
        )
    if size != len(data):
        problem = "truncated" if len(data) < size else "followed by bytes that do not belong to it"
        raise ModelError(
            f"{where} is {problem}: it has {len(data)} bytes, its header says {size}", "copy or convert it again"
        )
    if size % ALIGNMENT or any(reserved):
        raise ModelError(f"{where} is damaged: its header is not as written by Onnxino")
    if file_crc(data) != crc:
        raise ModelError(
            f"{where} is damaged: CRC-32 {file_crc(data):08x}, its header says {crc:08x}", "copy or convert it again"
        )


class _Reader:
    """Bounds-checked reading of one flatbuffer; every position is a byte offset from its beginning."""

    def __init__(self, data: memoryview, where: str) -> None:
        self.data = data
        self.where = where
        self.objects = 0

    def root(self, kind: type[T]) -> T:
        if len(self.data) < 8 or bytes(self.data[4:8]) != IDENTIFIER:
            raise self.bad("file identifier missing")
        return cast("T", self.table(kind, self.indirect(0)))

    def bad(self, what: str) -> ModelError:
        return ModelError(f"{self.where} is damaged: {what}", "convert the ONNX file again")

    def number(self, at: int, dtype: str) -> Any:
        size = np.dtype(dtype).itemsize
        if at < 0 or at + size > len(self.data) or at % size:
            raise self.bad(f"a {dtype} at byte {at} lies outside or is not aligned")
        return struct.unpack_from(_FORMATS[dtype], self.data, at)[0]

    def indirect(self, at: int) -> int:
        target = at + self.number(at, "uint32")
        if target == at or target >= len(self.data):
            raise self.bad(f"the offset at byte {at} leads outside")
        return int(target)

    def count(self) -> None:
        self.objects += 1
        if self.objects > OBJECT_LIMIT:
            raise self.bad(f"more than {OBJECT_LIMIT} parts")

    def vector(self, at: int, itemsize: int, align: int) -> tuple[int, int]:
        """Start of the items and their number."""
        start = self.indirect(at)
        length = self.number(start, "uint32")
        if start + 4 + length * itemsize > len(self.data) or (start + 4) % align:
            raise self.bad(f"the vector at byte {start} leads outside or is not aligned to {align}")
        return start + 4, int(length)

    def text(self, at: int) -> str:
        self.count()
        start, length = self.vector(at, 1, 1)
        if start + length >= len(self.data) or self.data[start + length] != 0:
            raise self.bad(f"the string at byte {start} has no end")
        try:
            return bytes(self.data[start : start + length]).decode()
        except UnicodeDecodeError as error:
            raise self.bad(f"the string at byte {start} is not UTF-8") from error

    def struct(self, kind: type, at: int) -> Any:
        values: dict[str, Any] = {}
        for f in SPECS[kind].fields:
            assert isinstance(f, kinds.Scalar)
            values[f.name] = self.number(at, f.dtype)
            at += np.dtype(f.dtype).itemsize
        return kind(**values)

    def table(self, kind: type, at: int) -> Any:
        self.count()
        vtable = at - self.number(at, "int32")
        size, table_size = self.number(vtable, "uint16"), self.number(vtable + 2, "uint16")
        if size < 4 or size % 2 or table_size < 4 or vtable + size > len(self.data) or at + table_size > len(self.data):
            raise self.bad(f"the table at byte {at} leads outside")

        def locate(field_id: int) -> int | None:
            entry = 4 + 2 * field_id
            offset = self.number(vtable + entry, "uint16") if entry < size else 0
            if offset and not 4 <= offset < table_size:
                raise self.bad(f"a field of the table at byte {at} leads outside")
            return at + offset if offset else None

        values: dict[str, Any] = {}
        for f in SPECS[kind].fields:
            place = locate(f.id)
            if isinstance(f, kinds.Scalar):
                values[f.name] = f.default if place is None else self.scalar(f, place)
            elif place is None:
                if f.required:
                    raise self.bad(f"{kind.__name__}.{f.name} is missing")
                values[f.name] = None
            else:
                tag = locate(f.id - 1) if isinstance(f, kinds.Union) else None
                values[f.name] = self.part(f, place, self.number(tag, "uint8") if tag is not None else 0)
        return kind(**values)

    def scalar(self, f: kinds.Scalar, at: int) -> Any:
        value = self.number(at, f.dtype)
        if f.enum is None:
            return value
        try:
            return f.enum(value)
        except ValueError as error:
            raise self.bad(f"{f.name} is {value}, which is no {f.enum.__name__}") from error

    def part(self, f: kinds.Field, at: int, tag: int) -> Any:
        if isinstance(f, kinds.Text):
            return self.text(at)
        if isinstance(f, kinds.Inline):
            return self.struct(f.type, at)
        if isinstance(f, kinds.Child):
            return self.table(f.type, self.indirect(at))
        if isinstance(f, kinds.Union):
            if not 1 <= tag <= len(f.types):
                raise self.bad(f"{f.name} has the unknown tag {tag}")
            return self.table(f.types[tag - 1], self.indirect(at))
        if isinstance(f, kinds.Numbers):
            dtype = np.dtype(f.dtype).newbyteorder("<")
            start, length = self.vector(at, dtype.itemsize, ALIGNMENT)
            return np.frombuffer(self.data, dtype, length, start)
        assert isinstance(f, kinds.Texts | kinds.Children)
        start, length = self.vector(at, 4, 4)
        places = range(start, start + 4 * length, 4)
        if isinstance(f, kinds.Texts):
            return [self.text(p) for p in places]
        return [self.table(f.type, self.indirect(p)) for p in places]
