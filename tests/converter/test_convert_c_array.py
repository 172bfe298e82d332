"""The generated C array: names, values, and a program that uses its macros."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_net import Net, Q
from patterns import conv, softmax

from onnxino.numerics import dequantize, quantize
from onnxino_converter import Converted, convert
from onnxino_converter.names import identifier

COMPILERS = [(name, shutil.which(name)) for name in ("gcc", "clang", "g++")]


def made(labels: list[str] | None = None, unsigned: bool = False, ports: str = "float") -> Converted:
    net = Net(unsigned=unsigned, ports=ports)
    softmax(net, (3,), y=Q(1 / 256, -128))
    return convert(net.model(), name="toy", labels=labels)


def test_array_holds_the_model() -> None:
    converted = made()
    body = converted.c_source[converted.c_source.index("= {") :]
    assert bytes(int(h, 16) for h in re.findall(r"0x([0-9a-f]{2})", body)) == converted.model
    assert f"#define TOY_MODEL_SIZE {len(converted.model)}u" in converted.c_header
    assert f"#define TOY_ARENA_SIZE {converted.report['arena_bytes']}u" in converted.c_header


def test_repr_leaves_the_bytes_out() -> None:
    text = repr(made())
    assert text.startswith("Converted(name='toy', report={")
    assert not {"model=b", "c_source", "c_header"} & set(re.findall(r"model=b|c_source|c_header", text))


def test_ports_are_described() -> None:
    net = Net(batch="batch")
    conv(net, False, shape=(3, 8, 6))
    header = convert(net.model(), name="net").c_header
    for line in (
        "/* input 0: 'input1', in ONNX float32 [?, 3, 8, 6] */",
        "#define NET_INPUT_0_SIZE 144 /* bytes */",
        "#define NET_INPUT_0_SHAPE { 1, 8, 6, 3 } /* on the device */",
        "#define NET_INPUT_0_PERM { 0, 2, 3, 1 }",
        "#define NET_INPUT_0_SCALE 0.0199999996f",
        "#define NET_INPUT_0_ZERO_POINT (-3)",
        "#define NET_OUTPUT_COUNT 1",
    ):
        assert line in header


def test_uint8_ports_have_macros_for_their_bytes() -> None:
    assert "TOY_INPUT_0_FROM_UINT8" in made(unsigned=True, ports="quantized").c_header
    assert "TOY_INPUT_0_FROM_UINT8" not in made(ports="quantized").c_header


@pytest.mark.parametrize(("compiler", "path"), COMPILERS, ids=[name for name, _ in COMPILERS])
def test_compiles_without_warnings(tmp_path: Path, compiler: str, path: str | None) -> None:
    if path is None:
        pytest.skip(f"{compiler} is not installed")
    converted = made(['say "hi" \\ ??/', "ß 中文", "*/ end"], unsigned=True, ports="quantized")
    (tmp_path / "toy.c").write_text(converted.c_source, "utf-8")
    (tmp_path / "toy.h").write_text(converted.c_header, "utf-8")
    standard = ["-x", "c++", "-std=c++17"] if compiler == "g++" else ["-std=c11"]
    flags = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-c", "-o", "toy.o"]
    subprocess.run([path, *standard, *flags, "toy.c"], cwd=tmp_path, check=True)


def test_float_ports_have_no_quantization() -> None:
    nodes = [
        onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0),
        onnx.helper.make_node("Tanh", ["x"], ["z"]),
    ]
    float32, int64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    x, z = (onnx.helper.make_tensor_value_info(name, float32, [1, 7]) for name in "xz")
    y = onnx.helper.make_tensor_value_info("y", int64, [1])
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "g", [x], [y, z]), opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=9
    )
    header = convert(model, name="net", float=True).c_header
    for line in (
        "#define NET_INPUT_0_TYPE float",
        "#define NET_INPUT_0_SIZE 28 /* bytes */",
        "#define NET_OUTPUT_0_TYPE int32_t",
        "#define NET_OUTPUT_0_SIZE 4 /* bytes */",
        "#define NET_OUTPUT_1_SIZE 28 /* bytes */",
        "input[0] = 0.5f;",
        "NET_OUTPUT_0_TYPE index = output[0];",
    ):
        assert line in header
    assert "_SCALE" not in header.replace("_quantize(float x", "")
    assert "_INPUT_0_QUANTIZE" not in header


PROGRAM = """
#include <stdio.h>
#include "toy.h"
int main(void)
{
    float x;
    while (scanf("%a", &x) == 1)
        printf("%d %a\\n", TOY_INPUT_0_QUANTIZE(x), (double)TOY_OUTPUT_0_DEQUANTIZE(TOY_INPUT_0_QUANTIZE(x)));
    for (int i = 0; i < TOY_LABEL_COUNT; i++)
        printf("%s\\n", toy_labels[i]);
    return toy_model[0] == 'O' ? 0 : 1;
}
"""


def test_macros_compute_what_the_session_computes(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    labels = ["a \\ ??/", "ß", "中"]
    converted = made(labels)
    for name, text in (("toy.c", converted.c_source), ("toy.h", converted.c_header), ("main.c", PROGRAM)):
        (tmp_path / name).write_text(text, "utf-8")
    subprocess.run([compiler, "-std=c11", "toy.c", "main.c", "-o", "toy", "-lm"], cwd=tmp_path, check=True)
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(0, 8, 300), (np.arange(-300, 300) + 0.5) * 0.1]).astype(np.float32)
    text = "\n".join(float(v).hex() for v in values)
    run = subprocess.run([tmp_path / "toy"], input=text.encode(), capture_output=True, check=True)
    lines = run.stdout.decode("utf-8").splitlines()
    assert lines[len(values) :] == labels
    stored = quantize(values, float(np.float32(0.1)), 4)
    real = dequantize(stored, 1 / 256, -128)
    assert [int(line.split()[0]) for line in lines[: len(values)]] == stored.tolist()
    assert [float.fromhex(line.split()[1]) for line in lines[: len(values)]] == real.tolist()


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("digits", "digits"),
        ("My Model-v2.final", "my_model_v2_final"),
        ("3d", "m_3d"),
        ("int", "m_int"),
        ("größe", "groe"),
        ("模型", "network"),
        ("__x__", "x"),
        ("a" * 80, "a" * 48),
    ],
)
def test_identifier(stem: str, name: str) -> None:
    assert identifier(stem) == name
