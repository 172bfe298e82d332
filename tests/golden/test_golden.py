"""Files of every released format stay readable, and give the outputs that they gave when they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxino import InferenceSession, load_model
from onnxino.schema.codec import FORMAT_MAJOR, FORMAT_MINOR, encode
from onnxino.schema.model import KERNELS

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("format-*.oxm"))


def test_the_current_format_has_a_golden_file() -> None:
    assert HERE / f"format-{FORMAT_MAJOR}.{FORMAT_MINOR}.oxm" in FILES


@pytest.mark.parametrize("backend", ["numpy", "c", "emulator"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_old_files_give_old_outputs(path: Path, backend: str) -> None:
    with np.load(path.with_name(f"{path.stem}.npz")) as golden, InferenceSession(path, backend=backend) as session:
        for output in session.get_outputs():
            found = session.run([output.name], {"image": golden["image"]})[0]
            assert found.dtype == golden[output.name].dtype
            assert np.array_equal(found, golden[output.name])


def test_the_current_golden_file_holds_everything_and_is_what_the_encoder_writes() -> None:
    path = HERE / f"format-{FORMAT_MAJOR}.{FORMAT_MINOR}.oxm"
    model = load_model(path)
    assert {type(operator.kernel) for operator in model.operators} == set(KERNELS)
    assert model.metadata is not None
    assert model.metadata.class_labels is not None
    assert model.metadata.class_labels[2] == "纸"
    assert encode(model) == path.read_bytes()
