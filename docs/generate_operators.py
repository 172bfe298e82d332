"""Writes docs/operators.md from the operator tables of the converter and the runtime.

    python docs/generate_operators.py [--check]

What a table cannot tell, the limits of each ONNX operator, stands in LIMITS: an operator of the importer without an
entry, or an entry without an operator, is an error. --check: exits with 1 when the file is not what would be written.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

from onnxino.ops import OPERATORS
from onnxino_converter.fuse import tables
from onnxino_converter.importer.graph import OPSET_MAX, OPSET_MIN
from onnxino_converter.importer.handlers import MICROSOFT, ONNX
from onnxino_converter.passes.float_islands import ALL as ISLANDS
from onnxino_converter.passes.fuse_qdq import FUSERS

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "operators.md"
# What tests/conformance/test_onnx_backend.py found, and keeps up to date: operator -> [passed, all].
NODE_TESTS: dict[str, list[int]] = json.loads((ROOT / "tests" / "conformance" / "node_tests.json").read_text("utf-8"))
# The sources of models that are compared with ONNX Runtime.
COMPARED = [
    (ROOT / "tests" / name).read_text("utf-8")
    for name in ("converter/patterns.py", "converter/float_models.py", "fuzz/graphs.py")
]

_WINDOW = "one or two spatial dimensions; any strides, pads, auto_pad, dilations"
_POOL = f"{_WINDOW}, ceil_mode"
_SELECT = "indices known when converting"
_NEAREST = "nearest only, every coordinate_transformation_mode but tf_crop_and_resize; sizes known"
_INFERENCE = "inference; folded away, or into the Conv before"
_AXES = "any axes, known when converting"
_SHAPE = "shape known when converting"

# ONNX operator -> its limits ("" for none).
LIMITS: dict[str, str] = {
    **dict.fromkeys(tables.UNARY, ""),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Min", "Max", "Mean", "Sum"), "broadcasting"),
    "ArgMax": "one axis; int32 on the device, int64 at a graph output",
    "ArgMin": "as ArgMax",
    "AveragePool": f"{_POOL}, count_include_pad",
    "BatchNormalization": _INFERENCE,
    "Cast": "int8 and uint8 to float32; others on constants",
    "Clip": "bounds known when converting",
    "Concat": "any axis, any number of inputs; other scales go through a table",
    "Constant": "tensor, float(s) and int(s)",
    "Conv": f"{_WINDOW}, group, depthwise; weights known when converting",
    "DepthToSpace": "DCR and CRD",
    "DequantizeLinear": "int8, uint8; int16 and uint16 in float32; per tensor or per channel; not blocked",
    "Div": "broadcasting; integers with a constant divisor",
    "Dropout": "inference",
    "Expand": _SHAPE,
    "Flatten": "",
    "Gather": _SELECT,
    "Gelu": "approximate none",
    "Gemm": "transA, transB, alpha, beta; integers with constant weights",
    "GlobalAveragePool": "one or two spatial dimensions",
    "GlobalMaxPool": "one or two spatial dimensions",
    "Identity": "",
    "InstanceNormalization": "scale and bias known when converting",
    "LayerNormalization": "scale and bias known when converting",
    "LogSoftmax": "any axis",
    "MatMul": "two dimensions or more; integers with constant weights",
    "MaxPool": f"{_POOL}; without Indices",
    "PRelu": "broadcasting; constant slopes",
    "Pad": "constant, edge, reflect, wrap; pads known when converting",
    "Pow": "broadcasting",
    "QLinearConv": "as Conv",
    "QLinearMatMul": "a constant matrix as second input",
    "QuantizeLinear": "int8, uint8; int16 and uint16 in float32; per tensor or per channel; not blocked",
    "ReduceMax": _AXES,
    "ReduceMean": _AXES,
    "ReduceMin": _AXES,
    "ReduceSum": _AXES,
    "Reshape": _SHAPE,
    "Resize": _NEAREST,
    "Slice": "bounds known when converting, any steps",
    "Softmax": "any axis; before opset 13 over all axes from one on",
    "SpaceToDepth": "",
    "Split": "sizes known when converting",
    "Squeeze": "",
    "Tile": "repeats known when converting",
    "Transpose": "any permutation of up to six axes",
    "Unsqueeze": "",
    "Upsample": _NEAREST,
}
MICROSOFT_LIMITS: dict[str, str] = {
    "DequantizeLinear": "as in ai.onnx",
    "QuantizeLinear": "as in ai.onnx",
    "QGemm": "constant weights; a quantized output",
    "QLinearAdd": "broadcasting",
    "QLinearMul": "broadcasting",
    "QLinearAveragePool": f"{_POOL}, count_include_pad; channels_last=0",
    "QLinearConcat": "any axis",
    "QLinearConv": "as Conv; channels_last=0",
    "QLinearGlobalAveragePool": "channels_last=0",
    "QLinearLeakyRelu": "",
    "QLinearSigmoid": "",
    "QLinearSoftmax": "any axis",
}

# How a handled operator that has no fuser and no float lowering of its own comes to run.
MOVES = {
    "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Dropout", "MaxPool", "GlobalMaxPool", "Pad",
    "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample",
}  # fmt: skip
DECOMPOSED = {
    "ArgMin": "ArgMax",
    "BatchNormalization": "Mul and Add",
    "DepthToSpace": "Reshape and Transpose",
    "Expand": "Take",
    "InstanceNormalization": "ReduceMean, Sub, Mul, Add, Sqrt and Div",
    "LayerNormalization": "ReduceMean, Sub, Mul, Add, Sqrt and Div",
    "Gather": "Take",
    "GlobalMaxPool": "MaxPool",
    "Mean": "Add and Mul",
    "Resize": "Take",
    "Slice": "Take",
    "SpaceToDepth": "Reshape and Transpose",
    "Split": "Take",
    "Sum": "Add",
    "Tile": "Take",
    "Upsample": "Take",
}
AHEAD = {"Constant": "computed ahead", "Cast": "computed ahead, or Dequantize"}
ALIASES = ("Dropout", "Flatten", "Identity", "Squeeze", "Unsqueeze", "Reshape")

PREFACE = f"""# Operators

Generated by `docs/generate_operators.py` from the operator tables of the converter and the runtime: do not edit;
`make generate` writes it anew. [Converting](converting.md) says how a model is read, [numerics](numerics.md) what the
marks mean: **exact** = ONNX Runtime's bytes; **table** = 256 values made with ONNX Runtime's formula; **step** = at
most one quantization step apart; **float** = float32 in one written order of operations, the same bits on every
device, not always ONNX Runtime's.

Opsets {OPSET_MIN} to {OPSET_MAX}. `onnxino inspect model.onnx` says which of these ways each operator of a model takes,
and what is in the way.

## ONNX operators (ai.onnx)
*Quantized*: between DequantizeLinear and QuantizeLinear, or on 8-bit tensors. Exact becomes step where ONNX Runtime
does not fuse the pattern and computes in float32 (a Relu that cuts, mixed types). *Tested*: ONNX Runtime = models with
this operator give its bytes, or its floats within rounding; node tests = how many of ONNX's own tests of it pass, on
NumPy and on C (the others need what no device has: other types, inputs without elements, ...).

| operator | quantized | in float32 | limits | tested |
|---|---|---|---|---|
"""


def check_limits() -> None:
    """Raises SystemExit when the tables and LIMITS do not name the same operators."""
    for names, limits in ((ONNX, LIMITS), (MICROSOFT, MICROSOFT_LIMITS)):
        missing, gone = sorted(set(names) - set(limits)), sorted(set(limits) - set(names))
        if missing or gone:
            raise SystemExit(f"error: LIMITS of docs/generate_operators.py lacks {missing}, and knows in vain {gone}")


def quantized(operator: str) -> str:
    """How an operator runs between quantized tensors."""
    if operator in ("QuantizeLinear", "DequantizeLinear"):
        return "requantization: table"
    if operator in ("QLinearConv", "QLinearMatMul"):
        return "integers: exact"
    if operator in AHEAD:
        return AHEAD[operator]
    if operator in ("ArgMax", "ArgMin"):
        return "on int8 values: exact"
    if operator in ALIASES:
        return "no work: exact"
    if operator in MOVES:
        return "values are picked or moved: exact"
    if operator in FUSERS:
        both = operator in ("Sub", "Div")
        return "with a constant: step" if both else "integers: exact"
    if operator in tables.UNARY:
        return "table"
    if operator in tables.BINARY:
        return "with one constant: table; else float"
    return "float"


def in_float(operator: str) -> str:
    """The way in float32."""
    if operator in AHEAD:
        return AHEAD[operator]
    if operator in ALIASES:
        return "no work"
    if operator in ISLANDS:
        return "float" if operator not in MOVES else "values are moved: exact"
    if operator in DECOMPOSED:
        return f"as {DECOMPOSED[operator]}"
    if operator.startswith("QLinear"):
        return "-"
    raise SystemExit(f"error: how {operator} runs in float32 is unknown to docs/generate_operators.py")


def tested(operator: str) -> str:
    """Which independent judges the tests know for an operator."""
    found = ["ONNX Runtime"] if is_compared(operator) else []
    passed, total = NODE_TESTS.get(operator, (0, 0))
    return ", ".join([*found, *([f"node tests {passed} of {total}"] if passed else [])])


def is_compared(operator: str) -> bool:
    """Whether a model with this operator is compared with ONNX Runtime."""
    short = operator.removeprefix("QLinear")
    return any(f'"{operator}"' in text or f'"{short}"' in text for text in COMPARED)


def kernel_rows() -> list[str]:
    """One row for each kernel of the device."""
    rows: list[str] = []
    for kernel, module in OPERATORS.items():
        stem = module.__name__.rpartition(".")[2]
        source = (ROOT / "runtime" / "onnxino" / "ops" / f"{stem}.py").read_text("utf-8")
        summary = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].replace("\n", " ")
        summary = re.sub(rf"^{kernel.__name__}: ", "", summary).rstrip(".")
        test = (ROOT / "tests" / "ops" / f"test_{stem}.py").read_text("utf-8").lower()
        judges = ["NumPy = C"] + (
            ["ONNX Runtime"] if "onnxruntime" in test or "ort" in re.findall(r"\w+", test) else []
        )
        rows.append(f"| {kernel.__name__} | {summary} | `ops/{stem}.py`, `ops/{stem}.c` | {', '.join(judges)} |")
    return rows


def document() -> str:
    """The whole file."""
    check_limits()
    lines = [
        f"| {name} | {quantized(name)} | {in_float(name)} | {LIMITS[name]} | {tested(name)} |" for name in sorted(ONNX)
    ]
    microsoft = [
        f"| {name} | {MICROSOFT_LIMITS[name]} | {'ONNX Runtime' if is_compared(name) else ''} |"
        for name in sorted(MICROSOFT)
    ]
    return "\n".join(
        [
            PREFACE + "\n".join(lines),
            "",
            "What depends on constants and shapes alone (Shape, Size, Range, ...) is computed when converting.",
            "",
            "## com.microsoft",
            "All of them compute on 8-bit tensors: exact, or by table (QLinearSigmoid, QLinearLeakyRelu).",
            "",
            "| operator | limits | tested |",
            "|---|---|---|",
            *microsoft,
            "",
            "## Kernels of the device",
            "What a model file is made of; the formulas stand in `runtime/onnxino/schema/model.fbs`.",
            "",
            "| kernel | computes | sources | tested |",
            "|---|---|---|---|",
            *kernel_rows(),
            "",
        ]
    )


def main(arguments: list[str]) -> int:
    """Writes the file, or with --check compares it; the exit code."""
    text = document()
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8", newline="\n")
        return 0
    if TARGET.is_file() and TARGET.read_text("utf-8") == text:
        return 0
    print("error: docs/operators.md is older than the operator tables\nhint: make generate", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
