"""One operator, one stem everywhere: schema, operator table, NumPy and C kernels, lowering and tests agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onnxino.ops import OPERATORS
from onnxino.schema.model import KERNELS

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "runtime" / "onnxino"
STEMS = [re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", kernel.__name__).lower() for kernel in KERNELS]
HELPERS_IN_C = {  # shared by several kernels, or parts of one
    *("conv_columns", "conv_plain", "conv_tile", "conv_tile_dsp", "conv_tiled", "dense", "dense_dsp"),
    *("depthwise_lanes", "depthwise_plain", "dot", "dsp", "float_weights", "lanes", "lanes_dsp", "pairwise", "window"),
}


def stems(folder: Path, pattern: str) -> set[str]:
    """Stems of the files that match; helpers begin with an underscore."""
    return {path.stem for path in folder.glob(pattern) if not path.stem.startswith("_")}


def test_stems_follow_from_the_schema() -> None:
    assert STEMS[:2] == ["conv2d", "depthwise_conv2d"]
    union = re.search(r"union Kernel \{([^}]*)\}", (RUNTIME / "schema" / "model.fbs").read_text(encoding="utf-8"))
    assert union is not None
    assert [name.strip() for name in union[1].split(",")] == [kernel.__name__ for kernel in KERNELS]


def test_operator_table() -> None:
    assert list(OPERATORS) == list(KERNELS)
    assert [module.__name__ for module in OPERATORS.values()] == [f"onnxino.ops.{stem}" for stem in STEMS]


@pytest.mark.parametrize(
    ("folder", "pattern", "prefix"),
    [
        (RUNTIME / "ops", "*.py", ""),
        (RUNTIME / "ops", "*.c", ""),
        (ROOT / "tests" / "ops", "test_*.py", "test_"),
    ],
    ids=["NumPy", "C", "tests"],
)
def test_one_file_for_each_operator(folder: Path, pattern: str, prefix: str) -> None:
    assert stems(folder, pattern) - HELPERS_IN_C == {prefix + stem for stem in STEMS}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
def test_one_lowering_for_each_operator(kernel: type) -> None:
    """One file makes the kernel: of its own stem, or that of all float32 operators."""
    folder = ROOT / "converter" / "onnxino_converter" / "lower"
    makes = re.compile(rf"\b{kernel.__name__}\(")
    found = [path.stem for path in folder.glob("*.py") if makes.search(path.read_text(encoding="utf-8"))]
    assert found in ([STEMS[KERNELS.index(kernel)]], ["floats"])


def test_c_kernels_are_in_the_table_of_the_engine() -> None:
    """In the order of the union's tags."""
    text = (RUNTIME / "engine" / "kernels.c").read_text(encoding="utf-8")
    assert re.findall(r"ONX_KERNELS\((\w+), \d\)", text) == STEMS


@pytest.mark.parametrize("package", ["runtime/onnxino", "converter/onnxino_converter", "tools/onnxino_tools"])
def test_imports_point_one_way(package: str) -> None:
    """onnxino <- onnxino_converter <- onnxino_tools; the session converts .onnx files, and that one import is lazy."""
    allowed = {"runtime/onnxino": {"onnxino"}, "converter/onnxino_converter": {"onnxino", "onnxino_converter"}}
    everything = {"onnxino", "onnxino_converter", "onnxino_tools"}
    forbidden = everything - allowed.get(package, everything)
    wrong: list[str] = []
    for path in (ROOT / package).rglob("*.py"):
        found = re.findall(r"^(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        wrong += [f"{path.name} imports {name}" for name in found if name in forbidden]
    assert not wrong


def test_every_file_begins_with_what_it_is_for() -> None:
    for path in (*RUNTIME.rglob("*.py"), *(ROOT / "tests" / "ops").glob("*.py")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith('"""'), path
        assert len(first) > 20, path
