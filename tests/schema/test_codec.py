"""The codec of the model file: round trips, determinism, and refusal of every damaged byte."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onnxino.errors import ModelError
from onnxino.schema import generate
from onnxino.schema.codec import HEADER_SIZE, decode, encode, seal
from onnxino.schema.model import (
    Conv2D,
    ElementType,
    Exactness,
    Metadata,
    Model,
    Operator,
    Port,
    Provenance,
    Requantization,
    Tensor,
    WeightLayout,
    Weights,
    Window2D,
)

SCHEMA = Path(generate.__file__).parent / "model.fbs"


def small_model() -> Model:
    """One convolution, with a value in every kind of field that the codec knows."""
    window = Window2D(
        kernel_h=3, kernel_w=2, stride_h=2, stride_w=1, dilation_h=1, dilation_w=3,
        pad_top=1, pad_left=65535, pad_bottom=0, pad_right=7,
    )  # fmt: skip
    conv = Conv2D(
        window=window,
        input_zero_point=-128,
        weights=Weights(layout=WeightLayout.OHWI, data=np.arange(250, 256, dtype=np.uint8)),
        bias=np.array([-0x12345678], np.int32),
        requantization=Requantization(scale=np.array([0.1], np.float32), zero_point=5, maximum=100),
    )
    return Model(
        name="small",
        tensors=[
            Tensor(name="x", shape=np.array([1, 3, 4, 1], np.int32), scale=0.25),
            Tensor(
                name="größe", shape=np.array([1, 1, 1, 1], np.int32), perm=np.array([0, 2, 3, 1], np.uint8), offset=16
            ),
        ],
        operators=[
            Operator(
                name="conv",
                kernel=conv,
                inputs=np.array([0], np.uint32),
                outputs=np.array([1], np.uint32),
                exactness=Exactness.Step,
            )
        ],
        inputs=[
            Port(
                name="x",
                tensor=0,
                type=ElementType.Float32,
                shape=np.array([-1, 3, 4, 1], np.int32),
                dimension_names=["N", "", "", ""],
            )
        ],
        outputs=[Port(name="größe", tensor=1, type=ElementType.UInt8, shape=np.array([1, 1, 1, 1], np.int32))],
        arena_size=17,
        metadata=Metadata(class_labels=["纸", ""]),
        provenance=Provenance(tool_version="0.1.0", options="{}", source_sha256=np.arange(32, dtype=np.uint8)),
    )


def test_a_model_survives_the_round_trip() -> None:
    data = encode(small_model())
    model = decode(data)
    assert encode(model) == data
    conv = model.operators[0].kernel
    assert isinstance(conv, Conv2D)
    assert conv.window.pad_left == 65535
    assert conv.weights.data.tolist() == [250, 251, 252, 253, 254, 255]
    assert conv.bias.tolist() == [-0x12345678]
    assert conv.requantization.scale[0] == np.float32(0.1)
    assert (conv.requantization.minimum, conv.requantization.maximum) == (-128, 100)
    assert model.tensors[1].name == "größe"
    assert model.tensors[0].perm is None
    assert model.operators[0].exactness is Exactness.Step
    assert model.metadata is not None
    assert model.metadata.class_labels == ["纸", ""]


def test_flatc_reads_the_same_values(tmp_path: Path) -> None:
    flatc = shutil.which("flatc", path=str(Path(sys.executable).parent)) or shutil.which("flatc")
    if flatc is None:
        pytest.skip("flatc is not installed (extra 'dev')")
    (tmp_path / "small.bin").write_bytes(encode(small_model())[HEADER_SIZE:])
    command = [flatc, "--json", "--raw-binary", "--strict-json", "-o", str(tmp_path), str(SCHEMA), "--", "small.bin"]
    subprocess.run(command, check=True, cwd=tmp_path)
    seen = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    assert seen["operators"][0]["kernel_type"] == "Conv2D"
    kernel = seen["operators"][0]["kernel"]
    assert kernel["window"]["pad_left"] == 65535
    assert kernel["window"]["dilation_w"] == 3
    assert kernel["weights"] == {"layout": "OHWI", "data": [250, 251, 252, 253, 254, 255]}
    assert kernel["bias"] == [-0x12345678]
    assert kernel["requantization"] == {"scale": [0.1], "zero_point": 5, "maximum": 100}
    assert seen["tensors"][1] == {"name": "größe", "shape": [1, 1, 1, 1], "perm": [0, 2, 3, 1], "offset": 16}
    assert seen["metadata"]["class_labels"] == ["纸", ""]
    assert seen["arena_size"] == 17


def test_number_vectors_are_aligned_in_the_file() -> None:
    data = encode(small_model())
    for needle in (bytes(range(250, 256)), (-0x12345678).to_bytes(4, "little", signed=True), bytes(range(32))):
        assert data.index(needle, HEADER_SIZE) % 16 == 0


def test_every_flipped_bit_is_refused() -> None:
    data = encode(small_model())
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelError):
            decode(bytes(damaged))


def test_every_truncation_is_refused() -> None:
    data = encode(small_model())
    for size in range(len(data)):
        with pytest.raises(ModelError):
            decode(data[:size])
    with pytest.raises(ModelError, match="do not belong to it"):
        decode(data + bytes(16))


def test_damage_behind_a_right_crc_never_escapes_as_another_error() -> None:
    data = encode(small_model())
    refused = 0
    for at in range(HEADER_SIZE, len(data)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[at] = value
            try:
                decode(seal(bytes(damaged)))
            except ModelError:
                refused += 1
    assert refused > len(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: 0x7F}, "is not an Onnxino model: it begins with 7f 58 4d 1a"),
        ({4: 2}, r"has format 2.1, newer than this version reads \(1.1\)"),
        ({6: 2}, "has format 1.2, newer than"),
        ({4: 0}, "has format 0.1, older than"),
        ({12: 1}, "is truncated|do not belong"),
        ({31: 1}, "its header is not as written"),
        ({40: 1}, "CRC-32"),
    ],
)
def test_the_header_is_checked_field_by_field(change: dict[int, int], message: str) -> None:
    data = bytearray(encode(small_model()))
    for at, value in change.items():
        data[at] ^= value if at in (31, 40) else 0
        data[at] = data[at] if at in (31, 40) else value
    sealed = bytes(data) if 40 in change else seal(bytes(data))
    with pytest.raises(ModelError, match=message):
        decode(sealed)


def test_a_newer_format_names_the_version_that_reads_it() -> None:
    data = bytearray(encode(small_model()))
    data[4], data[8:12] = 2, bytes([3, 1, 4, 0])
    with pytest.raises(ModelError) as caught:
        decode(seal(bytes(data)))
    assert caught.value.hint == "it needs Onnxino 3.1.4 or newer: pip install --upgrade onnxino"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"OXM\x1a", bytes(100)])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        decode(data)


def test_generated_files_are_fresh() -> None:
    if shutil.which("flatc", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("flatc is not installed (extra 'dev')")
    assert generate.main(["--check"]) == 0
