"""Whether a model fits a board, told with numbers."""

from __future__ import annotations

from typing import Any

from onnxino.boards import BOARDS, Board
from onnxino.errors import ConvertError
from onnxino.model import tensor_bytes
from onnxino.schema.model import Model
from onnxino_converter.refusal import QUANTIZE_STATIC
from onnxino_converter.report import largest_tensors


def board_named(name: str | None) -> Board | None:
    if name is None:
        return None
    if name not in BOARDS:
        raise ConvertError(f"no board is called '{name}'", f"known boards: {', '.join(sorted(BOARDS))}")
    return BOARDS[name]


_CALIBRATE = "onnxino convert model.onnx --calibrate DATA.npz quantizes it to int8"


def not_quantized(label: str, report: dict[str, Any], board: Board | None) -> ConvertError:
    """The error for a model that would run in float32 without the user's wish, with what that costs."""
    room = f" of {board.model_size:,}" if board else ""
    arena = f" of {board.arena_size:,}" if board else ""
    cost = f"{report['model_bytes']:,}{room} bytes of flash and {report['arena_bytes']:,}{arena} bytes of RAM"
    ratio = "about four times those of int8"
    if board and (report["model_bytes"] > board.model_size or report["arena_bytes"] > board.arena_size):
        return ConvertError(
            f"{label}: the model is not quantized, and in float32 it does not fit {board.title}: "
            f"it takes {cost}, {ratio}",
            f"{_CALIBRATE}; or {QUANTIZE_STATIC}"
            if _may_fit(report, board)
            else f"{_CALIBRATE}{_still(report, board)}",
        )
    return ConvertError(
        f"{label}: the model is not quantized; in float32 it takes {cost}, {ratio}, and runs several times slower",
        f"{_CALIBRATE}; --float (float=True) converts it as it is; or {QUANTIZE_STATIC}",
    )


def _may_fit(report: dict[str, Any], board: Board) -> bool:
    """Whether a fourth of what a float model takes fits."""
    return report["model_bytes"] // 4 <= board.model_size and report["arena_bytes"] // 4 <= board.arena_size


def _still(report: dict[str, Any], board: Board) -> str:
    if _may_fit(report, board):
        return ", about four times smaller"
    return (
        f", about {report['model_bytes'] // 4:,} bytes of flash and {report['arena_bytes'] // 4:,} of RAM: "
        "too much still, so that the network must become smaller, too"
    )


def check_fit(model: Model, report: dict[str, Any], board: Board, quantized: bool = True) -> None:
    """Raises ConvertError when the file is larger than the board's model region or the arena than its RAM."""
    quantize = "" if quantized else f"{_CALIBRATE}{_still(report, board)}; or "
    if report["model_bytes"] > board.model_size:
        layers = sorted(report["operators"], key=lambda o: (-o["weight_bytes"], o["name"]))[:3]
        listed = ", ".join(f"'{layer['name']}' ({layer['kernel']}) {layer['weight_bytes']:,}" for layer in layers)
        raise ConvertError(
            f"the model takes {report['model_bytes']:,} bytes, the flash of {board.title} holds {board.model_size:,}; "
            f"largest layers in bytes of weights: {listed}",
            f"{quantize}make the largest layers narrower, or prune channels",
        )
    if report["arena_bytes"] > board.arena_size:
        listed = ", ".join(
            f"'{tensor.name}' {[int(d) for d in tensor.shape]} {tensor_bytes(tensor):,}"
            for tensor in largest_tensors(model)
        )
        raise ConvertError(
            f"running the model takes {report['arena_bytes']:,} bytes of RAM, "
            f"{board.title} leaves {board.arena_size:,}; largest tensors in bytes: {listed}",
            f"{quantize}use a smaller input, fewer channels in the first layers, or a larger stride",
        )
