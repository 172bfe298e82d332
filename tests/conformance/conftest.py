"""The models that must agree everywhere, and how much of the work an ordinary test run does.

`make conformance` sets ONNXINO_CONFORMANCE=full: 200 random inputs and every real test image against ONNX Runtime on
each model, 64 random inputs through the emulator. Without it each model gets a few inputs, which takes seconds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from onnxino.schema.model import Model

FULL = os.environ.get("ONNXINO_CONFORMANCE") == "full"
RANDOM_INPUTS = 64 if FULL else 2
FEW_INPUTS = 8 if FULL else 1
ORACLE_INPUTS = 200 if FULL else 2
REAL_INPUTS = None if FULL else 2
ORACLE_REAL_INPUTS = None if FULL else 2

MLPERF = ("ic", "vww", "kws", "ad")
TRASHNET = ("base", "struct30", "struct50", "unstruct50", "unstruct80")
SHARED = {
    "mlperf_tiny": (*MLPERF, "ic_float"),
    "trashnet": (*TRASHNET, *(f"{name}_qdq" for name in TRASHNET)),
    "exporters": (
        "nncf_performance", "ort_qdq_s8s8_keepact", "ort_qdq_s8s8_pc", "ort_qdq_s8s8_pc_sym", "ort_qdq_u8s8_pt",
        "ort_qop_s8s8_pt", "quark_xint8", "torch_fxqat_fakequant", "torchao_pt2e",
    ),
    "wild": ("w17_float_micro_kws", "w19_k1_resnet8_qdq", "w20_k1_kws_qdq", "w23_alibaba_vww_pruned_float"),
}  # fmt: skip
REFUSED = {"brevitas_qonnx": "Quant", "ort_dynamic_u8": "DynamicQuantizeLinear"}  # and the operator that is named
MODELS = ("digits", *MLPERF, *(f"{name}_qdq" for name in TRASHNET))
ALL = ("digits", *(name for names in SHARED.values() for name in names))
# Those that run in the emulator beside MODELS: in an ordinary run one with float tails, one in float, one mixed.
OTHERS = (
    tuple(name for name in ALL if name not in MODELS)
    if FULL
    else ("nncf_performance", "w17_float_micro_kws", "w19_k1_resnet8_qdq")
)
# Photos that fit a model's input: TrashNet's test images of the two sizes.
PHOTOS = {
    "trashnet_64": (*SHARED["trashnet"], *SHARED["exporters"]),
    "trashnet_32": ("ic", "ic_float", "w19_k1_resnet8_qdq"),
}
REAL = ("digits", *(name for names in PHOTOS.values() for name in names))
DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture
def model_path(request: pytest.FixtureRequest) -> Path:
    """Path of the model that a test is parametrized with (indirectly)."""
    name = str(request.param)
    if name == "digits":
        return DIGITS / "digits_int8.onnx"
    shared: Path = request.getfixturevalue("shared")
    folder = next((folder for folder, names in SHARED.items() if name in names), "exporters")
    return shared / "models" / folder / f"{name}.onnx"


def real_inputs(model: Model, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Test images as `onnxino verify --data` feeds them to one of the models in REAL."""
    from onnxino.pixels import PixelOptions
    from onnxino_tools.data.dataset import load_dataset
    from onnxino_tools.data.inputs import feed_for

    if name == "digits":
        data = load_dataset(DIGITS / "digits_test.npz", limit=ORACLE_REAL_INPUTS)
    else:
        source = next(source for source, names in PHOTOS.items() if name in names)
        folder = request.getfixturevalue("shared") / "datasets"
        data = load_dataset(folder / f"{source}.npz", split="test", limit=ORACLE_REAL_INPUTS)
    # The float model says nothing of its pixels; it was trained on 0..255.
    feed, _ = feed_for(model, data, PixelOptions(scale=1.0) if name == "ic_float" else PixelOptions())
    return {model.inputs[0].name: feed(data.images)}
