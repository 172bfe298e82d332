"""Writes the golden file of the current format, once; files of released formats stay as they are.


Usage: python -m tests.golden.make_golden
A golden file holds every operator; its .npz holds inputs and what the NumPy reference computed when it was written.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onnxino import InferenceSession
from onnxino.schema.codec import FORMAT_MAJOR, FORMAT_MINOR, encode
from onnxino.schema.model import ElementType, Metadata, Preprocessing
from tests.engine.engine_models import float_zoo

HERE = Path(__file__).parent


def main() -> None:
    """Refuses to overwrite: a golden file that changes proves nothing."""
    stem = HERE / f"format-{FORMAT_MAJOR}.{FORMAT_MINOR}"
    if stem.with_suffix(f"{stem.suffix}.oxm").exists():
        raise SystemExit(f"error: {stem.name}.oxm exists\nhint: a new format gets a new version and a new file")
    model = float_zoo()
    model.metadata = Metadata(
        class_labels=["glass", "metal", "纸", "plastic", "cardboard", "trash"],
        preprocessing=Preprocessing(scale=1 / 255, mean=np.array([0.5], np.float32), layout="NHWC"),
    )
    model.inputs[0].type = ElementType.Float32
    model.outputs[0].type = ElementType.UInt8
    data = encode(model)
    feeds = np.random.default_rng(1).uniform(-3, 3, (16, *(int(d) for d in model.tensors[0].shape[1:])))
    image = feeds.astype(np.float32)
    with InferenceSession(data) as session:
        outputs = {output.name: session.run([output.name], {"image": image})[0] for output in session.get_outputs()}
    (HERE / f"{stem.name}.oxm").write_bytes(data)
    np.savez_compressed(HERE / f"{stem.name}.npz", image=image, allow_pickle=False, **outputs)


if __name__ == "__main__":
    main()
