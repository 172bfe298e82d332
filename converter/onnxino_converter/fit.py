"""Whether a model fits a board, told with numbers."""

from __future__ import annotations

from typing import Any

from onnxino.boards import BOARDS, Board
from onnxino.errors import ConvertError
from onnxino.model import tensor_bytes
from onnxino.schema.model import Model
from onnxino_converter.refusal import QUANTIZE_HINT
from onnxino_converter.report import largest_tensors


def board_named(name: str | None) -> Board | None:
    if name is None:
        return None
    if name not in BOARDS:
        raise ConvertError(f"no board is called '{name}'", f"known boards: {', '.join(sorted(BOARDS))}")
    return BOARDS[name]


def not_quantized(label: str, report: dict[str, Any], board: Board | None) -> ConvertError:
    """The error for a model that would run in float32 without the user's wish, with what that costs."""
    room = f" of {board.model_size:,}" if board else ""
    arena = f" of {board.arena_size:,}" if board else ""
    return ConvertError(
        f"{label}: the model is not quantized; in float32 it takes {report['model_bytes']:,}{room} bytes of flash and "
        f"{report['arena_bytes']:,}{arena} bytes of RAM, about four times those of int8, and runs several times slower",
        "onnxino convert MODEL.onnx --calibrate DATA.npz quantizes it; --float (float=True) converts it as it is; or "
        + QUANTIZE_HINT,
    )


def check_fit(model: Model, report: dict[str, Any], board: Board) -> None:
    """Raises ConvertError when the file is larger than the board's model region or the arena than its RAM."""
    if report["model_bytes"] > board.model_size:
        layers = sorted(report["operators"], key=lambda o: (-o["weight_bytes"], o["name"]))[:3]
        listed = ", ".join(f"'{layer['name']}' ({layer['kernel']}) {layer['weight_bytes']:,}" for layer in layers)
        raise ConvertError(
            f"the model takes {report['model_bytes']:,} bytes, the flash of {board.title} holds {board.model_size:,}; "
            f"largest layers in bytes of weights: {listed}",
            "make the largest layers narrower, or prune channels",
        )
    if report["arena_bytes"] > board.arena_size:
        listed = ", ".join(
            f"'{tensor.name}' {[int(d) for d in tensor.shape]} {tensor_bytes(tensor):,}"
            for tensor in largest_tensors(model)
        )
        raise ConvertError(
            f"running the model takes {report['arena_bytes']:,} bytes of RAM, "
            f"{board.title} leaves {board.arena_size:,}; largest tensors in bytes: {listed}",
            "use a smaller input, fewer channels in the first layers, or a larger stride",
        )
