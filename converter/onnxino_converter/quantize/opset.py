"""Brings a model to an opset in which QDQ can be written per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino.errors import ConvertError

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET_MIN = 13  # DequantizeLinear with an axis
IR_MIN = 7


def raise_opset(model: ModelProto) -> ModelProto:
    """A copy in opset 13 or later. Raises ConvertError where onnx cannot convert it."""
    from onnx import ModelProto as Proto
    from onnx import version_converter

    version = next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if version is None:
        raise ConvertError("the model does not say which opset it uses (no opset_import)", "export the model again")
    result = Proto()
    result.CopyFrom(model)
    if version < OPSET_MIN:
        try:
            result = version_converter.convert_version(result, OPSET_MIN)
        except (RuntimeError, ValueError, IndexError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConvertError(
                f"the model uses opset {version} and cannot be raised to {OPSET_MIN}: {reason}",
                f"export the model again with opset {OPSET_MIN} or later",
            ) from error
    result.ir_version = max(result.ir_version, IR_MIN)
    return result
