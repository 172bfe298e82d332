"""Boards from Python: `flash()` writes firmware and model, `evaluate()` streams a data set and compares every byte.

Both report through a callback, print nothing and never end the program; errors are OnnxinoError.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike, fspath

from onnxino_tools import ui
from onnxino_tools.data import PixelOptions
from onnxino_tools.evaluate import Evaluation, Evaluator, Options
from onnxino_tools.flasher import FlashResult, flash

__all__ = ["Evaluation", "FlashResult", "Options", "PixelOptions", "evaluate", "flash"]


def evaluate(
    model: str | PathLike[str],
    data: str | PathLike[str],
    *,
    port: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    resize: str = "crop",
    pixels: PixelOptions | None = None,
    options: Options | None = None,
    reconnect: float = 10.0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Runs a data set on a device, as `onnxino serial-eval` does (its options have the same names).

    model: .oxm or .onnx; it is loaded where the device holds another. port: None for the only board connected.
    progress: called with (images done, images in all) after each. Raises InputError, ModelError, ConvertError for what
    is given, LinkError for the device, MissingExtraError.
    """
    from onnxino import InferenceSession
    from onnxino_tools.data.inputs import check_single, evaluated_split, image_feed
    from onnxino_tools.devices import connect
    from onnxino_tools.models import read_model

    with ui.silence():
        content = read_model(fspath(model))
        with InferenceSession(content) as session:
            check_single(session.model)
            split = evaluated_split(fspath(data), split)
            images, feed, _ = image_feed(
                session.model, fspath(data), pixels or PixelOptions(), split=split, limit=limit, resize=resize
            )
            evaluator = Evaluator(session, images, feed, options)
            with connect(port, reconnect) as connection:
                if not connection.link.has_model(content):
                    connection.link.load_model(content)
                connection.model = content
                return evaluator.run(connection, lambda done: progress(done, len(images)) if progress else None)
